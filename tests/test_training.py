"""The recipe's parts: labels that point at the right words, false claims that are false, and a run that goes on where it was killed."""

import gzip
import itertools
import random
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import polib
import pytest
import torch
from transformers import BertConfig, BertModel

from index import differences, embed
from index.embed import bundled_tokenizer
from rag.calibration import Calibration, Known, Weights
from rag.network import ReaderNetwork, load, save
from rag.read import PairTokenizer
from training import (
    claims,
    cloze,
    data,
    dictionaries,
    embedder,
    exchange,
    negatives,
    ours,
    parallel,
    stream,
    wording,
)
from training.average import average
from training.batches import LONGEST, Batch, collate, encode
from training.calibrate import CROSSED
from training.fitting import FALSE_REFUSALS, FEATURES, Case, answering, expected_error, figures, quantile
from training.material import Material
from training.train import apart, loss, train

CONTEXTS = [
    "Anna Berg founded the Harbour Museum in 1911. Its first director was Otto Lind. The museum moved to Bergen in 1954. "
    "It holds 3,200 models of ships.",
    "The Harbour Museum was closed by King Olav in 1940. A fire destroyed the east wing. In 1946 Maria Holm rebuilt it.",
]
ASKED = [("Who founded the museum in 1911?", 0, "Anna Berg"), ("Where did the Harbour Museum move to?", 0, "Bergen"),
         ("Who rebuilt the Harbour Museum in 1946?", 1, "Maria Holm"), ("Who closed the museum?", 1, "King Olav")]  # fmt: skip


@pytest.fixture(autouse=True)
def no_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "MISTYPED", 0.0)


@pytest.fixture
def source() -> data.Source:
    rows = []
    for question, context, answer in ASKED:
        start = CONTEXTS[context].index(answer)
        rows.append(data.Row(question, CONTEXTS[context], "Museum", start, start + len(answer)))
    return data.Source("en", rows * 10, {"Museum": CONTEXTS})


def test_windows_hold_the_answer_and_negatives_do_not(source: data.Source) -> None:
    rng = random.Random(1)
    made_of = [(data.without_answer(row, 400, rng), exchange.changed(row, source, 100, rng)) for row in source.rows]
    assert all(any(kind) for kind in zip(*made_of, strict=True))
    for row in source.rows:
        answer = row.context[row.start : row.end]
        shown = data.window(row, 100, rng)
        assert shown.window[shown.start : shown.end] == answer
        if without := data.without_answer(row, 400, rng):
            assert answer not in without.window
        if made := exchange.changed(row, source, 100, rng):
            new = next(w for w, old in zip(made.question.split(), row.question.split(), strict=False) if w != old)
            assert new.strip("?") not in row.context


@pytest.mark.model
def test_our_questions_get_the_negatives_that_retrieval_finds_for_them(source: data.Source, tmp_path: Path) -> None:
    other = data.Source("fr", [], {"Pain": ["Le boulanger Luc Roche pétrit la pâte à quatre heures.", "Anna Berg vend du pain à Brest."]})
    found = {"museum.en": source, "pain.fr": other}
    row = source.rows[0]
    missed = data.Row("Wann zog das Museum nach Oslo um?", CONTEXTS[0], "Museum", -1, -1)
    asked = {"museum.en": data.Source("en", [replace(row, question="Wer hat das Museum gegründet?"), missed], {}), "ours.de": source}
    near = negatives.mine(found, tmp_path / "near.npz", asked)
    assert near["museum.en"][missed.question][0] == CONTEXTS[1]
    assert near["museum.en"]["Wer hat das Museum gegründet?"] == [CONTEXTS[1], other.contexts["Pain"][0]]
    assert near["ours.de"][row.question] == near["museum.en"]["Wer hat das Museum gegründet?"]
    [cache] = tmp_path.glob("near.*.npz")
    assert embed.ASKED in cache.name  # other vectors find other passages
    kept = cache.stat().st_mtime_ns
    assert negatives.mine(found, tmp_path / "near.npz", asked) == near
    assert cache.stat().st_mtime_ns == kept  # nothing is asked again
    later = {"ours.fr": data.Source("fr", [replace(row, question="Qui a fondé le musée ?")], {})}
    assert negatives.mine(found, tmp_path / "near.npz", later)["ours.fr"]["Qui a fondé le musée ?"][0] == CONTEXTS[1]
    assert negatives.mine(found, tmp_path / "near.npz", asked) == near


