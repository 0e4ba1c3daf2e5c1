"""The endpoints as tools of the Model Context Protocol, at /mcp: `cite chat --mcp`.

Takes the collections; gives an MCP server whose routes the web app takes over. Owns the package mcp, an extra.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from page.desks import Desks
from page.endpoints import functions

ABOUT = "Answers from the user's own documents, in any language; each answer cites the exact words of its source, or is a refusal."
UNSAFE = {"remove"}  # left to people


def lifespan(desks: Desks) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Serves the tools while the app runs. Raises ValueError where the extra is not installed."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError as error:
        raise ValueError(
            "MCP needs one package more. Install it: pip install -c constraints.txt -e '.[mcp]'"
        ) from error
    server = MCPServer("cite", instructions=ABOUT, log_level="ERROR")
    for function in functions(desks):
        if function.__name__ not in UNSAFE:
            server.add_tool(_plain(function), name=function.__name__, description=inspect.getdoc(function))
    routes = server.streamable_http_app(stateless_http=True, json_response=True).routes

    @asynccontextmanager
    async def running(web: FastAPI) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    def add(web: FastAPI) -> AbstractAsyncContextManager[None]:
        web.router.routes[:0] = routes
        return running(web)

    return add


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in a thread of its own, since it takes as long as an answer takes; its errors as MCP has them."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(function)
    async def called(**given: Any) -> Any:
        try:
            return await run_in_threadpool(function, **given)
        except gr.Error as error:
            raise ToolError(error.message) from error

    return called
