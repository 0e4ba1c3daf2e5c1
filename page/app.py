"""The web app around the page: its scripts, the documents' texts, and the headers that keep everything on this machine.

Takes the collections; gives a FastAPI app that any ASGI server runs.
"""

import secrets
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.load import largest
from page.blocks import blocks
from page.desks import Desks
from page.routes import add_routes
from page.tools import lifespan

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'self'; object-src 'none'"
)  # Gradio's own page needs the inline and eval parts
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
VERSION = secrets.token_hex(4)  # of the static files: a restarted server is never shown with an old script
HEAD = (
    f'<link rel="stylesheet" href="/cite/style.css?{VERSION}"><script src="/cite/app.js?{VERSION}" defer></script>'
    f'<script src="/cite/library.js?{VERSION}" defer></script><script src="/cite/words.js?{VERSION}" defer></script>'
)


class Headers:
    """Adds `HEADERS` to every response, streams included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, with the headers put in as the response starts."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._app(scope, receive, sending)


def app(desks: Desks, mcp: bool = False) -> FastAPI:
    """The page, its API and the documents' texts; with `mcp` also the tools at /mcp (ValueError where that extra is missing)."""
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan(desks) if mcp else None)
    web.add_middleware(Headers)
    web.mount("/cite", StaticFiles(directory=STATIC))
    add_routes(web, desks)
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return gr.mount_gradio_app(
        web, blocks(desks), path="/", theme=theme, head=HEAD, footer_links=[], run_history=False,
        enable_monitoring=False, show_error=False, ssr_mode=False, max_file_size=largest(),
    )  # fmt: skip