def test_a_telling_word_is_exchanged_for_one_of_its_kind_that_the_context_lacks() -> None:
    goods = ["".join(letters) + "ers" for letters in itertools.product("bdf", "aeiou", "klmnprstvz")]
    rows = [data.Row(f"Who sold the {good}?", f"Anna Berg sold the {good} in May. It rained.", "Trade", 0, 9) for good in goods]
    source, rng = data.Source("en", rows, {"Trade": [row.context for row in rows]}), random.Random(1)
    for row, good in zip(rows, goods, strict=True):
        made = exchange.changed(row, source, 100, rng)
        assert made and made.start == -1 and made.window == row.context
        (new,) = set(made.question.strip("?").split()) - set(row.question.strip("?").split())
        assert new in goods and new[:4] not in row.context and made.question == row.question.replace(good, new)
    (word,) = exchange.telling("誰が陶磁器を売りましたか")
    assert word.text == "陶磁器" and not list(exchange.telling("Who is it?"))


def test_windows_are_whole_sentences_with_and_without_the_answer(source: data.Source) -> None:
    rng = random.Random(2)
    whole = {context[a:b] for context in CONTEXTS for a, b in data.sentences(context)}
    kinds = {True: 0, False: 0}
    for example in itertools.islice(stream.stream(stream.Corpus({"squadshifts-newwiki.en": source}, {}, {}, {}), 1), 200):
        kinds[example.start >= 0] += 1
        assert all(example.window[a:b].strip() in {s.strip() for s in whole} for a, b in data.sentences(example.window))
    assert min(kinds.values()) > 20
    assert data.without_answer(data.Row("Who?", "Anna Berg.", "", 0, 9), 100, rng) is None


def test_windows_of_a_group_compete_for_one_question(source: data.Source) -> None:
    strangers = [data.Row("Who?", f"Nothing of the sort number {n}. It rained on day {n} in the hills.", "Rain", 0, 7) for n in range(30)]
    found = {"squadshifts-newwiki.en": source, "policyqa.en": data.Source("en", strangers, {"Rain": [row.context for row in strangers]})}
    with_answer = 0
    for group in itertools.islice(stream.groups(stream.Corpus(found, {}, {}, {}), 1), 100):
        assert len({example.question for example in group}) == 1
        assert len({example.window for example in group}) == len(group) == stream.GROUP
        assert all(example.start < 0 for example in group[1:])
        with_answer += group[0].start >= 0
    assert 50 < with_answer < 100


class Scores(torch.nn.Module):
    """A network that says what it was given."""

    def __init__(self, relevance: list[float]) -> None:
        super().__init__()
        self.span = torch.nn.Linear(1, 2)
        self.relevance = torch.tensor(relevance)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, passage: torch.Tensor) -> tuple[torch.Tensor, ...]:
        flat = torch.zeros(ids.shape)
        return flat, flat, self.relevance, flat


@pytest.mark.parametrize(("answered", "best"), [([True] + [False] * 7, [3.0] + [-3.0] * 7), ([False] * 8, [-3.0] * 8)])
def test_a_group_is_ranked_by_which_window_answers(answered: list[bool], best: list[float]) -> None:
    first = torch.tensor([int(a) for a in answered])
    flat = torch.ones((stream.GROUP, 4), dtype=torch.long)
    batch = Batch(flat, flat, flat, first, first, flat, "groups")
    right, wrong = (float(loss(Scores(scores), batch)["ranking"]) for scores in (best, [*best[1:], 4.0]))  # type: ignore[arg-type]
    assert right < 0.2 and wrong > 3 * right


def test_views_are_one_window_in_two_wordings(source: data.Source) -> None:
    words = {"en": {"museum": {"de": "Museum"}, "who": {"de": "wer"}, "founded": {"de": "gründete"}}}
    found = {"squadshifts-newwiki.en": source}
    made = list(itertools.islice(stream.views(stream.Corpus(found, words, {}, {}), 1), 60))
    assert all(first.window == other.window and (first.start, first.end) == (other.start, other.end) for first, other in made)
    assert sum("wer" in other.question.split() and "wer" not in first.question.split() for first, other in made) > 5


