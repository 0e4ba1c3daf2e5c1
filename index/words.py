"""The bundled model's word vectors, kept at the four bits a weight that they come with.

Takes token ids; gives the very vectors that the float32 table would give. That table is 384 of the model's 470 MB, and the
embedder and the reader would each hold one; packed it is 54 MB, and they share it.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel

from index.weights import WORDS, quiet_transformers


class PackedWords(nn.Module):
    """An embedding table of (words, blocks, 16) bytes, two weights each, and (words, blocks) scales; it is not trained."""

    codes: torch.Tensor
    scale: torch.Tensor

    def __init__(self, codes: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors (…, dimension), float32, of token ids (…)."""
        codes, scale = self.codes[ids], self.scale[ids].float()
        weights = torch.cat([codes & 15, codes >> 4], dim=-1).float() - 8
        return (weights * scale[..., None]).flatten(-2)


@cache
def _tables(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    stored = load_file(folder / WORDS)
    return stored["codes"], stored["scale"]


def load_packed(folder: Path) -> Any:
    """The bundled encoder (transformers' BertModel) with the packed table."""
    quiet_transformers()
    encoder = AutoModel.from_pretrained(str(folder), add_pooling_layer=False)
    pack(encoder, folder)
    return encoder


def pack(encoder: nn.Module, folder: Path) -> None:
    """Give a BERT encoder the packed table in place of its own, where the folder has one."""
    if (folder / WORDS).exists():
        encoder.embeddings.word_embeddings = PackedWords(*_tables(folder))  # type: ignore[union-attr]
