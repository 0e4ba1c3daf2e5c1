"""The reader's network: the embedder's own encoder with its upper layers retrained, and three small heads.

Takes token ids of `<s> query: QUESTION </s> </s> PASSAGE </s>`; gives a start and an end logit a token, where position 0
stands for "no answer here", and one relevance logit a passage. With `passage: SENTENCE` in the question's place it checks
a sentence: the span is its evidence, and a doubt logit a token says which words the passage does not bear out (position 0:
the whole). Shipped as differences from the encoder that the index uses anyway: 4 bits a weight with a scale for each block
of 32, so that the file stays below 12 MB. `training` trains it; `read` and `support` decide what the numbers mean.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from index import differences
from index.words import load_packed

FROZEN_LAYERS = 3  # the lowest hold the alignment between languages, and cost no backward pass
MASKED = -1e4


class ReaderNetwork(nn.Module):
    """Span, relevance and doubt over the encoder's states."""

    def __init__(self, encoder_folder: Path) -> None:
        super().__init__()
        self.encoder = trainable(encoder_folder)
        hidden = self.encoder.config.hidden_size
        self.span = nn.Linear(hidden, 2)
        self.relevance = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.doubt = nn.Linear(hidden, 1)

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


def trainable(encoder_folder: Path) -> Any:
    """The bundled encoder (transformers' BertModel), whose words and FROZEN_LAYERS lowest layers stay as they are in training."""
    encoder = load_packed(encoder_folder)
    encoder.embeddings.requires_grad_(False)
    for layer in encoder.encoder.layer[:FROZEN_LAYERS]:
        layer.requires_grad_(False)
    return encoder


def save(network: ReaderNetwork, encoder_folder: Path, path: Path, notes: dict[str, str]) -> None:
    """Write what training changed to `path` (safetensors): encoder matrices as 4-bit differences, the rest as float16."""
    differences.write(network.trained().items(), encoder_folder, path, notes, "encoder.")


def load(encoder_folder: Path, path: Path) -> ReaderNetwork:
    """The network with the differences at `path` added to the encoder in `encoder_folder`, ready to run.

    Raises ModelError when the file names tensors that the encoder does not have.
    """
    network = ReaderNetwork(encoder_folder)
    differences.add(network, path)
    return network.eval()