def test_views_that_say_the_same_are_not_apart_wherever_their_passage_begins() -> None:
    passage = torch.tensor([[0, 0, 1, 1, 0], [0, 0, 0, 1, 1]])
    logits = torch.tensor([[1.0, 9.0, 2.0, 3.0, 9.0], [1.0, 5.0, 5.0, 2.0, 3.0]])
    assert apart(logits, passage).item() == pytest.approx(0, abs=1e-6)
    longer = torch.tensor([[0, 1, 1, 1, 0], [0, 0, 0, 1, 1]])  # the second question left its window a token less
    assert apart(torch.tensor([[1.0, 2.0, 3.0, 8.0, 9.0], [1.0, 5.0, 5.0, 2.0, 3.0]]), longer).item() == pytest.approx(0, abs=1e-6)
    assert apart(logits.flip(1), passage).item() > 0.1


@pytest.fixture
def material(source: data.Source, stories: Path) -> Material:
    source.rows = source.rows[: len(ASKED)]
    found = {"squadshifts-newwiki.en": source}
    corpus = stream.Corpus(found, {}, {}, {})
    return Material(corpus, corpus, [], parallel.stories(stories), cloze.names(stories))


def test_the_embedder_learns_from_pairs_of_questions_and_of_texts_that_say_the_same(material: Material) -> None:
    made = list(itertools.islice(embedder.pairs(material, 1), 200))
    contexts = [pair for pair in made if pair.key in CONTEXTS]
    assert 60 < len(contexts) < 180 and all(pair.passage in pair.key and pair.rival != pair.passage for pair in contexts)
    assert any("Kriegern" in pair.asked + pair.passage for pair in made)
    tokenizer = bundled_tokenizer()

    def tokenise(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch(texts)]

    batch = next(embedder.batches(material, tokenise, 1, 8))
    pairs = list(itertools.islice(embedder.pairs(material, 1), 8))
    rows = [row[row != 1].tolist() for chunk in batch.chunks for row in chunk]
    assert [rows[i] for i in batch.places[8:16]] == tokenise([f"passage: {pair.passage}" for pair in pairs])
    assert not batch.barred[:, :8].diagonal().any()
    for i, j in itertools.permutations(range(8), 2):
        assert batch.barred[i, j] == (pairs[i].key == pairs[j].key)
    assert batch.barred[:, 8:].diagonal().tolist() == [not pair.rival for pair in pairs]


def test_an_embedder_that_was_trained_is_read_back(material: Material, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shape = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(**shape)).save_pretrained(folder)

    def tokenise(texts: list[str]) -> list[list[int]]:
        return [[2 + ord(c) % 97 for c in text[:40]] for text in texts]

    options = Namespace(out=tmp_path / "embedder.safetensors", minutes=0.1, pairs=4, workers=0)
    assert embedder.run(material, options, folder, tokenise) > 2
    plain, trained = embedder.Embedder(folder), embedder.Embedder(folder)
    differences.add(trained.encoder, options.out)
    both = zip(plain.named_parameters(), trained.named_parameters(), strict=True)
    changed = {name for (name, old), (_, new) in both if (old != new).any()}
    assert changed and all(".layer.3." in name for name in changed)
    batch = next(embedder.batches(material, tokenise, 7, 4))
    before, after = (embedder.loss(network, batch, torch.device("cpu")).item() for network in (plain, trained))
    assert after < before


def test_a_follow_up_keeps_only_what_it_asks_for() -> None:
    context = "The museum was opened in 1884 by Anna Berg. It has 12 ships."
    who, when, ships = (
        data.Row(question, context, "", context.index(answer), context.index(answer) + len(answer))
        for question, answer in (("Who opened it?", "Anna Berg"), ("When was it opened?", "1884"), ("How many ships?", "12"))
    )
    source = data.Source("en", [who])
    assert wording.followed(source, when, random.Random(1)) == ["Who opened it?", "And when?"]
    assert wording.followed(source, ships, random.Random(1)) == ["Who opened it?", "How many ships?"]
    assert wording.followed(source, who, random.Random(1)) == ["Who opened it?"]


def test_questions_change_language() -> None:
    rng = random.Random(1)
    english = {"who": {"de": "wer"}, "how many": {"de": "wie viele"}, "did": {"de": ""}, "ships": {"de": "Schiffe"}}
    assert wording.switch("Who did?", english, rng, shares=(1.0,)) == "wer ?"
    assert wording.switch("How many ships?", english, rng, shares=(1.0,)) == "wie viele Schiffe?"
    assert wording.switch("Nothing known", english, rng) == "Nothing known"
    chinese = {"博物馆": {"en": "museum"}, "哪里": {"en": "where"}}
    assert wording.switch("港口博物馆在哪里?", chinese, rng, shares=(1.0,)) == "港口 museum 在 where ?"


