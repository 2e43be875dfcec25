import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import to_phones
from cloning.engine.text.english import lexicon, pronounce, read
from cloning.engine.text.english_lexicon import more, names, upstream
from cloning.engine.text.letters import sound_out
from cloning.engine.text.symbols import INDEX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Rows of the official front end's output.
        ("The quick brown fox jumps over the lazy dog.",
         "DH AH0 K W IH1 K B R AW1 N F AA1 K S JH AH1 M P S OW1 V ER0 DH AH0 L EY1 Z IY0 D AO1 G ."),
        ("Don't you think it's too complex?",
         "D OW1 N T Y UW1 TH IH1 NG K IH1 T S T UW1 K AA1 M P L EH0 K S ?"),
        ("Hi", ", HH AY1"),
        ("OpenAI released ChatGPT in November.",
         "OW1 P AH0 N EY1 AY1 R IY0 L IY1 S T CH AE1 T JH IY1 P IY1 T IY1 IH0 N N OW0 V EH1 M B ER0 ."),
    ],
)  # fmt: skip
def test_reads_as_the_official_front_end(text: str, expected: str) -> None:
    assert to_phones(text, "en").symbols == expected.split()


def test_dictionaries_hold_known_symbols_only() -> None:
    for table in (upstream(), names(), more()):
        assert all(symbol in INDEX for phones in table.values() for symbol in phones.split())
    assert len(upstream()) > 125_000
    assert len(names()) > 19_000
    assert not set(more()) & set(upstream())


def test_words_no_dictionary_has_are_sounded_out() -> None:
    # "quizzically", "xylophonists" as the official front end's network gives them.
    assert sound_out("xylophonists") == ("Z", "AY1", "L", "AH0", "F", "AH0", "N", "AH0", "S", "T", "S")
    assert len(sound_out("antidisestablishmentarianismologically")) > 20
    assert len(sound_out("antidisestablishmentarianismologically", compat=True)) <= 20


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("GIF", "G IH1 F"), ("RAM", "R AE1 M"), ("JPEG", "JH EY1 P EH2 G"), ("API", "EY1 P IY1 AY1"),
        ("Wi-Fi", "W AY1 F AY2"), ("Kubernetes", "K UW2 B ER0 N EH1 T IY0 Z"), ("Huawei", "HH W AA1 W EY2"),
        ("geolocation", "JH IY2 OW0 L OW0 K EY1 SH AH0 N"), ("açaí", "AA2 S AA0 IY1"),
        ("MySQL", "M AY1 EH2 S K Y UW2 EH1 L"), ("doppelganger", "D AA1 P AH0 L G AE2 NG ER0"),
    ],
)  # fmt: skip
def test_words_that_once_broke(text: str, phones: str) -> None:
    """Only grows."""
    assert [sound for _, sounds in read(text).words for sound in sounds] == phones.split()


def test_compounds_names_and_newer_words_have_their_own_sound() -> None:
    assert pronounce("touchscreenmaker") == pronounce("touchscreen") + pronounce("maker")
    assert lexicon("nikolay") is not None
    assert pronounce("covid") == ["K", "OW1", "V", "IH0", "D"]


def test_acronyms_are_spelled_and_shouting_is_not() -> None:
    assert to_phones("The FBI and the HTML.", "en").symbols[2:8] == ["EH1", "F", "B", "IY1", "AY1", "AH0"]
    assert to_phones("STOP THE CAR AT 5", "en").symbols[:6] == ["S", "T", "AA1", "P", "DH", "AH0"]
    assert to_phones("I said NO to the US.", "en").symbols[4:6] == ["N", "OW1"]
    assert to_phones("I said NO to the US.", "en").symbols[-5:] == ["Y", "UW1", "EH1", "S", "."]
    assert to_phones("Vitamin A, and a cat", "en").symbols[7:9] == ["EY1", ","]


def test_unknown_plurals_follow_their_last_sound() -> None:
    assert to_phones("one two three bass's", "en").symbols[-5:] == ["B", "EY1", "S", "IH0", "Z"]
    assert pronounce("chatbot's")[-1] == "S"
    assert pronounce("vlogs")[-1] == "Z"


def test_pauses_are_kept() -> None:
    reading = read("Wait; no — stop (really): “now”…")
    assert reading.normalised == "Wait, no, stop, really, now…"
    assert [symbol for symbol in reading.symbols if symbol in ",…"] == [",", ",", ",", ",", "…"]


def test_letters_of_other_scripts_are_refused_by_default_only() -> None:
    with pytest.raises(TextError) as refusal:
        read("Привет")
    assert refusal.value.code == "unsupported_characters"
    assert read("Привет", compat=True).symbols == []


@pytest.mark.parametrize("compat", [False, True])
def test_overrides_win(compat: bool) -> None:
    overrides = {"vouch": ("V", "UW1", "SH"), "gpt-4": ["F", "AO1", "R"], "new york": ["N", "Y"]}
    reading = read("Vouch, GPT-4 and New York: vouch's vouchers.", compat=compat, overrides=overrides)
    given = [symbols for word, symbols in reading.words if word.lower() in (*overrides, "vouch's")]
    assert given == [["V", "UW1", "SH"], ["F", "AO1", "R"], ["N", "Y"], ["V", "UW1", "SH", "IH0", "Z"]]
    assert ["V", "AW1", "CH", "ER0", "Z"] in [symbols for _, symbols in reading.words]
    assert reading.normalised.startswith("Vouch, GPT-4 and New York")


@pytest.mark.parametrize("overrides", [{"a": []}, {"a": ["QQ"]}, {" ": ["AH0"]}])
def test_unusable_overrides_are_refused(overrides: dict[str, list[str]]) -> None:
    with pytest.raises(TextError) as refusal:
        read("a", overrides=overrides)
    assert refusal.value.code == "bad_override"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=60), st.booleans())
def test_any_latin_text_is_read(text: str, compat: bool) -> None:
    try:
        reading = read(text, compat=compat)
    except TextError:
        # Letters such as the Greek mu.
        assert not compat
        return
    assert all(symbol in INDEX for symbol in reading.symbols)
