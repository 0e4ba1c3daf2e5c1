"""Questions across languages, from texts that say the same in each: what one language leaves open, the other one tells.

Takes stories (`parallel.stories`) and the folder they came from; gives an endless, seeded stream of `Example`s. A name or number of a
text is replaced by an interrogative; what remains of its sentence is the question, and the same text in another language, among others
like it, the window. The idea is that of cloze questions (Lewis et al., ACL 2019), which there are asked and answered in one language.
"""

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from training.data import BUDGETS, NAME, WORD, Example, sentences
from training.parallel import LANGUAGES, catalogue

ASKED = {  # who, what, how many, which year
    "ar": ("من", "ما", "كم", "أي عام"), "bg": ("кой", "какво", "колко", "коя година"), "cs": ("kdo", "co", "kolik", "kterém roce"),
    "da": ("hvem", "hvad", "hvor mange", "hvilket år"), "de": ("wer", "was", "wie viele", "welchem Jahr"),
    "el": ("ποιος", "τι", "πόσα", "ποιο έτος"), "en": ("who", "what", "how many", "which year"),
    "es": ("quién", "qué", "cuántos", "qué año"), "fa": ("چه کسی", "چه چیزی", "چند", "چه سالی"),
    "fi": ("kuka", "mikä", "kuinka monta", "minä vuonna"), "fr": ("qui", "quoi", "combien de", "quelle année"),
    "he": ("מי", "מה", "כמה", "איזו שנה"), "hi": ("कौन", "क्या", "कितने", "किस वर्ष"), "hu": ("ki", "mi", "hány", "melyik évben"),
    "id": ("siapa", "apa", "berapa", "tahun berapa"), "it": ("chi", "che cosa", "quanti", "quale anno"),
    "ja": ("誰", "何", "いくつ", "何年"), "ko": ("누가", "무엇", "몇", "몇 년"), "nl": ("wie", "wat", "hoeveel", "welk jaar"),
    "no": ("hvem", "hva", "hvor mange", "hvilket år"), "pl": ("kto", "co", "ile", "którym roku"),
    "pt": ("quem", "o que", "quantos", "que ano"), "ro": ("cine", "ce", "câți", "ce an"),
    "ru": ("кто", "что", "сколько", "каком году"), "sv": ("vem", "vad", "hur många", "vilket år"),
    "th": ("ใคร", "อะไร", "กี่", "ปีใด"), "tr": ("kim", "ne", "kaç", "hangi yıl"), "uk": ("хто", "що", "скільки", "якому році"),
    "vi": ("ai", "cái gì", "bao nhiêu", "năm nào"), "zh": ("谁", "什么", "多少", "哪一年"),
}  # fmt: skip
CAPITALISED = r"[A-Z][\w’'-]+(?: (?:of |the )*[A-Z][\w’'-]+)"
SHORT_NAME, LONG_NAME = re.compile(CAPITALISED + "{0,2}"), re.compile(CAPITALISED + r"*|[A-Z]\w+")
NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\d)")
YEAR = re.compile(r"1\d{3}|20\d\d")
SPACELESS = ("ja", "th", "zh")
INFLECTED = 3  # letters that a case may put to a name
ENGLISH, TURNED = 0.35, 0.2  # of the questions are English; of the pairs are turned round, so that English texts are asked about too
ABSENT = 0.25  # of the windows do not hold the text
AROUND = (3, 12)  # words of the sentence kept on either side of what is asked; characters twice as many where there are no spaces
LEAST = 3  # words (or twice as many characters) that a question keeps
NEAR, MOST_NEAR = 80, 12  # texts to either side of which a window is made, and at most in it

Names = dict[str, dict[str, str]]


def names(folder: Path) -> Names:
    """English name → language → name: short capitalised messages of the catalogues in the folder, countries and languages among them."""
    found: Names = defaultdict(dict)
    for language in LANGUAGES:
        for name in ("wesnoth*", "iso_3166-1", "iso_639-2"):
            for text, other in catalogue(folder, name, language):
                if SHORT_NAME.fullmatch(text) and len(other) <= 2 * len(text) + 6:
                    found[text].setdefault(language, other)
    return dict(found)