def test_passages_in_another_language_keep_their_answer(source: data.Source) -> None:
    row, rng = source.rows[0], random.Random(1)
    told = wording.told(row, {"fr": "Le musée fut fondé par Anna Berg en 1911."}, rng)
    assert told.context[told.start : told.end] == "Anna Berg" and told.question == row.question
    assert wording.told(row, {"fr": "Fondé par elle."}, rng) is row


def test_dictionaries_give_headwords_and_short_translations(tmp_path: Path) -> None:
    entries = ["river /ˈrɪvə/ <n>\n1. Fluss <masc> [geogr.], Strom\n   see: {rivers}\n", "bank\nBank (Geld); am Ufer des Flusses dort\n"]
    text, index = "", ""
    for entry in entries:
        index += f"{entry.split()[0]}\t{_digits(len(text.encode()))}\t{_digits(len(entry.encode()))}\n"
        text += entry
    (tmp_path / "freedict-eng-deu.index").write_text(index)
    (tmp_path / "freedict-eng-deu.dict.dz").write_bytes(gzip.compress(text.encode()))
    assert dictionaries._entries(tmp_path / "freedict-eng-deu.index", "de") == {"river": ["Fluss", "Strom"], "bank": ["Bank"]}
    asked = set(dictionaries._concepts())
    assert {("en", "ru", "who", "кто"), ("fr", "zh", "où", "哪里"), ("en", "de", "the", "")} <= asked


