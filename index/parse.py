"""One function a file format: bytes to text, with a map of where each part came from.

Takes the bytes of a PDF, DOCX, ODT, EPUB, HTML, CSV, JSON or e-mail file; gives a `Parsed`. Runs in a child process that `sandbox`
watches (`python -m index.parse`), so a parser that loops, crashes or swells costs one error for one file.
"""

import csv
import io
import json
import posixpath
import re
import resource
import sys
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import unquote

from index.decode import NotText, decode
from index.pages import PdfError, boxes, open_pdf, page_text, picture

MEMORY = 2 * 2**30  # bytes of address space that a file may need
MOST_PAGES = 5000
MOST_UNPACKED = 512 * 2**20  # bytes inside a DOCX, ODT or EPUB file, which are zips
MOST_TEXT = 256 * 2**20  # characters
BLOCKS = frozenset(
    "address article aside blockquote body br caption dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr "
    "li main nav ol p pre section table td th title tr ul".split()
)
UNSEEN = frozenset({"script", "style", "template", "noscript", "head"})
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Place = tuple[int, str]  # from this character on, the text is of this page, heading or row


class ParseError(ValueError):
    """A file that cannot be parsed; the message follows the file's name in a sentence."""


@dataclass(slots=True)
class Parsed:
    """Text as it will be cited, the places in it in order, and the title that the file gives itself (or "")."""

    title: str = ""
    places: list[Place] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.parts)

    def mark(self, place: str) -> None:
        """What follows is of this place."""
        if not self.places or self.places[-1][1] != place:
            self.places.append((self.size, place))

    def add(self, text: str, end: str = "\n") -> None:
        """Add text; raises ParseError when there is too much of it."""
        self.parts.append(text + end)
        self.size += len(text) + len(end)
        if self.size > MOST_TEXT:
            raise ParseError(f"holds more than {MOST_TEXT:,} characters. Cut it into smaller files")


Watch = Callable[[int, int], None]  # pages or parts done, of how many; tells the parent that this one is alive


def pdf(raw: bytes, watch: Watch) -> Parsed:
    """Page by page. Owns pypdfium2 together with `pages`."""
    with open_pdf(raw) as document:
        count = len(document)
        if count > MOST_PAGES:
            raise ParseError(f"has {count:,} pages; at most {MOST_PAGES:,} are read. Cut it into smaller files")
        found = Parsed(_line(document.get_metadata_value("Title")))
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


def docx(raw: bytes, watch: Watch) -> Parsed:
    """Paragraphs and tables in order, under their headings."""
    from docx import Document
    from docx.table import Table

    _archive(raw, "word/document.xml")
    document = Document(io.BytesIO(raw))
    found = Parsed(_line(document.core_properties.title))
    for number, block in enumerate(document.iter_inner_content()):
        if number % 500 == 0:
            watch(number, number)
        if isinstance(block, Table):
            for row in block.rows:
                cells = {id(cell._tc): _line(cell.text) for cell in row.cells}  # a merged cell comes once
                found.add(" | ".join(filter(None, cells.values())))
            continue
        if block.style is not None and str(block.style.name).startswith(("Heading", "Title")) and block.text.strip():
            found.mark(_line(block.text))
        found.add(block.text)
    return found


def odt(raw: bytes, watch: Watch) -> Parsed:
    """Paragraphs and headings in order."""
    from odfdo import Document

    _archive(raw, "content.xml")
    document = Document(io.BytesIO(raw))
    found = Parsed(_line(document.meta.title))
    for number, block in enumerate(document.body.get_elements("//text:h|//text:p[not(ancestor::text:p)]")):
        if number % 500 == 0:
            watch(number, number)
        text = _line(block.inner_text)
        if block.tag == "text:h" and text:
            found.mark(text)
        found.add(text)
    return found


def epub(raw: bytes, watch: Watch) -> Parsed:
    """The chapters in the order of the book's spine."""
    from lxml import etree

    archive = _archive(raw, "META-INF/container.xml")
    safe = etree.XMLParser(resolve_entities=False, no_network=True)
    container = etree.fromstring(archive.read("META-INF/container.xml"), safe)
    package = next(iter(container.xpath("//@full-path")), "")
    book = etree.fromstring(archive.read(package), safe)
    files = {item.get("id"): item.get("href") for item in book.xpath("//*[local-name()='item']")}
    spine = [files.get(name) for name in book.xpath("//*[local-name()='itemref']/@idref")]
    found = Parsed(_line(next(iter(book.xpath("//*[local-name()='title']/text()")), "")))
    for number, chapter in enumerate(filter(None, spine), 1):
        page = archive.read(
            posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(chapter.split("#")[0])))
        )
        lines, heading = _html_lines(page)
        found.mark(heading or f"chapter {number}")
        found.add("\n".join(lines), "\n\n")
        watch(number, len(spine))
    return found


def html(raw: bytes, watch: Watch) -> Parsed:
    """The page's main text without menus, under its headings; all of its text where no main part can be told."""
    import trafilatura
    from lxml import etree

    text = decode(raw, "it")
    page = trafilatura.extract(text, output_format="xml", include_comments=False, favor_recall=True, with_metadata=True)
    found = Parsed()
    if page:
        tree = etree.fromstring(page.encode())
        found.title = _line(tree.get("title") or "")
        for block in tree.xpath("/doc/main/*"):
            lines = [_line(" | ".join(cell.xpath("string()") for cell in row)) for row in block.iter("row")]
            lines = lines or [_line(item.xpath("string()")) for item in block.iter("item")] or _pre(block)
            if block.tag == "head" and lines[0]:
                found.mark(lines[0])
            for line in filter(None, lines):
                found.add(line)
    if found.size < 200:  # too little to be an article: better the whole page
        lines, heading = _html_lines(raw)
        if sum(map(len, lines)) > found.size:
            found = Parsed(found.title or heading)
            found.add("\n".join(lines))
    return found


