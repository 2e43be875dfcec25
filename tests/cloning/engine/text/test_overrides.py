import pytest

from cloning.engine.errors import TextError
from cloning.engine.text.overrides import MOST_PHONES, MOST_WORDS, merge, parse


def test_pronunciations_are_read_from_strings_and_lists() -> None:
    assert parse({"en": {"Nguyen": "W IH1 N"}, "zh": {"重庆": ["ch", "ong2", "q", "ing4"]}}) == {
        "en": {"nguyen": ("W", "IH1", "N")},
        "zh": {"重庆": ("ch", "ong2", "q", "ing4")},
    }
    assert parse({"zh": {"重庆": "chong2 qing4"}}) == {"zh": {"重庆": ("ch", "ong2", "q", "ing4")}}
    assert parse({"yue": {"重": "cung5"}}) == {"yue": {"重": ("Yc", "Yung5")}}
    assert parse({}) == {}


def test_the_request_wins_over_the_voice() -> None:
    voice = parse({"en": {"read": "R EH1 D", "live": "L AY1 V"}})
    request = parse({"en": {"READ": "R IY1 D"}, "ja": {"箸": "h a sh i"}})
    assert merge(voice, request) == {
        "en": {"read": ("R", "IY1", "D"), "live": ("L", "AY1", "V")},
        "ja": {"箸": ("h", "a", "sh", "i")},
    }


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "language: {word: phones}"),
        ({"fr": {"oui": "W IY1"}}, "'fr'"),
        ({"en": ["x"]}, "{word: phones}"),
        ({"en": {"": "AH0"}}, "not a word"),
        ({"en": {7: "AH0"}}, "not a word"),
        ({"en": {"two words": "AH0"}}, "not one word"),
        ({"en": {"a\nb": "AH0"}}, "not one word"),
        ({"en": {"--": "AH0"}}, "not one word"),
        ({"en": {"x" * 65: "AH0"}}, "not a word"),
        ({"en": {"x": ""}}, "0 phones"),
        ({"en": {"x": "AH0 " * (MOST_PHONES + 1)}}, "65 phones"),
        ({"en": {"x": "AH9"}}, "'AH9'"),
        ({"en": {"x": "UNK"}}, "'UNK'"),
        ({"en": {"x": 5}}, "a string"),
        ({"en": {"x": "AH0", "X": "AH1"}}, "twice"),
        ({"zh": {"重庆": "ch ong2 q"}}, "two phones"),
        ({"zh": {"重庆": "chong2 qink4"}}, "'qink4'"),
        ({"zh": {"T恤": "t i4 x v4"}}, "'T'"),
        ({"en": {f"w{i}": "AH0" for i in range(MOST_WORDS + 1)}}, "more than 500"),
    ],
)
def test_a_bad_entry_is_named(raw: object, said: str) -> None:
    with pytest.raises(TextError) as refusal:
        parse(raw)
    assert refusal.value.code == "bad_override"
    assert said in str(refusal.value)


def test_v1_has_its_own_languages_and_phones() -> None:
    assert parse({"en": {"x": "EH1 K S"}}, version="v1")
    for raw in ({"ko": {"한국": "ㅎ ㅏ"}}, {"ja": {"箸": "h a [ sh i"}}):
        with pytest.raises(TextError):
            parse(raw, version="v1")