def _digits(number: int) -> str:
    digits = {value: digit for digit, value in dictionaries.DIGITS.items()}
    return (_digits(number // 64) if number > 63 else "") + digits[number % 64]


def test_false_claims_differ_where_they_say_and_true_ones_have_evidence(source: data.Source) -> None:
    names = {"squadshifts-newwiki.en": source}
    kinds = set()
    for claim in itertools.islice(claims.stream(names, {}, 1), 300):
        kinds.add(claim.kind)
        if claim.true:
            evidence = claim.window[claim.start : claim.end]
            assert evidence.strip() and (claim.kind != "said" or claim.text.split()[-1].strip(".") in evidence)
        elif claim.kind in ("name", "number", "answer"):
            ((start, end),) = claim.changed
            assert claim.text[start:end] and claim.start == -1
        assert not (claim.kind == "cut" and claim.text.strip() in claim.window)
    assert {"said", "asked", "number", "name", "cut"} <= kinds


@pytest.fixture
def translations(tmp_path: Path) -> Path:
    messages = tmp_path / "wheel" / "locale" / "fr" / "LC_MESSAGES"
    messages.mkdir(parents=True)
    pairs = [(f"The file number {i} could not be opened.", f"Le fichier numéro {i} n’a pas pu être ouvert.") for i in range(200)]
    lines = [f'msgid "{english}"\nmsgstr "{french}"\n' for english, french in pairs]
    (messages / "django.po").write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + "\n".join(lines))
    for language, text in (("en-US", "Choose <em>Tools</em> to set it &amp; go."), ("de", "Wählen Sie <em>Extras</em> &amp; los.")):
        page = tmp_path / "help" / language / "text" / "a.html"
        page.parent.mkdir(parents=True)
        page.write_text(f'<p id="par_1" class="paragraph" dir="auto">{text}</p><p id="x" class="code">x = 1</p>')
    return tmp_path


def test_translations_are_aligned_and_held_out_once(translations: Path) -> None:
    kept, left = parallel.texts(translations), parallel.texts(translations, held_out=True)
    assert len(kept) + len(left) == 201 and not {t["en"] for t in kept} & {t["en"] for t in left}
    assert {"en": "Choose Tools to set it & go.", "de": "Wählen Sie Extras & los."} in kept + left


def test_claims_across_languages(translations: Path) -> None:
    rows = [data.Row("", f"It was Xa{chr(97 + i)} Berg, by the sea.", "", -1, -1) for i in range(26)]
    texts = parallel.texts(translations)
    other = {text[a]: text[b] for text in texts for a, b in itertools.permutations(text, 2)}
    seen = {True: 0, False: 0}
    for claim in itertools.islice(parallel.stream(texts, rows, 1), 300):
        seen[claim.true] += 1
        said = next(text for text in other if text.rstrip(".") in claim.text) if claim.true else ""
        assert not said or other[said].rstrip(".") in claim.window[claim.start : claim.end]
        for start, end in claim.changed:
            assert 0 <= start < end <= len(claim.text)
    assert min(seen.values()) > 100


HEROES = {"Konrad": "Конрад", "Kalenz": "Каленз", "Asheviere": "Ашевьер", "Haldric": "Халдрик"}


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """Messages of a game in Russian and German, and a handbook in German."""
    for locale, told, known in (
        ("ru", "{} перешёл реку с отрядом из {} воинов.", HEROES),
        ("de", "{} überquerte den Fluss mit {} Kriegern.", {name: name for name in HEROES}),
    ):
        texts = {f"{name} crossed the river with {n} fighters.": told.format(known[name], n) for n in range(10, 30) for name in HEROES}
        found = polib.MOFile()
        for text, other in [*texts.items(), *known.items()]:
            found.append(polib.POEntry(msgid=f"hero^{text}" if text in HEROES else text, msgstr=other))
        folder = tmp_path / "locale" / locale / "LC_MESSAGES"
        folder.mkdir(parents=True)
        found.save(str(folder / "wesnoth-x.mo"))
    for locale, text in (("en-US", "Ian began it. " * 30), ("de-DE", "Ian fing damit an. " * 30)):
        page = tmp_path / "debian-handbook" / "html" / locale / "a.html"
        page.parent.mkdir(parents=True)
        page.write_text(f'<div class="para">{text}</div><div class="para">{locale[:2]}: see <em>Chapter</em> 3 of this book.</div>')
    return tmp_path


def test_stories_are_aligned_and_what_was_not_translated_left_out(stories: Path) -> None:
    texts = parallel.stories(stories) + parallel.stories(stories, held_out=True)
    assert {"en": "Konrad crossed the river with 12 fighters.", "ru": "Конрад перешёл реку с отрядом из 12 воинов.",
            "de": "Konrad überquerte den Fluss mit 12 Kriegern."} in texts  # fmt: skip
    assert len(texts) == 80  # no sentence of the handbook is long enough, and its second paragraph is English in German


def test_cloze_questions_ask_in_one_language_what_another_tells(stories: Path) -> None:
    texts, known = parallel.stories(stories), cloze.names(stories)
    assert known["Konrad"] == {"ru": "Конрад", "de": "Konrad"}
    answers, asked = {*HEROES, *HEROES.values()}, set()
    for example in itertools.islice(cloze.stream(texts, known, 1), 300):
        asked |= {word for words in cloze.ASKED.values() for word in words if word in example.question.lower().rstrip("?").split()}
        answer = example.window[example.start : example.end] if example.start >= 0 else ""
        assert example.start < 0 or answer in answers or answer.isdigit()
        assert not answer or answer not in example.question
        assert ("fighters" in example.question) <= ("fighters" not in example.window)
    assert {"who", "wer", "кто"} <= asked


def test_our_questions_are_read_with_their_passage(source: data.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = source.rows[0] = replace(source.rows[0], id="r1")
    (tmp_path / "asked.tsv").write_text(f"{row.id}\tde\tWer war es?\n{row.id}\tru\tКто это был?\n", encoding="utf-8")
    monkeypatch.setattr(ours, "ASKED", tmp_path / "asked.tsv")
    found = {"squadshifts-newwiki.en": source, "piaf.fr": replace(source, rows=[], language="fr")}
    own = {name: own for name, own in ours.sources(found).items() if name in found}
    assert own.keys() == {"squadshifts-newwiki.en"}
    for example in itertools.islice(stream.stream(stream.Corpus(own, {}, {}, {}), 1, negative=0), 20):
        assert example.question in ("Wer war es?", "Кто это был?")
        assert example.window[example.start : example.end] == row.context[row.start : row.end]


@pytest.fixture
def ours_alone(source: data.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, data.Source]]:
    """Our rows about the file, its own being named r0, r1 …, when one of the files of ours holds these lines and the others none."""

    def made(name: str, lines: str) -> dict[str, data.Source]:
        for each in ("ASKED", "ANSWERED", "MISSED"):
            (tmp_path / each).write_text(lines if each == name else "", encoding="utf-8")
            monkeypatch.setattr(ours, each, tmp_path / each)
        found = {"squadshifts-newwiki.en": replace(source, rows=[replace(row, id=f"r{i}") for i, row in enumerate(source.rows)])}
        return {name: own for name, own in ours.sources(found).items() if name in found}

    return made


def test_questions_of_ours_with_other_answers_are_read_with_these(ours_alone: Callable[[str, str], dict[str, data.Source]]) -> None:
    own = ours_alone("ANSWERED", "r0\tfr\tQui fut le premier directeur ?\tOtto Lind\n")
    assert own["squadshifts-newwiki.en"].share == 1
    for example in itertools.islice(stream.stream(stream.Corpus(own, {}, {}, {}), 1, negative=0), 20):
        assert example.question == "Qui fut le premier directeur ?" and example.window[example.start : example.end] == "Otto Lind"


def test_near_misses_of_ours_have_no_answer_and_stand_among_the_rivals(ours_alone: Callable[[str, str], dict[str, data.Source]]) -> None:
    own = ours_alone("MISSED", "r0\tde\tWer schloss das Museum 1911?\n")
    strangers = [data.Row("Who?", f"Nothing of the sort number {n}. It rained on day {n} in the hills.", "Rain", 0, 7) for n in range(30)]
    for example in itertools.islice(stream.stream(stream.Corpus(own, {}, {}, {}), 1, negative=1), 20):
        assert example.question == "Wer schloss das Museum 1911?" and example.start == -1 and example.window in CONTEXTS[0]
    own["policyqa.en"] = data.Source("en", strangers, {"Rain": [row.context for row in strangers]})
    groups = itertools.islice(stream.groups(stream.Corpus(own, {}, {}, {}), 1), 40)
    asked = [group for group in groups if group[0].question.startswith("Wer")]
    assert asked and all(group[0].window in CONTEXTS[0] and all(example.start < 0 for example in group) for group in asked)


def test_sentences_are_held_against_their_translation(source: data.Source) -> None:
    french = ("Anna Berg fonda le musée en 1911. Son premier directeur fut Otto Lind. Il alla à Bergen en 1954. "
              "Il garde 3 200 modèles de bateaux.")  # fmt: skip
    name = "squadshifts-newwiki.en"
    pairs = dict(zip((CONTEXTS[0][a:b].strip() for a, b in data.sentences(CONTEXTS[0])),
                     (french[a:b].strip() for a, b in data.sentences(french)), strict=True))  # fmt: skip
    told = {name: {CONTEXTS[0]: {"fr": french}, CONTEXTS[1]: {"fr": "Une phrase de moins."}}}
    seen = {True: 0, False: 0}
    for claim in itertools.islice(claims.translated({name: source}, told, {}, 1), 100):
        seen[claim.true] += 1
        if claim.true:
            assert {**pairs, **{b: a for a, b in pairs.items()}}[claim.text] == claim.window[claim.start : claim.end].strip()
    assert min(seen.values()) > 20


@pytest.mark.model
def test_labels_point_at_the_answers_tokens_and_at_the_changed_words(source: data.Source) -> None:
    tokenizer, row = bundled_tokenizer(), source.rows[0]
    pairs = PairTokenizer(bundled_tokenizer, LONGEST)
    ids, inside, start, end, doubt = encode(pairs, data.Example(row.question, row.context, row.start, row.end))
    assert tokenizer.decode(ids[start : end + 1]) == "Anna Berg" and inside[start] and set(doubt) == {-1}
    false = claims.Claim("Otto Lind founded it in 1911.", row.context, False, "name", changed=((0, 9),))
    ids, inside, start, end, doubt = encode(pairs, false)
    assert (start, end, doubt[0]) == (0, 0, 1)
    assert tokenizer.decode([i for i, d in zip(ids[1:], doubt[1:], strict=True) if d == 1]) == "Otto Lind"
    assert all(d == -1 for d, passage in zip(doubt, inside, strict=True) if passage)


@pytest.mark.model
def test_a_long_question_leaves_its_window_room(source: data.Source) -> None:
    pairs, row = PairTokenizer(bundled_tokenizer, LONGEST), source.rows[0]
    for question in ("Şehzade Yahya kimin oğludur? " * 60, "誰" * 900):
        ids, inside, *_ = encode(pairs, data.Example(question, row.context * 20, row.start, row.end))
        assert len(ids) == LONGEST and sum(inside) > 20


def test_a_killed_run_goes_on_and_its_weights_are_read_back(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "tiny")
    torch.manual_seed(1)
    network = ReaderNetwork(tmp_path / "tiny")
    frozen = network.encoder.encoder.layer[0].output.dense.weight.clone()

    def steps(stop: int) -> Iterator[Batch]:
        for _ in range(stop):
            answered = ([5, 6, 7, 8], [False, False, True, True], 2, 3, [-1] * 4)
            yield collate([answered, ([5, 6, 9, 9], [False, False, True, True], 0, 0, [-1] * 4)])

    kept = tmp_path / "reader.pt"
    with pytest.raises(StopIteration):
        train(network, steps(250), 10, kept)  # killed: the checkpoint is of step 200
    resumed = ReaderNetwork(tmp_path / "tiny")
    with pytest.raises(StopIteration):
        train(resumed, steps(200), 10, kept)
    assert torch.load(kept, weights_only=True)["done"] == 400
    assert torch.equal(resumed.encoder.encoder.layer[0].output.dense.weight, frozen)

    save(resumed, tmp_path / "tiny", tmp_path / "out.safetensors", {"steps": "400"})
    again, batch = load(tmp_path / "tiny", tmp_path / "out.safetensors"), next(steps(1))
    start, _, relevance, _ = again(batch.ids, batch.mask, batch.passage)
    assert start[0].argmax() == 2 and start[1].argmax() == 0 and relevance[0] > 0 > relevance[1]
    assert (start - resumed(batch.ids, batch.mask, batch.passage)[0])[:, [0, 2, 3]].abs().max() < 0.5

    save(network, tmp_path / "tiny", tmp_path / "first.safetensors", {})
    average(tmp_path / "first.safetensors", tmp_path / "out.safetensors", 0.75, tmp_path / "tiny", tmp_path / "mean.safetensors")
    mean = load(tmp_path / "tiny", tmp_path / "mean.safetensors").span.weight
    assert torch.allclose(mean, 0.25 * network.span.weight + 0.75 * resumed.span.weight, atol=2e-3)


def test_calibration_figures() -> None:
    assert quantile([(3.0, 1.0), (1.0, 1.0), (2.0, 1.0), (4.0, 1.0)], 0.5) == 2.0
    assert expected_error([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0.0)
    assert expected_error([(0.9, False)] * 4) == pytest.approx(0.9)


def test_a_question_is_answered_by_the_passage_whose_odds_are_best_or_by_none() -> None:
    rng, cases = np.random.default_rng(1), []
    sides = Weights(1.5, 3.0, -2.0, 1.0, -1.0), Weights(0.5, 1.0, 2.0, -1.0, 0.5)
    made = Calibration(*sides, threshold=0.5, confidence_scale=1.0, confidence_bias=0.0, confidence_ceiling=1.0)
    for _ in range(4000):
        known = [Known(bool(rng.random() < 0.5), 0.0, *rng.normal(size=len(FEATURES)), ()) for _ in range(rng.integers(1, 9))]
        odds = np.exp([*map(made.logit, known), 0.0])
        gold = np.arange(len(known)) == rng.choice(len(odds), p=odds / odds.sum())
        cases.append(Case(known, np.eye(len(known)), gold, gold, False))
    for meant, found in zip(sides, answering(cases, np.ones(len(cases))), strict=True):
        assert astuple(found) == pytest.approx(astuple(meant), abs=0.25)


def test_a_calibration_is_measured_on_what_it_was_not_fitted_on() -> None:
    rng = np.random.default_rng(1)

    def case(answers: bool, crossed: bool) -> Case:
        gold = np.arange(8) == (0 if answers else -1)
        features = rng.normal(size=(8, len(FEATURES))) + 3 * gold[:, None] * [1, 1, 0, 0]
        return Case([Known(crossed, 0.0, *row, ()) for row in features], np.eye(8), gold, gold & (rng.random() < 0.8), crossed)

    found = figures([(case(True, bool(i % 3)), case(False, bool(i % 3))) for i in range(600)])
    assert found["same language: questions"] == 200 and found["across languages: AUROC"] > 0.9
    assert abs(found["across languages: refused with the answer"] - FALSE_REFUSALS) < 0.04
    assert abs(found["same language: best span right"] - 0.8) < 0.1 and found["expected calibration error"] < 0.06


def test_our_questions_across_languages_are_read_whole() -> None:
    for path, number, languages in ((CROSSED, 508, 20), (ours.ASKED, 6160, 48), (ours.MISSED, 4782, 59)):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert sum(map(len, ours.by_row(path).values())) == len(lines) == number
        assert len({line.split("\t")[1] for line in lines}) == languages
    lines = [line.split("\t") for line in ours.ANSWERED.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2759 and all(len(line) == 4 and all(line) for line in lines)
    assert not ours.by_row(CROSSED).keys() & (ours.by_row().keys() | ours.by_row(ours.MISSED).keys() | {line[0] for line in lines})


def test_an_id_that_several_rows_share_is_not_asked_about(source: data.Source) -> None:
    identity = next(iter(ours.by_row()))
    rows = [replace(row, id=identity) for row in source.rows[:2]]
    assert len(ours.sources({"museum.en": data.Source("en", rows[:1], {})})["museum.en"].rows) >= len(ours.by_row()[identity])
    with pytest.raises(ValueError, match=identity):
        ours.sources({"museum.en": data.Source("en", rows, {})})


def test_a_slip_changes_one_word_and_leaves_it_known() -> None:
    rng, asked = random.Random(1), "Who supplied the drones?"
    slips = {wording.mistyped(asked, rng) for _ in range(200)}
    assert all(abs(len(slip) - len(asked)) < 2 and slip.startswith("Who ") and "the" in slip for slip in slips)
    assert {"Who suplied the drones?", "Who supplied the droones?", "Who supplied the dornes?"} <= slips
    assert wording.mistyped("無人機は誰が供給しましたか", rng) == "無人機は誰が供給しましたか"


def test_a_rare_language_is_drawn_as_the_root_of_its_share(source: data.Source) -> None:
    rows = [replace(source.rows[0], question=f"{i}", asked_in="en" if i < 99 else "sw") for i in range(100)]
    own = ours.balanced({"ours.en": replace(source, rows=rows, share=300), "ours.sw": replace(source, rows=rows[:1], share=3)})
    swahili = [row for row in own["ours.en"].rows if row.asked_in == "sw"]
    assert len(swahili) == 10 and len(own["ours.en"].rows) == 109 and own["ours.en"].share == 327 and own["ours.sw"].share == 3


def test_an_articles_passages_in_other_languages_are_its_questions_rivals(tmp_path: Path) -> None:
    path = tmp_path / "written.tsv"
    path.write_text(
        "de\tDer Turm ist aus Granit.\tTurm\n\ten\tWhat is the tower made of?\tGranit\n"
        "\ten\tHow many steps has it?\t-\n"
        "fr\tLe phare compte 161 marches.\tTurm\n\tde\tWie viele Stufen hat er?\t161 marches\n"
        "fr\tLa boulangerie ouvre à six heures.\n\ten\tWhen does it open?\tà six heures\n",
        encoding="utf-8",
    )
    own = ours.written(path)
    assert own.keys() == {"articles.de", "articles.fr", "ours.fr"}
    near = ours.with_siblings({name: {"What is the tower made of?": ["a", "b"]} if name == "articles.de" else {} for name in own}, own)
    assert near["articles.de"]["What is the tower made of?"] == ["a", "b"] + 2 * ["Le phare compte 161 marches."]
    assert near["articles.de"]["How many steps has it?"] == []  # another of its passages may answer what this one does not
    assert near["articles.fr"]["Wie viele Stufen hat er?"] == ["Der Turm ist aus Granit."] and near["ours.fr"] == {}


def test_each_answer_to_our_questions_stands_once_in_our_passages() -> None:
    found = ours.sources({})
    rows = [row for source in found.values() for row in source.rows]
    assert len(found) == 53 and len(rows) == 14141 and sum(row.start < 0 for row in rows) == 3734
    assert all(row.start < 0 or row.context.count(row.context[row.start : row.end]) == 1 for row in rows)
    for example in itertools.islice(stream.stream(stream.Corpus(found, {}, {}, {}), 1, negative=0), 100):
        asked = [row for row in rows if row.question == example.question and example.window in row.context]
        assert asked and (example.start < 0) == all(row.start < 0 for row in asked)
