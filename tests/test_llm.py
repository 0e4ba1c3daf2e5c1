"""A real LLM behind a real OpenAI-compatible server, and servers that fail in each way there is."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import OverlapReader
from test_fluent import MOON, OverlapSupport, holds

from bench.llama import NAME, serving
from index import Index
from rag import Rag
from rag.generate import LlmSettings, Writer, connect

LIMIT = 3.0  # seconds, of the failing servers


def rag_with(index: Index, url: str, timeout: float) -> Rag:
    settings = LlmSettings(f"openai:{NAME}", url, timeout=timeout)
    return Rag(index, OverlapReader(), writer=Writer(connect(settings), settings), support=OverlapSupport())


def test_a_real_llm_is_streamed_and_never_believed(index: Index) -> None:
    with serving() as url:
        rag = rag_with(index, url, 120)
        given = list(rag.stream("Who walked first on the Moon, and in which year did Apollo 11 land?"))
        for answer in given:
            holds_text = [said for said in answer.statements if said.supported and not said.citations]
            assert not holds_text
        holds(index, given[-1])
        assert given[-1].answered and ("did not answer" not in given[-1].note), given[-1].note
        written = [answer for answer in given if answer.statements]
        assert len(written) > 3, "it was not streamed"


class Failing(BaseHTTPRequestHandler):
    """Fails as the first part of the path says."""

    def do_POST(self) -> None:
        how = self.path.split("/")[1]
        self.rfile.read(int(self.headers["Content-Length"]))
        if how == "silent":
            time.sleep(LIMIT + 2)
            return
        if how in ("500", "429", "401"):
            self._reply(int(how), "application/json", b'{"error": {"message": "no"}}')
        elif how == "html":
            self._reply(200, "text/html", b"<html><body><script>alert(1)</script>Sign in</body></html>")
        elif how == "json":
            self._reply(200, "application/json", b'{"hello": "world"}')
        else:
            self._stream(how)

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, how: str) -> None:
        """A sentence in server-sent events, then a cut, a silence, or drops without end."""
        self._open()
        self._event("Neil Armstrong walked first. [1] And ")
        if how == "cut":
            self.connection.close()
        elif how == "hang":
            time.sleep(LIMIT + 2)
        elif how == "drip":
            for _ in range(100):
                time.sleep(0.1)
                self._event("a ")

    def _open(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _event(self, text: str) -> None:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
                 "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]}  # fmt: skip
        body = f"data: {json.dumps(chunk)}\n\n".encode()
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def failing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", ["500", "429", "401", "html", "json", "silent", "cut", "hang", "drip"])
def test_a_server_that_fails_leaves_the_readers_answer_in_time(index: Index, failing: str, how: str) -> None:
    rag = rag_with(index, f"{failing}/{how}/v1", LIMIT)
    rag.invoke("warm")  # the first call imports the provider's client
    started = time.monotonic()
    answer = rag.invoke(MOON)
    assert answer.answered and answer.model == "overlap" and "did not answer" in answer.note, answer
    assert "<script>" not in answer.text and time.monotonic() - started < 2 * LIMIT
    holds(index, answer)


def test_a_server_that_is_down_leaves_the_readers_answer(index: Index) -> None:
    answer = rag_with(index, "http://127.0.0.1:9/v1", LIMIT).invoke(MOON)
    assert answer.answered and answer.model == "overlap" and "did not answer" in answer.note
