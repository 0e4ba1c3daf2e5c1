"""PDF pages: their text, where each character stands, and their picture.

Takes a PDF's bytes; gives text whose every character is known on the page, so that a quote can be boxed. Lines that one
paragraph runs over are joined, and words that a line's end divides. PDFium is not safe to share between threads: this runs in the
child process of `sandbox`. Owns pypdfium2.
"""

import ctypes
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as raw_api

HYPHENS = ("\x02", "\xad", "\ufffe")  # how PDFium writes a hyphen at a line's end
SHORT_LINE = 0.62  # of the page's usual line: a shorter one ends its paragraph
BULLET = re.compile(r"\s*(?:[•·▪‣–—*-]|\(?\d{1,3}[.)]|[a-z][.)])\s")
CLOSED = (".", "!", "?", ":", "…", "。", "！", "？", "؟", "।", "”", "»", '"', ")")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
SCALE = 2.0  # pixels a point, of a page's picture: 144 dpi
LARGEST = 2200  # pixels of its longer side

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the page


class PdfError(ValueError):
    """A PDF that cannot be opened; the message follows its name in a sentence."""


@contextmanager
def open_pdf(raw: bytes) -> Iterator[Any]:
    """The document, closed at the end; raises PdfError where it cannot be opened."""
    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        why = "asks for a password. Save it without one" if locked else "is no PDF, or is damaged. Save it anew"
        raise PdfError(why) from error
    try:
        yield document
    finally:
        document.close()


def page_text(document: Any, number: int) -> tuple[str, list[int]]:
    """A page's text, and for each of its characters the PDFium index it comes from (-1 for a space that joins lines)."""
    page = document[number]
    text_page = page.get_textpage()
    try:
        count = raw_api.FPDFText_CountChars(text_page)
        codes = [raw_api.FPDFText_GetUnicode(text_page, i) for i in range(count)]
    finally:
        text_page.close()
        page.close()
    return _joined([chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd" for code in codes])


def _joined(characters: list[str]) -> tuple[str, list[int]]:
    lines: list[list[tuple[str, int]]] = [[]]
    for index, character in enumerate(characters):
        if character == "\n":
            lines.append([])
        elif character != "\r":
            lines[-1].append((character, index))
            if character in HYPHENS:  # PDFium gives one in place of a hyphen and its line's end
                lines.append([])
    lengths = sorted(len(line) for line in lines if line)
    usual = lengths[round(0.9 * (len(lengths) - 1))] if lengths else 0
    out: list[tuple[str, int]] = []
    for line, after in pairwise([*lines, []]):
        out.extend(line)
        text, following = "".join(c for c, _ in line).rstrip(), "".join(c for c, _ in after).lstrip()
        if not line or not following or _ends(text, following, usual):
            out.append(("\n", -1))
        elif text.endswith(HYPHENS) or (text.endswith("-") and text[-2:-1].isalpha() and following[0].islower()):
            while out and (out[-1][0].isspace() or out[-1][0] in (*HYPHENS, "-")):
                out.pop()
        elif not (CJK.match(text[-1:]) and CJK.match(following)):
            out.append((" ", -1))
    clean = [(" " if c in HYPHENS or (c < " " and c != "\n") else c, i) for c, i in out]
    return "".join(c for c, _ in clean), [i for _, i in clean]


def _ends(line: str, following: str, usual: int) -> bool:
    """Whether a paragraph (or a heading, or an item of a list) ends with this line."""
    short = len(line) < SHORT_LINE * usual
    if BULLET.match(following):
        return True
    return short and (line.endswith(CLOSED) or not following[0].islower()) and not line.endswith((",", *HYPHENS, "-"))


def boxes(raw: bytes, number: int, start: int, end: int) -> list[Box]:
    """Where characters `start` to `end` of a page's text stand: a box a line."""
    with open_pdf(raw) as document:
        _, indexes = page_text(document, number)
        page = document[number]
        text_page = page.get_textpage()
        width, height = page.get_size()
        found: list[Box] = []
        for index in (i for i in indexes[start:end] if i >= 0):
            left, bottom, right, top = _box(text_page, index)
            box = left / width, 1 - top / height, right / width, 1 - bottom / height
            if right <= left:
                continue
            if found and abs(found[-1][3] - box[3]) < 0.6 * (box[3] - box[1]) + 0.004 and box[0] - found[-1][2] < 0.08:
                last = found[-1]
                found[-1] = last[0], min(last[1], box[1]), max(last[2], box[2]), max(last[3], box[3])
            else:
                found.append(box)
        return found


def _box(text_page: Any, index: int) -> Box:
    """A character's left, bottom, right and top, in points, as high as its line."""
    found = raw_api.FS_RECTF()
    raw_api.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(found))
    return found.left, found.bottom, found.right, found.top


def picture(raw: bytes, number: int) -> bytes:
    """The page as a PNG."""
    with open_pdf(raw) as document:
        page = document[number]
        scale = min(SCALE, LARGEST / max(page.get_size()))
        image = page.render(scale=scale).to_pil()
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()
