"""The page's entry: `serve` runs the chat and its API on this machine, and nowhere else.

Takes an open Index; gives a running server. What is on the page is left to the package `page`.
"""

import logging
import os
import socket
import sys
import threading

# Read by gradio when it is imported: with them, neither the server nor the page asks anything of another machine.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import uvicorn

from index import Index
from page.app import app
from page.desks import Desks
from rag.generate import Writer

GRACE = 3  # seconds that open connections are given when the server is stopped


def serve(
    index: Index, host: str = "127.0.0.1", port: int = 7860, mcp: bool = False, writer: Writer | None = None
) -> int:
    """Serve until interrupted; port 0 takes a free one. Raises OSError when the port is taken, naming another.

    With a `writer` an LLM writes the answers.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        another = f"Choose another: cite chat --port {port + 1}"
        raise OSError(f"Port {port} on {host} cannot be used ({error.strerror}). {another}") from error
    desks = Desks(index, writer)
    server = uvicorn.Server(uvicorn.Config(app(desks, mcp), log_level="warning", timeout_graceful_shutdown=GRACE))
    url = f"http://{host}:{listener.getsockname()[1]}"
    desks.serve_at(url)
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)  # streams that end with the server are no news
    threading.Thread(target=_announce, args=(server, url), daemon=True).start()
    threading.Thread(target=desks[""].rag.warm, daemon=True).start()
    server.run(sockets=[listener])
    desks.close()
    return 0


def _announce(server: uvicorn.Server, url: str) -> None:
    while not server.started:
        threading.Event().wait(0.05)
    print(f"Cité answers at {url}  (Ctrl+C stops it)", flush=True)


if __name__ == "__main__":
    from rag.__main__ import main

    sys.exit(main(["chat", *sys.argv[1:]]))
