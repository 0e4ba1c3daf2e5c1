import pytest

from index.language import detect


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Who supplied drones?"), ("fr", "Qui a fourni des drones ?"), ("de", "Welches Land liefert Waffen?"),
        ("es", "¿Cuántos habitantes tiene la región?"), ("it", "Quanto è grande la zona contesa?"),
        ("pt", "Que países negaram qualquer ingerência?"), ("ru", "Кто призвал к прекращению огня?"),
        ("zh", "谁提供了无人机？"), ("ja", "停戦を呼びかけたのは誰ですか？"), ("ar", "ما هو موقف إيران من النزاع؟"),
        ("tr", "Rusya’nın askeri üssü hangi ülkede?"), ("th", "ใครเป็นผู้จัดหาโดรน"), ("el", "Ποιος προμήθευσε τα όπλα;"),
        ("hi", "ड्रोन किसने दिए?"), ("en", "Who is Hikmet Hajiyev?"), ("ko", "누가 드론을 공급했습니까?"),
    ],
)  # fmt: skip
def test_short_questions(language: str, text: str) -> None:
    assert detect(text) == language


def test_without_letters_the_default() -> None:
    assert detect("1234 !?", default="fr") == "fr"
