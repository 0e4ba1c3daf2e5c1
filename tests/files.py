"""Small real files of each format, made by the libraries that write them, and hostile ones."""

import csv
import ctypes
import io
import json
import zipfile
from email.message import EmailMessage

import docx
import odfdo
import pypdfium2
import pypdfium2.raw as pdfium

PARTS = [
    ("Moon", "The Moon orbits the Earth at 384,400 km. Apollo 11 landed there in 1969."),
    ("Bread", "Sourdough rises with wild yeast. Bake the loaf at 230 degrees."),
    ("Accents", "Les élèves étudient à Besançon. Ils lisent « Germinal » d’Émile Zola."),
]


def pdf(pages: list[list[str]] | None = None) -> bytes:
    """A PDF of these lines a page, in Helvetica."""
    document = pypdfium2.PdfDocument.new()
    for lines in pages or [[title, *text.split(". ")] for title, text in PARTS]:
        page = document.new_page(595, 842)
        for number, line in enumerate(lines):
            shown = pdfium.FPDFPageObj_NewTextObj(document, b"Helvetica", 12)
            wide = (line + "\0").encode("utf-16-le")
            pdfium.FPDFText_SetText(shown, ctypes.cast(ctypes.create_string_buffer(wide), pdfium.FPDF_WIDESTRING))
            pdfium.FPDFPageObj_Transform(shown, 1, 0, 0, 1, 60, 760 - 16 * number)
            pdfium.FPDFPage_InsertObject(page, shown)
        page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Three subjects"
    for title, text in PARTS:
        document.add_heading(title, 1)
        document.add_paragraph(text)
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ("Planet", "Moons", "Jupiter", "95"), strict=True):
        cell.text = text
    return _saved(document)


def odt() -> bytes:
    document = odfdo.Document("text")
    document.body.clear()
    for title, text in PARTS:
        document.body.append(odfdo.Header(1, title))
        document.body.append(odfdo.Paragraph(text))
    return _saved(document)


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def epub() -> bytes:
    container = b'<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    items = "".join(f'<item id="c{i}" href="chapter%20{i}.xhtml"/>' for i in range(len(PARTS)))
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(PARTS)))
    package = f'<package xmlns:dc="urn:dc"><dc:title>A book</dc:title><manifest>{items}</manifest><spine>{spine}</spine></package>'
    chapters = {
        f"OPS/chapter {i}.xhtml": f"<html><head><title>x</title></head><body><h1>{title}</h1><p>{text}</p></body></html>".encode()
        for i, (title, text) in enumerate(PARTS)
    }
    return zipped({"META-INF/container.xml": container, "OPS/book.opf": package.encode(), **chapters})


def html() -> bytes:
    body = "".join(
        f"<h2>{title}</h2><p>{text} {'It is a well known fact of daily life. ' * 4}</p>" for title, text in PARTS
    )
    menu = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/shop'>Our shop</a></li></ul></nav>"
    return f"<html><head><title>Facts</title></head><body>{menu}<article><h1>Facts</h1>{body}</article></body></html>".encode()


def table(delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([("Name", "Fact"), *PARTS])
    return out.getvalue().encode()


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Réunion", "ada@example.org", "alan@example.org"
    message.set_content("\n".join(text for _, text in PARTS))
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="plan.pdf")
    return bytes(message)


EVERY = {
    "a.pdf": pdf(), "b.docx": word(), "c.odt": odt(), "d.epub": epub(), "e.html": html(), "f.csv": table(),
    "g.json": json.dumps([{"title": t, "facts": {"text": x}} for t, x in PARTS]).encode(),
    "h.jsonl": "\n".join(json.dumps({"title": t, "text": x}, ensure_ascii=False) for t, x in PARTS).encode(),
    "i.eml": mail(), "j.md": "\n".join(f"## {t}\n\n{x}\n" for t, x in PARTS).encode(),
    "k.txt": "\n".join(x for _, x in PARTS).encode(), "l.tsv": table("\t"),
}  # fmt: skip
