"""The questions' own layers of the embedder: what they are trained on, and what they do to the product's vectors."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from index import differences
from index.embed import SentenceEncoder
from training import data, questions
from training.embedder import Embedder
from training.listed import Passage
from training.questions import Bank, Posed, encoded, loss, placed, siblings, train

TOLD = [
    "The mill was built in 1911 by Anna Berg.", "Le moulin fut bâti en 1911 par Anna Berg.",
    "Anna Berg sells flour.", "The market opens at nine.",
]  # fmt: skip


class Letters(SentenceEncoder):
    """Counts letters."""

    def queries(self, texts: list[str]) -> np.ndarray:
        return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], "f4")


def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    shape = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    BertModel(BertConfig(**shape)).save_pretrained(folder)
    return folder


def row(question: str, context: str, answer: str, language: str = "en") -> data.Row:
    start = context.index(answer)
    return data.Row(question, context, "mill", start, start + len(answer), asked_in=language)


def test_what_may_answer_is_no_rival() -> None:
    shown = [Passage(text, 0, len(text), text) for text in TOLD]
    asked = [(row("Who built the mill?", TOLD[0], "Anna Berg"), ["Who built the mill?", "Wer baute die Mühle?"]),
             (row("When was it built?", TOLD[0], "1911"), ["When was it built?"])]  # fmt: skip
    source = data.Source("fr", [], {"mill": TOLD[:2]})
    beside = siblings({"articles.fr": source, "piaf.fr": data.Source("fr", [], {"x": TOLD})})
    assert beside[TOLD[0]] == {TOLD[1]} and TOLD[3] not in beside
    encoder = Letters()
    who, when = placed(asked, shown, encoder.queries(TOLD), encoder, beside)
    assert (who.right, who.barred) == ([0], [1, 2])  # the same in French, and another with her name
    assert (when.right, when.barred, when.wordings) == ([0], [1], ["When was it built?"])


def test_rare_languages_are_asked_in_more_often_than_they_are_written_in() -> None:
    ours = [Posed([f"en {i}"], "en", [0], []) for i in range(100)] + [Posed(["fi"], "fi", [0], [])]
    posed = {"ours": ours, "files": [Posed(["own", "other"], "", [0], [])], "told": [Posed(["a", "b", "c"], "de", [1], [])]}
    drawn = list(itertools.islice(questions.questions(posed, 1), 4000))
    asked = Counter(question for question, one in drawn if one.right == [1])
    assert set(asked) == {"b", "c"}
    assert 0.5 < sum(question == "other" for question, _ in drawn) / sum(question in ("own", "other") for question, _ in drawn) < 0.7
    rare, ours_drawn = (sum(one.language in which for _, one in drawn) for which in (("fi",), ("fi", "en")))
    assert 0.06 < rare / ours_drawn < 0.13


def test_questions_are_brought_to_passages_that_stay(tmp_path: Path) -> None:
    folder = tiny(tmp_path)

    def tokenise(texts: list[str]) -> list[list[int]]:
        return [[2 + ord(c) % 97 for c in text[7:40]] for text in texts]

    words = ["mill", "harbour", "flour", "market", "bridge", "ship"]
    vectors = torch.nn.functional.normalize(torch.randn(len(words) + 1, 32), dim=-1)
    posed = [Posed([word], "en", [i], [len(words)]) for i, word in enumerate(words)]
    bank = Bank(vectors, {"ours": posed, "files": posed, "told": [Posed(["-", word], "en", [i], []) for i, word in enumerate(words)]})
    asker = Embedder(folder)

    def lost() -> float:
        with torch.no_grad():
            found = encoded(asker, tokenise([f"query: {word}" for word in words]))
        return loss(found, posed, bank.vectors).item()

    before = lost()
    assert train(asker, questions.questions(bank.posed, 1), bank.vectors, tokenise, 0.1) > 2
    assert lost() < before
    assert loss(bank.vectors[:1], posed[:1], bank.vectors) < 0.01
    barred = [one._replace(barred=[]) for one in posed]
    near = (bank.vectors[:1] + bank.vectors[-1:]) / 2
    assert loss(near, posed[:1], bank.vectors) < loss(near, barred[:1], bank.vectors) - 0.1  # what may answer, too, does not count


def test_what_a_short_training_changed_outlives_its_four_bits(tmp_path: Path) -> None:
    folder = tiny(tmp_path)

    def changed(by: float, *paths: Path) -> Embedder:
        made = Embedder(folder)
        for path in paths:
            differences.add(made.encoder, path)
        for _, value in made.trained():
            value.data += by * torch.randn_like(value)
        return made

    long, short, alone = (tmp_path / f"{name}.safetensors" for name in ("long", "short", "alone"))
    differences.write(changed(0.1).trained(), folder, long, {})
    trained = changed(0.001, long)
    differences.write(trained.trained(), folder, short, {}, before=long)
    differences.write(trained.trained(), folder, alone, {})

    def off(*paths: Path) -> float:
        pairs = zip(trained.trained(), changed(0, *paths).trained(), strict=True)
        return max((ours - theirs).abs().max().item() for (_, ours), (_, theirs) in pairs if ours.ndim == 2)

    assert off(long, short) < 0.0005
    assert off(alone) > 0.003


@pytest.mark.model
def test_questions_have_layers_of_their_own_and_share_the_rest() -> None:
    encoder = SentenceEncoder()
    asking, told = encoder.asking, encoder.model
    assert asking.tokenizer is told.tokenizer and asking[0].auto_model is not told[0].auto_model
    assert asking[0].auto_model.embeddings.word_embeddings.codes is told[0].auto_model.embeddings.word_embeddings.codes
    plain = told.encode_query("Ki szállította a drónokat?", normalize_embeddings=True)
    assert 0.5 < plain @ encoder.query("Ki szállította a drónokat?") < 0.999
    exact = SentenceEncoder(exact=True)
    assert exact.query("Ki szállította a drónokat?") @ encoder.query("Ki szállította a drónokat?") > 0.99
