import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from index.embed import VERSION, SentenceEncoder
from rag.calibration import WEIGHTS
from rag.match import Matcher
from training.listed import RIVALS, Asked, Encoded, Listed, Passage, listed, passages
from training.match import SIZE, Match, loss

STATES = 80  # numbers in a token's state, enough for SIZE axes


class WordEncoder(SentenceEncoder):
    """A state of each word, drawn by the word."""

    def states(self, texts: list[str], asked: bool = False) -> list[np.ndarray]:
        return [np.array([self._state(word) for word in text.split()]).reshape(-1, STATES) for text in texts]

    @staticmethod
    def _state(word: str) -> np.ndarray:
        return np.random.default_rng(sum(word.encode())).normal(size=STATES)

    def token_spans(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return [[(at, at + 1) for at in range(len(text))] for text in texts]


@pytest.fixture
def matcher(tmp_path: Path) -> Callable[[np.ndarray], Matcher]:
    def made(weight: np.ndarray) -> Matcher:
        save_file({"turn": np.eye(STATES, dtype="f2"), "shift": np.zeros(STATES, "f2"), "weight": weight.astype("f2")}, tmp_path / "w")
        return Matcher(tmp_path / "w", WordEncoder())

    return made


def test_each_token_of_the_question_looks_for_its_like(matcher: Callable[[np.ndarray], Matcher]) -> None:
    plain = matcher(np.zeros((1, STATES)))
    whole, half, none = plain("red sails", ["sails of red cloth", "sails of blue cloth", "a market opens"])
    assert whole == pytest.approx(1.0, abs=1e-5) and whole > half + 0.2 > none + 0.3
    assert plain("red sails", []) == [] and plain(" ", ["sails"]) == [0.0] and plain("red", [" "]) == [-1.0]
    red, _ = WordEncoder().states(["red sails"])[0]
    by_red = matcher((8 / (red @ red) * red)[None])  # "red" counts more
    assert by_red("red sails", ["red cloth"])[0] > 0.9 > by_red("red sails", ["sails of blue cloth"])[0]


def test_what_is_trained_is_what_the_product_computes(tmp_path: Path) -> None:
    encoder, texts = WordEncoder(), ["sails of red cloth", "the market opens at nine today"]
    states = np.random.default_rng(0).normal(size=(300, STATES)).astype("f4")
    match = Match(states)
    with torch.no_grad():
        match.weight.normal_(generator=torch.Generator().manual_seed(1))
        match.weight *= 0.1
    save_file({name: getattr(match, name).detach().numpy() for name in ("turn", "shift", "weight")}, tmp_path / "w")
    asked, told = Encoded(encoder, ["who makes red sails", "when"], asked=True), Encoded(encoder, texts, asked=False)
    (states_told, there) = told.padded([0, 1])
    found = match(*asked.padded([0, 1]), states_told.expand(2, 2, -1, -1), there.expand(2, 2, -1))
    assert found[0].tolist() == pytest.approx(Matcher(tmp_path / "w", encoder)("who makes red sails", texts), abs=1e-2)
    assert match.turn.shape == (SIZE, STATES)


def test_what_stands_beside_a_question() -> None:
    contexts = {"The sails are red. They were made in Brest.": "en", "Brest is in Brittany.": "en", "The market opens.": "en"}
    shown = passages(contexts, WordEncoder())
    assert [passage.text for passage in shown] == [*contexts]
    context = shown[0].context
    start = context.index("Brest")
    asked = [Asked("Where were the sails made?", context, start, start + 5), Asked("Who made the sails?", context, -1, -1)]
    vectors = np.eye(3, dtype="f4")
    made, missed = listed(asked, shown, np.array([[0.1, 0.9, 0.2], [0.1, 0.9, 0.2]], "f4"), vectors)
    assert (made.right, made.wrong) == ([0], [2])  # the second holds the answer's word
    assert (missed.right, missed.wrong) == ([], [0, 1, 2])


def test_training_tells_the_passage_that_answers_from_the_others() -> None:
    words, rng = [f"{chr(97 + i % 26)}{i}" for i in range(200)], random.Random(1)
    shown = [Passage("", 0, 0, " ".join(rng.sample(words, 6))) for _ in range(40)]
    encoder = WordEncoder()
    told = Encoded(encoder, [passage.text for passage in shown], asked=False)
    asked = Encoded(encoder, [" ".join(passage.text.split()[:3]) for passage in shown], asked=True)
    lists = [Listed(i, [i] if i % 2 else [], [j for j in range(40) if j != i][: RIVALS if i % 3 else 2]) for i in range(40)]
    match = Match(told.states.astype("f4"))
    optimizer, losses = torch.optim.Adam(match.parameters(), lr=0.02), []
    for _ in range(30):
        found = loss(match, lists, asked, told, random.Random(1))
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert losses[-1] < losses[0] / 3


def test_the_shipped_weights_were_learnt_on_the_vectors_that_ship() -> None:
    with safe_open(WEIGHTS / "match.safetensors", "np") as stored:
        assert stored.metadata()["vectors"] == VERSION


@pytest.mark.model
def test_the_shipped_matcher_tells_what_a_passage_is_about_across_languages() -> None:
    asked = "Wer liefert die Kränze?"
    wreaths = "Le corone per la cerimonia arrivano dalla cooperativa dei pescatori di tonno."
    sails = "Τα πανιά ράβει η ομάδα ιστιοπλοΐας της Σητείας, τις γεννήτριες φτιάχνει μια εταιρεία από τη Δανία."
    first, second = Matcher()(asked, [wreaths, sails])
    assert -1 <= second < first <= 1
