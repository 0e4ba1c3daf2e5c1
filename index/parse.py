"""The child process that reads files: `python -m index.parse`, watched by `sandbox`.

Takes bytes and a suffix on its standard input; gives text, places and a title, or one error, as JSON lines. It limits its own
memory and may write no file, so a parser that loops, crashes or swells costs one error for one file.
"""

import json
import os
import re
import resource
import sys
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from index.decode import NotText
from index.markup import epub, html
from index.office import docx, mail, odt, records, table
from index.pages import PdfError, boxes, open_pdf, page_text, picture
from index.parsed import Parsed, ParseError, Watch, one_line

MEMORY = 2 * 2**30  # bytes of address space that a file may need
MOST_PAGES = int(os.environ.get("CITE_MAX_PAGES", "5000"))
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def pdf(raw: bytes, watch: Watch) -> Parsed:
    """Page by page. Owns pypdfium2 together with `pages`."""
    with open_pdf(raw) as document:
        count = len(document)
        if count > MOST_PAGES:
            raise ParseError(f"has {count:,} pages; at most {MOST_PAGES:,} are read. Cut it up, or raise the limit: CITE_MAX_PAGES={count}")
        found = Parsed(one_line(document.get_metadata_value("Title")))
        for number in range(count):
            text, _ = page_text(document, number)
            if text.strip():
                found.mark(f"page {number + 1}")
                found.add(text, "\n\n")
            watch(number + 1, count)
    if not found.size:
        raise ParseError(
            f"has no text on its {count} pages: they are pictures, as of a scan. Recognise its text (OCR) first"
        )
    return found


PARSERS: dict[str, Callable[[bytes, Watch], Parsed]] = {
    ".pdf": pdf, ".docx": docx, ".odt": odt, ".epub": epub, ".html": html, ".htm": html, ".xhtml": html, ".csv": table,
    ".tsv": table, ".json": records, ".jsonl": records, ".ndjson": records, ".eml": mail,
}  # fmt: skip


def parse(raw: bytes, suffix: str, watch: Watch = lambda done, of: None) -> Parsed:
    """The file's text and places; raises ParseError, whatever went wrong inside a library."""
    try:
        found = PARSERS[suffix](raw, watch)
    except (ParseError, MemoryError):
        raise
    except PdfError as error:
        raise ParseError(str(error)) from error
    except NotText as error:
        raise ParseError(str(error).removeprefix("it ")) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ParseError(
            f"cannot be read as {suffix[1:].upper()} ({one_line(reason)[:160]}). It is damaged or of another type"
        ) from error
    found.parts, found.title = [CONTROL.sub(" ", found.text)], CONTROL.sub(" ", found.title)
    found.places = [(at, CONTROL.sub(" ", place)) for at, place in found.places]
    return found


def _do(raw: bytes, asked: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """A file's text; or, of a PDF's page (from 0), the picture or where characters stand."""
    if asked["task"] == "text":
        found = parse(raw, asked["suffix"], watch)
        return {"text": found.text, "places": found.places, "title": found.title}
    try:
        if asked["task"] == "boxes":
            return {"boxes": boxes(raw, asked["page"], asked["start"], asked["end"])}
        return {"picture": b64encode(picture(raw, asked["page"])).decode()}
    except (ValueError, IndexError, RuntimeError) as error:
        raise ParseError(f"cannot be shown ({error})") from error


def main() -> None:
    """Serve the parent: a JSON line and so many bytes in, JSON lines out, the last with the text or the error."""
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    source, out = sys.stdin.buffer, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no part of the reply

    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    while header := source.readline():
        asked = json.loads(header)
        raw = source.read(asked["size"])
        try:
            say(**_do(raw, asked, lambda done, of: say(done=done, of=of)))
        except ParseError as error:
            say(error=str(error))
        except MemoryError:
            say(error="needs more memory to be read than a file may use. Cut it into smaller files")


if __name__ == "__main__":
    main()
