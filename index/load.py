"""Files to Documents: the text as it stands, its identity, title and language.

Takes paths; gives LangChain `Document`s whose `page_content` every later offset refers to. The identity is the hash of the
bytes, so a renamed file is the same document and a changed one is another. Cutting the text is left to `split`.
"""

import codecs
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from langchain_core.documents import Document

from index.language import detect

SUFFIXES = frozenset({".txt", ".md"})
TITLE_LENGTH = 80  # characters
BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
LEGACY = (
    "cp1252",
    "cp1251",
    "cp1250",
    "cp1253",
    "cp1254",
    "cp1256",
    "gb18030",
    "shift_jis",
    "big5",
    "euc_kr",
)  # most common first
BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class LoadError(ValueError):
    """A file that cannot be indexed; the message names it and says what to do."""


def find(paths: Iterable[Path]) -> list[Path]:
    """The loadable files among `paths` and below its folders, sorted; hidden ones are passed over.

    Raises LoadError for a path that does not exist, and for a file named outright whose type is not known.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            found.update(dict.fromkeys(p for p in inside if not _hidden(p.relative_to(path))))
        elif not path.exists():
            raise LoadError(f"{path} does not exist. Name a file or a folder: cite index seeds")
        elif path.suffix.lower() not in SUFFIXES:
            raise LoadError(f"{path} is not one of {', '.join(sorted(SUFFIXES))}. Convert it to text first")
        else:
            found[path] = None
    return list(found)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read(path: Path) -> bytes:
    """The file's bytes; raises LoadError when they cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LoadError(f"{path} cannot be read ({error.strerror}). Check its permissions") from error


def identity(raw: bytes) -> str:
    """A document's id: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def load(path: Path, raw: bytes | None = None) -> Document:
    """The file as a Document with its `identity` as id; metadata has `source`, `title` and `language`.

    `raw` are its bytes where they were read already. Raises LoadError when it cannot be read, is binary, or holds no text.
    """
    raw = read(path) if raw is None else raw
    text = decode(raw, str(path))
    if not text.strip():
        raise LoadError(f"{path} holds no text. Leave it out, or fill it and index again")
    metadata = {"source": path.as_posix(), "title": title(text), "language": detect(text)}
    return Document(id=identity(raw), page_content=text, metadata=metadata)


def decode(raw: bytes, name: str) -> str:
    """The bytes as text: by their BOM (dropped), as UTF-8, or by charset_normalizer's best guess.

    Raises LoadError for binary data.
    """
    try:
        for bom, encoding in BOMS:
            if raw.startswith(bom):
                return _checked(raw[len(bom) :].decode(encoding), name)
        return _checked(raw.decode("utf-8"), name)
    except UnicodeDecodeError:
        return _checked(_guess(raw, name), name)


def _guess(raw: bytes, name: str) -> str:
    """The text in the likeliest legacy encoding; of equally likely ones the more common."""
    from charset_normalizer import from_bytes  # seldom needed

    found = [] if BINARY.search(raw.decode("latin-1")) else list(from_bytes(raw))
    if not found:
        raise LoadError(f"{name} is binary or in no known encoding. Save it as UTF-8 text")
    ties = [match for match in found if (match.chaos, match.coherence) == (found[0].chaos, found[0].coherence)]
    return str(min(ties, key=lambda match: LEGACY.index(match.encoding) if match.encoding in LEGACY else len(LEGACY)))


def _checked(text: str, name: str) -> str:
    if BINARY.search(text):
        raise LoadError(f"{name} holds binary data. Save it as UTF-8 text")
    return text


def title(text: str) -> str:
    """The first line's first words, whole, without Markdown's heading marks."""
    line = next((line.strip(" \t#*_") for line in text.splitlines() if line.strip(" \t#*_")), "")
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH]
    return cut[: cut.rfind(" ") if " " in cut else None].rstrip(" ,;:") + "…"
