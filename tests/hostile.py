"""Thirty files that would harm a careless reader: bombs, loops, entity tricks, wrong types, broken zips, odd names."""

import io
import zipfile

from files import epub, pdf, table, word, zipped

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><x>&l11;</x>'.encode()
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'


def zeros(size: int) -> bytes:
    return zipped({"word/document.xml": b"0" * size, "[Content_Types].xml": b"<Types/>"})


def changed(raw: bytes, name: str, content: bytes) -> bytes:
    """The zip with one of its files exchanged."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    return zipped({**files, name: content})


def many_pages(count: int) -> bytes:
    """A small PDF that says it has so many pages: one page object, listed again and again."""
    kids = b"3 0 R " * count
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids),
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"]  # fmt: skip
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(
        out
        + b"xref\n0 4\n0000000000 65535 f \n"
        + rows
        + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start
    )


def looped(raw: bytes) -> bytes:
    return raw.replace(b"/Kids", b"/Kids [2 0 R 2 0 R]/Old", 1)


FILES = {
    "empty.pdf": b"", "blank.txt": b" \n\t ", "null.txt": b"text\x00more", "picture.txt": b"\x89PNG\r\n\x1a\n\x00\x00",
    "text.pdf": b"just words", "zip.pdf": zipped({"a.txt": b"x"}), "pdf.docx": pdf(), "docx.odt": word(), "epub.docx": epub(),
    "cut.pdf": pdf()[:300], "cut.docx": word()[:2000], "cut.epub": epub()[:-100], "scan.pdf": pdf([[], []]),
    "pages.pdf": many_pages(10_000), "loop.pdf": looped(many_pages(3)), "bomb.docx": zeros(600 * 2**20),
    "laughs.docx": changed(word(), "word/document.xml", BOMB), "outside.docx": changed(word(), "word/document.xml", OUTSIDE),
    "laughs.epub": changed(epub(), "META-INF/container.xml", BOMB), "outside.epub": changed(epub(), "OPS/book.opf", OUTSIDE),
    "deep.json": b"[" * 10**6, "half.json": b'{"a": ', "deep.html": b"<div>" * 100_000 + b"<p>At the bottom lies a pearl.</p>",
    "nothing.json": b"[]",
    "binary.csv": b"a,b\n\x00\x01,2\n", "binary.eml": bytes(range(256)) * 40, "no-header.eml": b"\n\nonly a body",
    "broken.zip": b"PK\x03\x04 broken", "none.zip": zipped({"a.exe": b"MZ"}), "nested.zip": zipped({"inner.zip": zipped({"a.txt": b"x"})}),
    "huge.zip": zipped({f"{i}.txt": b"0" * (90 * 2**20) for i in range(3)}),
}  # fmt: skip
HARMLESS = {  # odd, but there is something to read
    "names.zip": zipped({"../../escape.txt": b"The escaped file speaks of zebras.", "/etc/absolute.md": b"Absolute giraffes."}),
    "wide.csv": table() + b"," * 10**5 + b"\n",
}  # fmt: skip
