"""Markup to text: HTML pages and EPUB books. Owns trafilatura, and lxml for both."""

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from lxml import etree
from lxml import html as pages

from index.decode import decode
from index.parsed import Parsed, Watch, one_line, unpacked

BLOCKS = frozenset(
    "address article aside blockquote body br caption dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr "
    "li main nav ol p pre section table td th title tr ul".split()
)
UNSEEN = frozenset({"script", "style", "template", "noscript", "head"})


def html(raw: bytes, watch: Watch) -> Parsed:
    """The page's main text without menus, under its headings; all of its text where no main part can be told."""
    import trafilatura  # 0.3 s

    text = decode(raw, "it")
    page = trafilatura.extract(text, output_format="xml", include_comments=False, favor_recall=True, with_metadata=True)
    found = Parsed()
    if page:
        tree = etree.fromstring(page.encode())
        found.title = one_line(tree.get("title") or "")
        for block in tree.xpath("/doc/main/*"):
            lines = [one_line(" | ".join(cell.xpath("string()") for cell in row)) for row in block.iter("row")]
            lines = lines or [one_line(item.xpath("string()")) for item in block.iter("item")] or _pre(block)
            if block.tag == "head" and lines[0]:
                found.mark(lines[0])
            for line in filter(None, lines):
                found.add(line)
    if found.size < 200:  # too little to be an article: better the whole page
        lines, heading = visible_lines(raw)
        if sum(map(len, lines)) > found.size:
            found = Parsed(found.title or heading)
            found.add("\n".join(lines))
    return found


def epub(raw: bytes, watch: Watch) -> Parsed:
    """The chapters in the order of the book's spine."""
    archive = unpacked(raw, "META-INF/container.xml")
    safe = etree.XMLParser(resolve_entities=False, no_network=True)
    container = etree.fromstring(archive.read("META-INF/container.xml"), safe)
    package = next(iter(container.xpath("//@full-path")), "")
    book = etree.fromstring(archive.read(package), safe)
    files = {item.get("id"): item.get("href") for item in book.xpath("//*[local-name()='item']")}
    spine = [files.get(name) for name in book.xpath("//*[local-name()='itemref']/@idref")]
    found = Parsed(one_line(next(iter(book.xpath("//*[local-name()='title']/text()")), "")))
    for number, chapter in enumerate(filter(None, spine), 1):
        page = archive.read(
            posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(chapter.split("#")[0])))
        )
        lines, heading = visible_lines(page)
        found.mark(heading or f"chapter {number}")
        found.add("\n".join(lines), "\n\n")
        watch(number, len(spine))
    return found


def _pre(block: Any) -> list[str]:
    """A block's text as lines: code keeps its own, other text has one."""
    for end in block.iter("lb"):
        end.tail = "\n" + (end.tail or "")
    return [one_line(line) for line in block.xpath("string()").splitlines()] or [""]


def visible_lines(raw: bytes) -> tuple[list[str], str]:
    """All of a page's visible text, a line a block, and its first heading."""
    tree = pages.document_fromstring(raw or b"<p></p>", parser=pages.HTMLParser(encoding="utf-8", no_network=True))
    pieces: list[str] = []
    for event, node in _visible(tree):
        if node.tag in BLOCKS:
            pieces.append("\n")
        pieces.append(" ".join(((node.text if event == "start" else node.tail) or "").split("\n")))
    lines = [line for line in map(one_line, "".join(pieces).split("\n")) if line]
    headings = [one_line(found.text_content()) for found in tree.iter("h1", "h2", "h3")]
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
