"""The 8-bit engines against torch's float32: the same states on any encoder, the same spans and neighbours with the bundled one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SEED
from test_weights import TEXTS
from torch import nn
from transformers import BertConfig, BertModel

from index.embed import SentenceEncoder
from index.quantised import Quantised, multiplies_signed
from rag.read import QuantisedEngine, SpanReader, TorchEngine
from training.quantise import ranges

QUESTIONS = ("Who supplied drones?", "Qui a appelé à un cessez-le-feu ?", "Wie groß ist das Gebiet?", "谁提供了无人机？",
             "Кто продаёт оружие?")  # fmt: skip


@pytest.fixture(scope="module")
def small() -> BertModel:
    """An encoder with two channels that are far larger than the others, as trained ones have."""
    torch.manual_seed(1)
    encoder = BertModel(
        BertConfig(vocab_size=200, hidden_size=192, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256),
        add_pooling_layer=False,
    ).eval()
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.08)
            module.weight.data[:, [3, 7]] /= 5
        elif isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.bias, std=0.2)
            module.bias.data[3], module.weight.data[7] = 14.0, 5.0
    return encoder


@pytest.mark.parametrize("signed", [False, pytest.param(True, marks=pytest.mark.skipif(not multiplies_signed(), reason="no VNNI"))])
def test_states_are_nearly_those_of_the_encoder(small: BertModel, signed: bool) -> None:
    rng = np.random.default_rng(2)
    found = ranges(small, rng.integers(0, 200, (40, 30)).tolist())
    unsplit = {name: r._replace(large=[]) for name, r in found.items()}
    ids = torch.from_numpy(rng.integers(0, 200, (5, 24)))
    mask = torch.ones_like(ids)
    mask[1, 9:] = mask[3, 20:] = 0
    with torch.inference_mode():
        exact, split, whole = (
            network(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
            for network in (small, Quantised(small, found, signed), Quantised(small, unsplit, signed))
        )
    lost, without = (float((states - exact).norm() / exact.norm()) for states in (split, whole))
    assert lost < 0.05 and lost < without / 3


def test_texts_of_like_lengths_are_run_together_and_no_padding_is_read(small: BertModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    network = Quantised(small, ranges(small, rng.integers(0, 200, (40, 30)).tolist()))
    lengths = [9, 2, 5, 7, 3, 9, 4]
    ids = torch.from_numpy(rng.integers(2, 200, (len(lengths), 9)))
    mask = (torch.arange(9) < torch.tensor(lengths)[:, None]).long()
    run, shapes = network._session.run, list[tuple[int, ...]]()

    def noted(outputs: None, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
        shapes.append(fed["mask"].shape)
        made: list[np.ndarray] = run(outputs, fed)
        return made

    monkeypatch.setattr(network, "_session", SimpleNamespace(run=noted))
    found = network(input_ids=ids, attention_mask=mask).last_hidden_state
    assert shapes == [(4, 5), (3, 9)]
    for row, length in enumerate(lengths):
        alone = network(input_ids=ids[row : row + 1, :length], attention_mask=mask[row : row + 1, :length]).last_hidden_state
        assert torch.allclose(found[row, :length], alone[0], atol=1e-5)


@pytest.mark.model
def test_vectors_are_nearly_those_of_float32_whatever_stands_beside_them() -> None:
    quick, exact = SentenceEncoder(), SentenceEncoder(exact=True)
    ours, theirs = (encoder.documents(TEXTS) for encoder in (quick, exact))
    assert (ours * theirs).sum(axis=1).min() > 0.99
    alone = quick.documents(TEXTS[:1])
    assert np.allclose(alone, ours[:1], atol=1e-5)


@pytest.mark.model
def test_spans_are_nearly_always_those_of_float32() -> None:
    text = SEED.read_text(encoding="utf-8")
    passages = [text[at : at + 500] for at in range(0, len(text) - 500, 500)][:10]
    quick, exact = QuantisedEngine(), TorchEngine()
    same, moved = [], []
    for question in QUESTIONS:
        batch = SpanReader.collate(SpanReader(quick).encode(question, passages))
        ours, theirs = quick.run(*batch), exact.run(*batch)
        same += [a.argmax(1) == b.argmax(1) for a, b in zip(ours[:2], theirs[:2], strict=True)]
        moved.append(np.abs(ours[2] - theirs[2]))
    assert np.concatenate(same).mean() >= 0.85 and np.median(moved) < 0.5
