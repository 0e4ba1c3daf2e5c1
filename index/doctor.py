"""Is the index whole? Counts, offsets, vectors and words, each held against the texts.

Takes an open Index; gives what is wrong, and mends it where asked: the catalogue's texts are the truth, everything else can be
made from them again.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from index.library import Index
from index.split import split


@dataclass(slots=True)
class Findings:
    """What was checked and what was found, each a line."""

    documents: int = 0
    chunks: int = 0
    problems: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # documents to embed again
    strays: set[str] = field(default_factory=set)  # documents with chunks and no text
    languages: set[str] = field(default_factory=set)  # whose BM25 to make again

    def __str__(self) -> str:
        state = "whole" if not self.problems else f"{len(self.problems)} problems"
        return f"{self.documents} documents, {self.chunks} chunks: {state}"


def examine(index: Index, mend: bool = False) -> Findings:
    """Check everything against the catalogue's texts; with `mend`, make again what is wrong, and check once more."""
    with index.building:
        found = _look(index)
        if not (mend and found.problems):
            return found
        mended = _mend(index, found)
        again = _look(index)
        again.mended = mended
        return again


def _look(index: Index) -> Findings:
    found, counts = Findings(), Counter[str]()
    texts: dict[str, str | None] = {}
    by_language: dict[str, set[str]] = {}
    for page in index.store.pages():
        for chunk, vector in page:
            meta, identity = chunk.metadata, str(chunk.metadata["document"])
            found.chunks += 1
            counts[identity] += 1
            by_language.setdefault(meta["language"], set()).add(str(chunk.id))
            if identity not in texts:
                if len(texts) > 8:
                    texts.clear()
                document = index.catalogue.get(identity)
                texts[identity] = document.page_content if document else None
            text = texts[identity]
            if text is None:
                found.strays.add(identity)
            elif text[meta["start"] : meta["end"]] != chunk.page_content:
                found.broken.add(identity)
                found.problems.append(f"chunk {chunk.id} is not what its document says there")
            elif not np.isclose(np.linalg.norm(vector), 1, atol=1e-3):
                found.broken.add(identity)
                found.problems.append(f"chunk {chunk.id} has no sound vector")
    found.problems += [f"{identity} has chunks and no text" for identity in sorted(found.strays)]
    for entry in index.catalogue.entries():
        found.documents += 1
        if counts[entry.id] != entry.chunks:
            found.broken.add(entry.id)
            found.problems.append(f"{entry.source} has {counts[entry.id]} of {entry.chunks} chunks")
    for language in sorted(by_language.keys() | set(index.lexical.languages())):
        if index.lexical.ids(language) != by_language.get(language, set()):
            found.languages.add(language)
            found.problems.append(f"the word index of {language!r} is not in step with the chunks")
    return found


def _mend(index: Index, found: Findings) -> list[str]:
    done: list[str] = []
    with index.change() as touched:
        touched.update(found.languages)
        for identity in found.strays:
            touched.update(index.store.languages(identity))
            index.store.remove(identity)
            done.append(f"dropped the chunks of {identity}")
        for identity in found.broken - found.strays:
            if (document := index.catalogue.get(identity)) is not None:
                touched.update(index.store.languages(identity))
                index.store.remove(identity)
                chunks = list(split(document, index.encoder.token_spans))
                touched.update(index.put(chunks))
                index.catalogue.count(identity, len(chunks))
                done.append(f"embedded {document.metadata['source']} again")
    return [*done, *(f"made the word index of {language!r} again" for language in sorted(touched))]