def table(raw: bytes, watch: Watch) -> Parsed:
    """A line a row, each value with its column's name."""
    text = decode(raw, "it")
    csv.field_size_limit(2**20)
    try:
        kind: Any = csv.Sniffer().sniff(text[:20_000], ",;\t|")
    except csv.Error:
        kind = csv.excel_tab if "\t" in text[:2000] else csv.excel
    rows = (row for row in csv.reader(io.StringIO(text, newline=""), kind) if any(map(str.strip, row)))
    names = [_line(name) for name in next(rows, [])]
    found = Parsed()
    for number, row in enumerate(rows, 2):
        found.mark(f"row {number}")
        named = (f"{name}: {_line(value)}" for name, value in zip(names, row, strict=False) if value.strip())
        found.add("; ".join(named))
        if number % 1000 == 0:
            watch(number, number)
    if not found.size:
        found.add("; ".join(names))
    return found


def records(raw: bytes, watch: Watch) -> Parsed:
    """JSON or JSON lines: a line a value with its path, a place a record."""
    text = decode(raw, "it")
    try:
        whole = json.loads(text)
        items = whole if isinstance(whole, list) else [whole]
    except ValueError:
        try:
            items = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise ParseError(f"is no JSON and no JSON lines ({error}). Mend it, or save it as text") from error
    found = Parsed()
    for number, item in enumerate(items, 1):
        if len(items) > 1:
            found.mark(f"record {number}")
        for path, value in _leaves(item, ""):
            found.add(f"{path}: {value}" if path else str(value))
        found.add("")
        if number % 1000 == 0:
            watch(number, len(items))
    return found


def mail(raw: bytes, watch: Watch) -> Parsed:
    """The headers that people read, the text, and the names of what is attached."""
    message = message_from_bytes(raw, _class=EmailMessage, policy=default)
    if not message.keys():
        raise ParseError("has no headers, so it is no e-mail. Save it as .txt")
    found = Parsed(_line(str(message["subject"] or "")))
    for name in ("Subject", "From", "To", "Cc", "Date"):
        if message[name]:
            found.add(f"{name}: {_line(str(message[name]))}")
    found.add("")
    body = message.get_body(("plain", "html"))
    if body is not None:
        content = body.get_content()
        lines = _html_lines(content.encode())[0] if body.get_content_subtype() == "html" else content.splitlines()
        found.add("\n".join(lines))
    for part in message.iter_attachments():
        if part.get_filename():
            found.add(f"Attachment: {_line(str(part.get_filename()))}")
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
            f"cannot be read as {suffix[1:].upper()} ({_line(reason)[:160]}). It is damaged or of another type"
        ) from error
    found.parts = [CONTROL.sub(" ", found.text)]
    return found


def _archive(raw: bytes, member: str) -> zipfile.ZipFile:
    """The zip, once it is known to be of the right type and not to swell without bounds."""
    if not raw.startswith(b"PK"):
        raise ParseError("is not what its name says: it does not begin as such a file. Give it its right suffix")
    archive = zipfile.ZipFile(io.BytesIO(raw))
    if sum(info.file_size for info in archive.infolist()) > MOST_UNPACKED:
        raise ParseError(f"unpacks to more than {MOST_UNPACKED // 2**20} MB. Cut it into smaller files")
    if member not in archive.namelist():
        raise ParseError(f"is not what its name says: it has no {member}. Give it its right suffix, .zip perhaps")
    return archive


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _pre(block: Any) -> list[str]:
    """A block's text as lines: code keeps its own, other text has one."""
    for end in block.iter("lb"):
        end.tail = "\n" + (end.tail or "")
    return [_line(line) for line in block.xpath("string()").splitlines()] or [""]


def _html_lines(raw: bytes) -> tuple[list[str], str]:
    """All of a page's visible text, a line a block, and its first heading."""
    from lxml import html as pages

    tree = pages.document_fromstring(raw or b"<p></p>", parser=pages.HTMLParser(encoding="utf-8", no_network=True))
    pieces: list[str] = []
    for event, node in _visible(tree):
        if node.tag in BLOCKS:
            pieces.append("\n")
        pieces.append(" ".join(((node.text if event == "start" else node.tail) or "").split("\n")))
    lines = [line for line in map(_line, "".join(pieces).split("\n")) if line]
    headings = [_line(found.text_content()) for found in tree.iter("h1", "h2", "h3")]
    return lines, next(filter(None, headings), "")


def _visible(tree: Any) -> Iterator[tuple[str, Any]]:
    """Start and end of each element that a reader sees, without recursion."""
    stack: list[tuple[str, Any]] = [("start", tree)]
    while stack:
        event, node = stack.pop()
        if event == "start" and (not isinstance(node.tag, str) or node.tag in UNSEEN):
            event = "end"
        yield event, node
        if event == "start":
            stack.append(("end", node))
            stack.extend(("start", child) for child in reversed(node))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each value below a JSON value with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value not in (None, ""):
        yield path, _line(str(value))


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
    source, out = sys.stdin.buffer, sys.stdout

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
