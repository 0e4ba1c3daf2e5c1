"""The reader's network: the embedder's own encoder with its upper layers retrained, and three small heads.

Takes token ids of `<s> query: QUESTION </s> </s> PASSAGE </s>`; gives a start and an end logit a token, where position 0
stands for "no answer here", and one relevance logit a passage. With `passage: SENTENCE` in the question's place it checks
a sentence: the span is its evidence, and a doubt logit a token says which words the passage does not bear out (position 0:
the whole). Shipped as differences from the encoder that the index uses anyway: 4 bits a weight with a scale for each block
of 32, so that the file stays below 12 MB. `training` trains it; `read` and `support` decide what the numbers mean.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import AutoModel

from index.weights import ModelError, quiet_transformers
from index.words import pack

FROZEN_LAYERS = 3  # the lowest hold the alignment between languages, and cost no backward pass
BLOCK = 32  # weights that share a scale
MASKED = -1e4


class ReaderNetwork(nn.Module):
    """Span, relevance and doubt over the encoder's states."""

    def __init__(self, encoder_folder: Path) -> None:
        super().__init__()
        quiet_transformers()
        self.encoder = AutoModel.from_pretrained(str(encoder_folder), add_pooling_layer=False)
        pack(self.encoder, encoder_folder)
        hidden = self.encoder.config.hidden_size
        self.span = nn.Linear(hidden, 2)
        self.relevance = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.doubt = nn.Linear(hidden, 1)
        self.encoder.embeddings.requires_grad_(False)
        for layer in self.encoder.encoder.layer[:FROZEN_LAYERS]:
            layer.requires_grad_(False)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, passage: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Start and end logits, each (batch, tokens), relevance logits (batch,), and doubt logits (batch, tokens).

        `ids`, `mask` and `passage` are (batch, tokens); `passage` is true on the passage's tokens. Tokens outside the
        passage get -1e4, except position 0, the null answer.
        """
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        allowed = passage.bool().clone()
        allowed[:, 0] = True
        logits = self.span(states).masked_fill(~allowed[..., None], MASKED)
        return logits[..., 0], logits[..., 1], self.relevance(states[:, 0]).squeeze(-1), self.doubt(states).squeeze(-1)

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}


def save(network: ReaderNetwork, encoder_folder: Path, path: Path, notes: dict[str, str]) -> None:
    """Write what training changed to `path` (safetensors): encoder matrices as 4-bit differences, the rest as float16."""
    base = load_file(encoder_folder / "model.safetensors")
    out: dict[str, np.ndarray] = {}
    for name, parameter in network.trained().items():
        value = parameter.detach().cpu().numpy()
        original = base.get(name.removeprefix("encoder."))
        if original is not None and value.ndim == 2:
            out[f"{name}.q4"], out[f"{name}.scale"] = _quantise(value - original)
        else:
            out[name] = value.astype("f2")
    partial = path.with_suffix(".partial")
    save_file(out, partial, notes)
    partial.replace(path)


def load(encoder_folder: Path, path: Path) -> ReaderNetwork:
    """The network with the differences at `path` added to the encoder in `encoder_folder`, ready to run.

    Raises ModelError when the file names tensors that the encoder does not have.
    """
    network = ReaderNetwork(encoder_folder)
    state = network.state_dict()
    stored = load_file(path)
    for key, value in stored.items():
        name = key.removesuffix(".q4").removesuffix(".scale")
        if name not in state:
            raise ModelError(f"{path.name} does not fit the encoder: no tensor {name!r}. Reinstall: make install")
        if key.endswith(".q4"):
            state[name] = state[name] + torch.from_numpy(_restore(value, stored[f"{name}.scale"]))
        elif not key.endswith(".scale"):
            state[name] = torch.from_numpy(value.astype("f4"))
    network.load_state_dict(state)
    return network.eval()


def _quantise(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two 4-bit codes a byte (rows, columns / 2) and a float16 scale a block (rows, columns / 32)."""
    rows, columns = difference.shape
    blocks = difference.reshape(rows, columns // BLOCK, BLOCK)
    scale = (np.abs(blocks).max(axis=2) / 7).astype("f2")
    safe = np.maximum(scale.astype("f4"), 1e-12)[..., None]
    codes = (np.clip(np.rint(blocks / safe), -7, 7) + 8).astype("u1").reshape(rows, columns)
    return codes[:, 0::2] | (codes[:, 1::2] << 4), scale


def _restore(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    rows, half = codes.shape
    values = np.empty((rows, half * 2), dtype="f4")
    values[:, 0::2], values[:, 1::2] = codes & 15, codes >> 4
    blocks = (values - 8).reshape(rows, -1, BLOCK) * scale.astype("f4")[..., None]
    return blocks.reshape(rows, half * 2)
