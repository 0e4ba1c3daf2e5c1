"""Office files to text: DOCX, ODT, tables, JSON and e-mail. Owns python-docx and odfdo."""

import csv
import io
import json
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from index.decode import decode
from index.markup import visible_lines
from index.parsed import Parsed, ParseError, Watch, one_line, unpacked


def docx(raw: bytes, watch: Watch) -> Parsed:
    """Paragraphs and tables in order, under their headings."""
    from docx import Document
    from docx.table import Table

    unpacked(raw, "word/document.xml")
    document = Document(io.BytesIO(raw))
    found = Parsed(one_line(document.core_properties.title))
    for number, block in enumerate(document.iter_inner_content()):
        if number % 500 == 0:
            watch(number, number)
        if isinstance(block, Table):
            for row in block.rows:
                cells = {id(cell._tc): one_line(cell.text) for cell in row.cells}  # a merged cell comes once
                found.add(" | ".join(filter(None, cells.values())))
            continue
        if block.style is not None and str(block.style.name).startswith(("Heading", "Title")) and block.text.strip():
            found.mark(one_line(block.text))
        found.add(block.text)
    return found


def odt(raw: bytes, watch: Watch) -> Parsed:
    """Paragraphs and headings in order."""
    from odfdo import Document

    unpacked(raw, "content.xml")
    document = Document(io.BytesIO(raw))
    found = Parsed(one_line(document.meta.title))
    for number, block in enumerate(document.body.get_elements("//text:h|//text:p[not(ancestor::text:p)]")):
        if number % 500 == 0:
            watch(number, number)
        text = one_line(block.inner_text)
        if block.tag == "text:h" and text:
            found.mark(text)
        found.add(text)
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
    names = [one_line(name) for name in next(rows, [])]
    found = Parsed()
    for number, row in enumerate(rows, 2):
        found.mark(f"row {number}")
        named = (f"{name}: {one_line(value)}" for name, value in zip(names, row, strict=False) if value.strip())
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
    found = Parsed(one_line(str(message["subject"] or "")))
    for name in ("Subject", "From", "To", "Cc", "Date"):
        if message[name]:
            found.add(f"{name}: {one_line(str(message[name]))}")
    found.add("")
    body = message.get_body(("plain", "html"))
    if body is not None:
        content = body.get_content()
        lines = visible_lines(content.encode())[0] if body.get_content_subtype() == "html" else content.splitlines()
        found.add("\n".join(lines))
    for part in message.iter_attachments():
        if part.get_filename():
            found.add(f"Attachment: {one_line(str(part.get_filename()))}")
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each value below a JSON value with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value not in (None, ""):
        yield path, one_line(str(value))
