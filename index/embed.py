"""Texts to vectors: the one owner of sentence-transformers.

Takes passages and questions; gives unit vectors. The bundled model unless another is named. Loading is put off to the
first use, since it imports torch (seconds); `Encoder` is what the rest of the product asks for, so tests can pass a small one.
"""

from copy import copy
from functools import cache, cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from index.split import Range
from index.weights import NAME, SPECIAL, ModelError, bundled_model, quiet_transformers

BATCH = 4  # texts: their activations stay in the processor's cache, 1.4 times faster than 32 (docs/indexing.md)
EMBEDDER = Path(__file__).parent / "embedder.safetensors"  # the bundled model's upper layers as `training.embedder` left them
QUESTIONS = Path(__file__).parent / "questions.safetensors"  # added to these for questions (`training.questions`)
RANGES, QUESTION_RANGES = Path(__file__).parent / "ranges.json", Path(__file__).parent / "questions.ranges.json"
RECENT = 4  # questions whose vectors are kept: what finds passages asks for one, and what reads them again
VERSION = "6"  # of the passages' vectors: raise it when the same text would get another one; an index records it
ASKED = "6.1"  # of the questions' vectors: what was learnt or found with others is not used


class Encoder(Protocol):
    """What an index needs of an embedding model."""

    name: str

    def documents(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (texts, dimension), float32, of passages."""

    def query(self, text: str) -> np.ndarray:
        """The unit vector (dimension,) of a question, float32."""

    def token_spans(self, texts: list[str]) -> list[list[Range]]:
        """For each text, the character range of each of its tokens."""


class SentenceEncoder:
    """Any sentence-transformers model, by local path or name; the bundled one by default.

    The bundled model would rank passages in the question's own language first; its upper layers are therefore retrained to bring
    questions to their passages across languages (`training.embedder`), and once more for questions' vectors (`training.questions`).
    """

    def __init__(self, name: str = NAME, exact: bool = False) -> None:
        """`exact` runs the bundled model in torch's float32, not in 8-bit integers (`quantised`)."""
        self.name, self._exact = name, exact
        self._lock = Lock()
        self._recent = lru_cache(RECENT)(self._query)

    @cached_property
    def folder(self) -> str:
        """Where the model lies: the converted bundled model, or `name` as it was given."""
        return str(bundled_model()) if self.name == NAME else self.name

    @property
    def model(self) -> Any:
        """The loaded model, for passages; raises ModelError when `name` is no model that this machine has."""
        with self._lock:
            return self._model

    @property
    def asking(self) -> Any:
        """The model for questions: the bundled one has upper layers of their own for them."""
        model = self.model
        with self._lock:
            return _asking(self.folder, not self._exact) if self.name == NAME else model

    @cached_property
    def _model(self) -> Any:
        local = self.name == NAME or Path(self.name).exists()
        try:
            ours = self.name == NAME
            return _loaded(self.folder, local, ours, ours and not self._exact)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"No sentence-transformers model at {self.name!r}. Give a folder or a name that is in the local cache: "
                f"cite index seeds --embedder FOLDER --rebuild"
            ) from error

    def documents(self, texts: list[str]) -> np.ndarray:
        """See `Encoder`; the model's own prompt for documents is used."""
        return self._encoded(self.model.encode_document, texts)

    def query(self, text: str) -> np.ndarray:
        """See `Encoder`; the model's own prompt for queries is used."""
        return self._recent(text)

    def _query(self, text: str) -> np.ndarray:
        vector: np.ndarray = self.queries([text])[0]
        vector.setflags(write=False)
        return vector

    def queries(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (texts, dimension) of questions."""
        return self._encoded(self.asking.encode_query, texts)

    def states(self, texts: list[str], asked: bool = False) -> list[np.ndarray]:
        """What the passages' model makes of each token of passages, or of questions: (tokens, dimension) each.

        The prompt and the end marks are left out.
        """
        model = self.model
        kind, encode = ("query", model.encode_query) if asked else ("document", model.encode_document)
        prompt = len(model.tokenizer.tokenize(model.prompts.get(kind, "").strip()))
        found = encode(texts, output_value="token_embeddings", batch_size=BATCH, show_progress_bar=False)
        return [states[1 + prompt : -1].numpy() for states in found]

    def _encoded(self, encode: Any, texts: list[str]) -> np.ndarray:
        if not texts:
            return np.empty((0, self.model.get_embedding_dimension()), dtype=np.float32)
        vectors: np.ndarray = encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return vectors

    def token_spans(self, texts: list[str]) -> list[list[Range]]:
        """See `Encoder`."""
        if not texts:
            return []
        found = self.model.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        return [[(int(a), int(b)) for a, b in spans] for spans in found["offset_mapping"]]


def bundled_tokenizer() -> Any:
    """A tokenizer of the bundled model without truncation or padding; its vocabulary (300 MB) is the embedder's own."""
    from tokenizers import Tokenizer

    loaded = _loaded(str(bundled_model()), True, True, True).tokenizer.backend_tokenizer
    made = Tokenizer(loaded.model)
    made.normalizer, made.pre_tokenizer = loaded.normalizer, loaded.pre_tokenizer
    made.post_processor, made.decoder = loaded.post_processor, loaded.decoder
    made.add_special_tokens(list(SPECIAL.values()))
    return made


@cache
def _loaded(folder: str, local: bool, ours: bool, fast: bool) -> Any:
    """The model in a folder, once for all indexes of the process."""
    from sentence_transformers import SentenceTransformer  # imports torch: 6 s

    from index import differences
    from index.quantised import Quantised, read_ranges
    from index.words import pack

    quiet_transformers()
    model = SentenceTransformer(folder, device="cpu", local_files_only=local)
    pack(model[0].auto_model, Path(folder))
    if ours:
        differences.add(model[0].auto_model, EMBEDDER)
    if fast:
        model[0].model = Quantised(model[0].auto_model, read_ranges(RANGES))
    return model


@cache
def _asking(folder: str, fast: bool) -> Any:
    """The bundled model with the questions' layers; its tokenizer and words are the passages' own."""
    from sentence_transformers import SentenceTransformer

    from index import differences
    from index.quantised import Quantised, read_ranges
    from index.words import load_packed

    told = _loaded(folder, True, True, fast)
    encoder = load_packed(Path(folder))
    differences.add(encoder, EMBEDDER)
    differences.add(encoder, QUESTIONS)
    first = copy(told[0])
    first._modules = dict(first._modules)  # what a copied module holds is still the first one's
    first.model = Quantised(encoder, read_ranges(QUESTION_RANGES)) if fast else encoder
    return SentenceTransformer(modules=[first, *list(told)[1:]], prompts=told.prompts, device="cpu")