def stream(texts: list[dict[str, str]], known: Names, seed: int) -> Iterator[Example]:
    """Examples without end; a quarter of the windows do not hold their text."""
    rng = random.Random(seed)
    plain = {word for text in texts for word in WORD.findall(text["en"])}
    known = {name: others for name, others in known.items() if name.lower() not in plain}
    marks = [_marks(text["en"], known) for text in texts]
    holding: dict[str, list[int]] = defaultdict(list)
    for i, found in enumerate(marks):
        for mark in found:
            holding[mark].append(i)
    told_in = {language: [i for i, text in enumerate(texts) if language in text and marks[i]] for language in LANGUAGES}
    while True:
        told = rng.choice([language for language in LANGUAGES if told_in[language]])
        at = rng.choice(told_in[told])
        asked = "en" if rng.random() < ENGLISH else rng.choice(sorted(texts[at].keys() - {told}))
        if rng.random() < TURNED:
            asked, told = told, asked
        mark = rng.choice(marks[at])
        here, there = (_place(texts[at][language], known.get(mark, {}).get(language, mark), language) for language in (asked, told))
        if asked == told or here is None or there is None:
            continue
        question = _question(texts[at][asked], here, asked, mark, rng)
        if question is None:
            continue
        shown = texts[at][told]
        beside = {*range(max(0, at - NEAR), min(len(texts), at + NEAR)), *rng.sample(holding[mark], min(3, len(holding[mark])))} - {at}
        near = [texts[i][told] for i in sorted(beside) if told in texts[i]]
        budget = rng.choice(BUDGETS) * (0.4 if told in SPACELESS else 1) - len(shown)
        near = _fitting(rng.sample(near, min(MOST_NEAR, len(near))), budget)
        if rng.random() >= ABSENT:
            before = near[: rng.randint(0, len(near))]
            shift = sum(len(other) + 1 for other in before)
            yield Example(question, " ".join([*before, shown, *near[len(before) :]]), there[0] + shift, there[1] + shift)
        elif near:
            yield Example(question, " ".join(near), -1, -1)


def _fitting(texts: list[str], budget: float) -> list[str]:
    """The first of the texts, as many as stay within so many characters."""
    lengths = itertools.accumulate(len(text) + 1 for text in texts)
    return [text for text, length in zip(texts, lengths, strict=True) if length <= budget]


def _marks(text: str, known: Names) -> list[str]:
    """The numbers of an English text, its known names, and other capitalised words where no sentence begins."""
    own = (word for name in LONG_NAME.findall(text) for word in (name, name.split()[0]) if word in known)
    return sorted({*own, *NAME.findall(text), *NUMBER.findall(text)})


def _place(text: str, mark: str, language: str) -> tuple[int, int] | None:
    """Where a text has a name or number, with a case's ending; None unless it has it once."""
    if language in SPACELESS:
        pattern = re.escape(mark)
    else:
        pattern = rf"(?<!\w){re.escape(mark)}" + (r"(?![\w.,]?\d)" if mark[0].isdigit() else rf"\w{{0,{INFLECTED}}}(?!\w)")
    found = list(re.finditer(pattern, text))
    return found[0].span() if len(found) == 1 else None


def _question(text: str, place: tuple[int, int], language: str, mark: str, rng: random.Random) -> str | None:
    """What stands around the place in its sentence, with an interrogative there; None if it is little."""
    start, end = next((a, b) for a, b in sentences(text) if place[0] < b)
    spaceless = language in SPACELESS
    before, after = text[start : place[0]], text[place[1] : max(end, place[1])].strip().rstrip(".!?。！？…:;")
    parts = (list(before), list(after)) if spaceless else (before.split(), after.split())
    left, right = (rng.randint(*AROUND) * (2 if spaceless else 1) for _ in range(2))
    parts = (parts[0][-left:], parts[1][:right])
    if len(parts[0]) + len(parts[1]) < LEAST * (2 if spaceless else 1):
        return None
    who, what, how_many, year = ASKED[language]
    word = (year if YEAR.fullmatch(mark) else how_many) if mark[0].isdigit() else rng.choice((who, what))
    made = [*parts[0], word, *parts[1]]
    question = ("" if spaceless else " ").join(made).strip(" ,:;–—-«»\"“”'()") + ("？" if language in ("ja", "zh") else "?")
    return question[0].upper() + question[1:]
