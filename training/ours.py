"""What we wrote ourselves for the languages that the data files lack.

Takes `asked.tsv`, questions about the files' answers in other languages than their passages', `answered.tsv`, questions with other
answers of the files' passages, `missed.tsv`, questions that these come near to answering and do not, and `written.tsv`, short passages
in 36 languages with questions in others; gives rows as `data` does. What the passages tell is invented.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from training.data import Row, Source

ASKED = Path(__file__).parent / "asked.tsv"  # row id, language, question
ANSWERED = Path(__file__).parent / "answered.tsv"  # the same, and the answer as the row's context has it first
MISSED = Path(__file__).parent / "missed.tsv"  # row id, language and question, which the row's context does not answer
WRITTEN = Path(__file__).parent / "written.tsv"  # language, passage, title if any; below it, indented, language, question and answer
WEIGHT = 3  # of a question about a passage of our own, beside one about the files': it is newer to the reader
LEFT_OUT = Path(__file__).parent / "left_out.tsv"  # the same, for calibration: never trained on
NONE = "-"  # in the place of an answer that the passage does not have


def by_row(path: Path | None = None) -> dict[str, list[str]]:
    """Row id → our questions about it, those of ASKED or of another file like it."""
    return {identity: [question for _, question in rest] for identity, rest in _read(path or ASKED).items()}


def _read(path: Path) -> dict[str, list[list[str]]]:
    """Row id → what stands in its lines after it: language, question and, in ANSWERED, the answer."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        identity, *rest = line.split("\t")
        found[identity].append(rest)
    return dict(found)


def written(path: Path = WRITTEN) -> dict[str, Source]:
    """The passages of WRITTEN or LEFT_OUT with their questions: `articles.LANGUAGE` those with a title, `ours.LANGUAGE` the others.

    Passages of one title are about one thing, in several languages. What one of them does not answer another may: near misses stand alone.
    """
    rows: dict[str, list[Row]] = defaultdict(list)
    beside: dict[str, set[str]] = defaultdict(set)
    language = context = title = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        if parts[0]:
            language, context, title = (*parts, "")[:3]
            continue
        _, asked_in, question, answer = parts
        row = Row("", context, (context if answer == NONE else title) if title else language, -1, -1)
        rows[f"{'articles' if title else 'ours'}.{language}"].append(_asked(row, asked_in, question, answer))
        beside[row.title].add(context)
    return {
        name: Source(name.split(".")[1], found, {title: sorted(beside[title]) for title in {row.title for row in found}})
        for name, found in rows.items()
    }


def sources(found: dict[str, Source]) -> dict[str, Source]:
    """Rows of the data files with our questions, beside all the contexts there are; and the passages of our own.

    Each weighs in the stream as much as it has rows, the passages of our own WEIGHT times as much.
    """
    asked, told, missed, made = _read(ASKED), _read(ANSWERED), _read(MISSED), {}
    rows_of = Counter(row.id for source in found.values() for row in source.rows)
    if shared := [identity for identity in {*asked, *told, *missed} if rows_of[identity] > 1]:
        raise ValueError(f"{len(shared)} ids of our questions have several rows, {shared[0]} among them: delete their lines")
    for name, source in found.items():
        rows = [replace(row, asked_in=language, question=question) for row in source.rows for language, question in asked.get(row.id, ())]
        rows += [_asked(row, *rest) for row in source.rows for rest in told.get(row.id, ())]
        rows += [_asked(row, language, question, NONE) for row in source.rows for language, question in missed.get(row.id, ())]
        if rows:
            made[name] = Source(source.language, rows, source.contexts)
    made |= written()
    for name, source in made.items():
        source.share = len(source.rows) * (WEIGHT if name not in found else 1)
        source.beside.clear()  # no follow-ups: the question before would be in another language, or the same one
    return made


def with_siblings(retrieved: dict[str, dict[str, list[str]]], own: dict[str, Source]) -> dict[str, dict[str, list[str]]]:
    """What `negatives.mine` found for our questions, and for the articles' as often the other passages of the article."""
    made = dict(retrieved)
    for name, source in own.items():
        if name.startswith("articles."):
            made[name] = {row.question: _with(retrieved[name].get(row.question, []), row, source) for row in source.rows}
    return made


def _with(near: list[str], row: Row, source: Source) -> list[str]:
    siblings = [context for context in source.contexts[row.title] if context != row.context]
    return near + max(1, len(near) // max(1, len(siblings))) * siblings


def balanced(own: dict[str, Source]) -> dict[str, Source]:
    """The same, each row as many times as the square root of how much rarer its question's language is than the commonest.

    What one language has a hundredth of the questions of another is drawn a tenth as often (after Devlin et al., multilingual BERT).
    """
    weighed = defaultdict[str, float](float)
    for source in own.values():
        for row in source.rows:
            weighed[row.asked_in] += source.share / len(source.rows)
    commonest = max(weighed.values())
    made = {}
    for name, source in own.items():
        rows = [row for row in source.rows for _ in range(round((commonest / weighed[row.asked_in]) ** 0.5))]
        made[name] = replace(source, rows=rows, share=source.share * len(rows) / len(source.rows))
        made[name].beside.clear()
    return made


def _asked(row: Row, language: str, question: str, answer: str) -> Row:
    """The row with this question, and with the answer as its context has it first, or none."""
    start, length = (row.context.index(answer), len(answer)) if answer != NONE else (-1, 0)
    return replace(row, asked_in=language, question=question, start=start, end=start + length)
