"""Files to Documents: the text as it stands, its identity, title, language and places.

Takes paths; gives LangChain `Document`s whose `page_content` every later offset refers to. The identity is the hash of the
bytes, so a renamed file is the same document and a changed one is another. Plain text is decoded here; other formats are read by
`parse` in a process of their own. A zip's files are documents like others.
"""

import hashlib
import os
import re
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from langchain_core.documents import Document

from index.decode import NotText, decode
from index.language import detect
from index.sandbox import Sandbox, SandboxError

TEXT = frozenset({".txt", ".text", ".md", ".markdown", ".rst"})
PARSED = frozenset(
    {".pdf", ".docx", ".odt", ".epub", ".html", ".htm", ".xhtml", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".eml"}
)
ARCHIVE = ".zip"
SUFFIXES = TEXT | PARSED | {ARCHIVE}
UPLOADED = ".files"  # the end of the name of the folder that files are uploaded into
INSIDE = "!/"  # between a zip's path and the name of a file in it
LARGEST_MB = int(os.environ.get("CITE_MAX_MB", "256"))  # of one file, and of all files of one zip
MOST_MEMBERS = int(os.environ.get("CITE_MAX_FILES", "10000"))  # in one zip
TITLE_LENGTH = 80  # characters
HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
NO_TITLE = re.compile(r"untitled|microsoft word|document\d*$|.*\.(?:docx?|pdf|indd|tex|odt|html?)$", re.IGNORECASE)

Progress = Callable[[int, int], None]


class LoadError(ValueError):
    """A file that cannot be indexed; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a file in a zip; `name` is as the user named it, `place` is absolute."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """For people: the path as it was given, the bare name of a file that was uploaded."""
        path = Path(self.path.name) if self.path.parent.name.endswith(UPLOADED) else self.path
        return path.as_posix() + (INSIDE + self.member if self.member else "")

    @property
    def place(self) -> str:
        """Where it was seen: what the catalogue knows it by, beside its content."""
        return str(self.path.resolve()) + (INSIDE + self.member if self.member else "")

    @property
    def suffix(self) -> str:
        """Its type: ".pdf"."""
        return Path(self.member or self.path.name).suffix.lower()


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
            raise LoadError(f"{path} is not one of {', '.join(sorted(SUFFIXES))}. Save it as one of them first")
        else:
            found[path] = None
    return list(found)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "~$", "__MACOSX")) for part in path.parts)


def members(path: Path) -> list[Source]:
    """The loadable files in a zip, or the file itself; raises LoadError when the zip is broken, or has too many or too much."""
    if path.suffix.lower() != ARCHIVE:
        return [Source(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [info for info in archive.infolist() if Path(info.filename).suffix.lower() in SUFFIXES - {ARCHIVE}]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise LoadError(
            f"{Source(path).name} cannot be opened as a zip ({error}). Pack it anew, or unpack it and index the folder"
        ) from error
    listed = [info for info in listed if not info.is_dir() and not _hidden(Path(info.filename))]
    if len(listed) > MOST_MEMBERS or sum(info.file_size for info in listed) > largest():
        limits = f"{MOST_MEMBERS:,} files or {LARGEST_MB} MB (CITE_MAX_FILES, CITE_MAX_MB)"
        raise LoadError(f"{Source(path).name} unpacks to more than {limits}. Unpack it and index the folder")
    if not listed:
        raise LoadError(f"{Source(path).name} holds no file of a known type. Unpack it and look")
    return [Source(path, info.filename) for info in listed]


def largest() -> int:
    """The most bytes of one file."""
    return LARGEST_MB * 2**20


def too_large(name: str) -> str:
    """What is told of a file that has more."""
    return f"{name} is larger than {LARGEST_MB} MB. Cut it up, or raise the limit: CITE_MAX_MB=1000"


def read(source: Source) -> bytes:
    """The file's bytes; raises LoadError when they cannot be read or are too many."""
    try:
        if source.member:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as file:
                raw = file.read(largest() + 1)
        else:
            with source.path.open("rb") as file:
                raw = file.read(largest() + 1)
    except OSError as error:
        raise LoadError(f"{source.name} cannot be read ({error.strerror}). Check its permissions") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError) as error:
        raise LoadError(f"{source.name} cannot be unpacked ({error}). Unpack the zip and index the folder") from error
    if len(raw) > largest():
        raise LoadError(too_large(source.name))
    return raw


def identity(raw: bytes) -> str:
    """A document's id: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def load(
    source: Source, raw: bytes, sandbox: Sandbox | None = None, progress: Progress = lambda done, of: None
) -> Document:
    """The file as a Document with its `identity` as id.

    Its metadata has `source`, `title`, `language`, `kind` (the suffix) and `places`: (start, "page 3") where each begins. Raises
    LoadError when the bytes are binary, damaged, not what the suffix says, or hold no text. Without a `sandbox` one is
    started for this file alone.
    """
    text, places, own_title = _content(source, raw, sandbox, progress)
    if not text or text.isspace():
        raise LoadError(f"{source.name} holds no text. Leave it out, or fill it and index again")
    shown = own_title if len(own_title) > 3 and not NO_TITLE.match(own_title) else title(text)
    metadata = {
        "source": source.name,
        "title": shown,
        "language": detect(text),
        "kind": source.suffix,
        "places": places,
    }
    return Document(id=identity(raw), page_content=text, metadata=metadata)


def _content(
    source: Source, raw: bytes, sandbox: Sandbox | None, progress: Progress
) -> tuple[str, list[tuple[int, str]], str]:
    if source.suffix in TEXT:
        try:
            text = decode(raw, source.name)
        except NotText as error:
            raise LoadError(str(error)) from error
        return text, list(_headings(text)) if source.suffix in (".md", ".markdown") else [], ""
    if not raw:
        raise LoadError(f"{source.name} is empty. Leave it out, or fill it and index again")
    try:
        with nullcontext(sandbox) if sandbox else Sandbox() as parsers:
            reply = parsers.parse(raw, source.suffix, progress)
    except SandboxError as error:
        raise LoadError(f"{source.name} {error}") from error
    return reply.text, reply.places, title(reply.title)


def _headings(text: str) -> Iterator[tuple[int, str]]:
    for match in HEADING.finditer(text):
        yield match.start(), match[1]


def place_at(places: list[tuple[int, str]], offset: int) -> str:
    """The place that holds a character: "page 3", "row 12", a heading, or "" where nothing is known."""
    at = bisect_right(places, offset, key=lambda place: place[0])
    return places[at - 1][1] if at else ""


def title(text: str) -> str:
    """The first line's first words, whole, without Markdown's heading marks."""
    line = next((found for found in map(_bare, text[:20_000].splitlines()) if found), "")
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH]
    return cut[: cut.rfind(" ") if " " in cut else None].rstrip(" ,;:") + "…"


def _bare(line: str) -> str:
    return line.strip(" \t#*_")
