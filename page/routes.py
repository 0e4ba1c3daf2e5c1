"""The routes that the page's scripts use: documents with their pages, uploads with their progress, conversations.

Takes the collections; adds routes to the web app, each for one `collection`. Whatever changes something asks for the header
`X-Cite`, which another site's page cannot send.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from index import Index, IndexProblem
from index.load import largest, place_at, too_large
from index.sandbox import Sandbox, SandboxError
from page.desks import CollectionError, Desk, Desks
from page.uploads import UploadError
from rag.threads import ThreadError

LISTED = ("id", "title", "source", "language", "kind", "characters", "chunks", "added")
GONE = HTTPException(404, "This document is no longer indexed.")


def listing(index: Index) -> list[dict[str, Any]]:
    """What is indexed, a row a document."""
    return [
        {name: value for name, value in asdict(entry).items() if name in LISTED} for entry in index.catalogue.entries()
    ]


def own_page(x_cite: Annotated[str, Header()] = "") -> None:
    """Lets in only the page's own scripts and programs, not another site's form."""
    if not x_cite:
        raise HTTPException(403, "Send the header X-Cite: 1")


def chosen(request: Request, collection: str = "") -> Desk:
    """The desk of the collection that a request names."""
    try:
        return request.app.state.desks[collection]
    except (CollectionError, IndexProblem) as error:
        raise HTTPException(404, str(error)) from error


At = Annotated[Desk, Depends(chosen)]


def add_routes(web: FastAPI, desks: Desks) -> None:
    """All of them."""
    web.state.desks = desks
    for add in (_collections, _documents, _uploads, _threads):
        add(web)


def _collections(web: FastAPI) -> None:
    """List and make collections."""
    desks: Desks = web.state.desks

    @web.get("/collections")
    def listed() -> list[str]:
        return desks.names()

    @web.post("/collections", dependencies=[Depends(own_page)])
    def make(name: str) -> dict[str, str]:
        try:
            return {"collection": desks.make(name).name}
        except (ValueError, IndexProblem) as error:
            raise HTTPException(400, str(error)) from error


def _documents(web: FastAPI) -> None:
    """List, text, pages and removal of documents."""
    sandbox = Sandbox()

    @web.get("/documents")
    def documents(at: At) -> list[dict[str, Any]]:
        return listing(at.rag.index)

    @web.get("/suggestions")
    def suggestions(at: At, language: str = "en") -> list[str]:
        """Questions to begin with."""
        return at.suggestions(language[:2].lower())

    @web.get("/find")
    def find(words: str, at: At) -> dict[str, Any]:
        """Where a quote stands whose document was changed or removed."""
        if not words.strip() or (place := at.rag.index.catalogue.holding(words)) is None:
            raise HTTPException(404, "This quote is no longer in the documents.")
        return {"doc": place[0], "start": place[1], "end": place[1] + len(words)}

    @web.get("/documents/{identity}")
    def document(identity: str, at: At) -> dict[str, Any]:
        if (found := at.rag.index.catalogue.get(identity)) is None:
            raise GONE
        return {"id": found.id, "text": found.page_content, **found.metadata}

    @web.delete("/documents/{identity}", dependencies=[Depends(own_page)])
    def remove(identity: str, at: At) -> dict[str, Any]:
        if not at.rag.index.remove(identity):
            raise GONE
        return {"removed": identity}

    def original(index: Index, identity: str) -> bytes:
        if (raw := index.original(identity)) is None:
            raise HTTPException(404, "The file is no longer where it was indexed from.")
        return raw

    @web.get("/documents/{identity}/pages/{page}.png")
    def picture(identity: str, page: int, at: At) -> Response:
        try:
            return Response(sandbox.picture(original(at.rag.index, identity), page - 1), media_type="image/png")
        except SandboxError as error:
            raise HTTPException(404, f"The page {error}.") from error

    @web.get("/documents/{identity}/boxes")
    def boxes(identity: str, start: int, end: int, at: At) -> dict[str, Any]:
        """The page on which a quote begins, and where its words stand there."""
        if (found := at.rag.index.catalogue.get(identity)) is None:
            raise GONE
        places = found.metadata["places"]
        place = place_at(places, start)
        if not place.startswith("page "):
            raise HTTPException(404, "This document has no pages.")
        begins = next(at for at, name in places if name == place)
        number = int(place.removeprefix("page "))
        try:
            return {
                "page": number,
                "boxes": sandbox.boxes(original(at.rag.index, identity), number - 1, start - begins, end - begins),
            }
        except SandboxError as error:
            raise HTTPException(404, f"The page {error}.") from error


def _uploads(web: FastAPI) -> None:
    """Bring a file, watch it, stop it."""

    @web.post("/uploads", dependencies=[Depends(own_page)])
    async def upload(request: Request, name: str, at: At) -> dict[str, str]:
        try:
            bare, path = at.uploads.partial(name)
            try:
                size = await _written(request, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            if size > largest() or not size:
                path.unlink(missing_ok=True)
                raise UploadError(too_large(bare) if size else f"{bare} is empty")
            return at.uploads.add(bare, path).json()
        except UploadError as error:
            raise HTTPException(400, str(error)) from error

    @web.get("/uploads")
    def jobs(at: At) -> list[dict[str, str]]:
        return [job.json() for job in at.uploads.jobs()]

    @web.delete("/uploads/{identity}", dependencies=[Depends(own_page)])
    def cancel(identity: str, at: At) -> dict[str, bool]:
        return {"cancelled": at.uploads.cancel(identity)}


def _threads(web: FastAPI) -> None:
    """List, export, rename and delete conversations, and keep what people say of answers."""

    def changed(change: Callable[[], None]) -> dict[str, bool]:
        try:
            change()
        except ThreadError as error:
            raise HTTPException(404, str(error)) from error
        return {"ok": True}

    @web.get("/threads")
    def listed(at: At) -> list[dict[str, Any]]:
        return at.threads.listed()

    @web.get("/threads/{thread}.md")
    def markdown(thread: str, at: At) -> Response:
        return Response(at.threads.markdown(thread), media_type="text/markdown; charset=utf-8", headers=_download("md"))

    @web.get("/threads/{thread}.json")
    def whole(thread: str, at: At) -> Response:
        turns = [asdict(turn) for turn in at.threads.turns(thread)]
        return Response(
            json.dumps(turns, ensure_ascii=False, indent=1), media_type="application/json", headers=_download("json")
        )

    @web.put("/threads/{thread}", dependencies=[Depends(own_page)])
    def rename(thread: str, title: str, at: At) -> dict[str, bool]:
        return changed(lambda: at.threads.rename(thread, title))

    @web.delete("/threads/{thread}", dependencies=[Depends(own_page)])
    def remove(thread: str, at: At) -> dict[str, bool]:
        return changed(lambda: at.threads.remove(thread))

    @web.post("/threads/{thread}/{turn}", dependencies=[Depends(own_page)])
    def judge(thread: str, turn: int, verdict: str, at: At, comment: str = "") -> dict[str, bool]:
        return changed(lambda: at.threads.judge(thread, turn, verdict, comment))


def _download(suffix: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="conversation.{suffix}"'}


async def _written(request: Request, path: Path) -> int:
    """Write the request's body to a file; returns its size, as far as it was read before it went beyond the limit."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > largest():
                break
            await run_in_threadpool(file.write, part)
    return size
