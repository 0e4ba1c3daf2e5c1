"""What a parser gives: text as it will be cited, with the place that each part came from."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_TEXT = 256 * 2**20  # characters
MOST_UNPACKED = 512 * 2**20  # bytes inside a DOCX, ODT or EPUB file, which are zips

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


def one_line(text: str | None) -> str:
    """The text with every run of space as one."""
    return " ".join((text or "").split())


def unpacked(raw: bytes, member: str) -> zipfile.ZipFile:
    """The zip, once it is known to be of the right type and not to swell without bounds."""
    if not raw.startswith(b"PK"):
        raise ParseError("is not what its name says: it does not begin as such a file. Give it its right suffix")
    archive = zipfile.ZipFile(io.BytesIO(raw))
    if sum(info.file_size for info in archive.infolist()) > MOST_UNPACKED:
        raise ParseError(f"unpacks to more than {MOST_UNPACKED // 2**20} MB. Cut it into smaller files")
    if member not in archive.namelist():
        raise ParseError(f"is not what its name says: it has no {member}. Give it its right suffix, .zip perhaps")
    return archive
