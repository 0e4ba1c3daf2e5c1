"""Bytes to text, whatever wrote them.

Takes bytes; gives text, by their BOM (dropped), as UTF-8, or in the likeliest legacy encoding. Owns charset_normalizer.
"""

import codecs
import re

BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
LEGACY = "cp1252 cp1251 cp1250 cp1253 cp1254 cp1256 gb18030 shift_jis big5 euc_kr".split()  # most common first
BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
GUESSED = 2**20  # bytes that the guess looks at


class NotText(ValueError):
    """Binary data; the message names it."""


def decode(raw: bytes, name: str) -> str:
    """The bytes as text; raises NotText for binary data, which `name` begins the message of."""
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

    found = [] if BINARY.search(raw.decode("latin-1")) else list(from_bytes(raw[:GUESSED]))
    if not found:
        raise NotText(f"{name} is binary or in no known encoding. Save it as UTF-8 text")
    ties = [match for match in found if (match.chaos, match.coherence) == (found[0].chaos, found[0].coherence)]
    best = min(ties, key=lambda match: LEGACY.index(match.encoding) if match.encoding in LEGACY else len(LEGACY))
    return str(best) if len(raw) <= GUESSED else raw.decode(best.encoding, errors="replace")


def _checked(text: str, name: str) -> str:
    if BINARY.search(text):
        raise NotText(f"{name} holds binary data. Save it as UTF-8 text")
    return text
