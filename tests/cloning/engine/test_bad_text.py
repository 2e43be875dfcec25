"""Text that no one should have sent: speech or a named refusal, never babble without end, never silence.

Structure is tried with a small loud voice, sound with the shipped starter base.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from cloning.engine.config import EngineConfig, starter, tiny
from cloning.engine.errors import SynthesisFailed, TextError
from cloning.engine.semantic.sampling import MOST_CODES, code_bound
from cloning.engine.synthesis import (
    ATTEMPTS,
    MOST_PHONES,
    PEAK,
    STARTER_PHONES,
    SpeechRequest,
    check_audible,
    synthesise,
)
from cloning.engine.synthesis import (
    fragments as engine_fragments,
)
from cloning.engine.text.symbols import table
from cloning.engine.training.zero_shot import instant_voice
from cloning.engine.voicefile import Voice
from demo.flite.speaker import speak
from tests.cloning.engine.test_synthesis import loud_voice

#: name -> text that has something to say, odd as it is.
SPEAKABLE = {
    "one letter": "a",
    "words of no language": "xqzt brrgh fnord wkkp zzyzx",
    "no vowels": "bcdfghjkl mnpqrst",
    "spelled letters": "A, B, C, D, E, F, G.",
    "a number": "1234567890",
    "sixty figures": "9" * 60,
    "money and percent": "-12.5% of $1,234.56",
    "one long word": "ha" * 100,
    "one vowel": "a" * 200,
    "all at once": "HELLO!!! (world); #1 @home -- https://example.com/a?b=c&d=e",
    "invisible marks": "he\u200bllo \u202eworld",
    "heaped accents": "h\u0301\u0302\u0303e\u0301llo",
    "wide letters": "ＨＥＬＬＯ　１２３",
    "a picture among words": "hello 😀 world",
    "lines": "Hello.\n\n\nWorld.",
    "500 words": " ".join(["house"] * 500) + ".",
    "500 words of one sentence": "The dog saw " + " and ".join(["the cat"] * 160) + ".",
}
#: The same in Mandarin.
SPEAKABLE_ZH = {
    "one character": "好",
    "English within Mandarin": "我喜欢 Python 和北京烤鸭。",
    "figures": "2026年11月28日，温度是-3.5度。",
    "sixty figures": "9" * 60,
    "traditional": "這個聲音屬於誰？",
    "erhua": "花儿开了，小孩儿在玩儿。",
    "marks of all kinds": "“你好”——她说：《红楼梦》……真的！？",
    "500 characters without a mark": "今天天气很好" * 84,
}
#: name -> text and the code of its refusal.
REFUSED = {
    "nothing": ("", "empty_text"),
    "space": (" \n\t ", "empty_text"),
    "marks": ("?!...", "empty_text"),
    "pictures": ("😀🎉🇨🇳", "empty_text"),
    "a lone sign": ("%", "empty_text"),
    "Mandarin within English": ("I like 北京烤鸭 very much.", "unsupported_characters"),
    "Russian": ("Привет, как дела?", "unsupported_characters"),
    "Arabic": ("مرحبا بالعالم", "unsupported_characters"),
    "a control character": ("a\0b", "bad_characters"),
    "half a surrogate pair": ("\ud800", "bad_characters"),
    "a book": ("word " * 5000, "text_too_long"),
    "a word of 5,000 letters": ("a" * 9000 + "bc" * 400, "fragment_too_long"),
}


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.set_num_threads(1)
    return loud_voice(tiny())


@pytest.fixture(scope="module")
def starter_voice() -> Voice:
    torch.set_num_threads(1)
    wave, rate = speak("My uncle keeps bees behind the old mill, and every autumn he sends us honey.", voice="awb")
    return instant_voice(None, wave, rate, None, "en")


def fragments(text: str, config: EngineConfig | None = None, language: str = "en") -> list[list[int]]:
    return engine_fragments(SpeechRequest(text, seed=1, language=language), config or starter())


@pytest.mark.parametrize("name", SPEAKABLE)
def test_odd_text_becomes_phones_in_breaths_that_the_base_has_learnt(name: str) -> None:
    found = fragments(SPEAKABLE[name])
    assert all(found)
    # Only a single word may be longer, and has its own limit.
    longest = MOST_PHONES if name in ("one long word", "one vowel") else STARTER_PHONES["en"] + 1
    assert max(map(len, found)) <= longest


@pytest.mark.parametrize("name", REFUSED)
def test_text_that_cannot_be_said_is_refused_by_name(voice: Voice, name: str) -> None:
    text, code = REFUSED[name]
    with pytest.raises(TextError) as refusal:
        synthesise(voice, SpeechRequest(text, seed=1))
    assert refusal.value.code == code
    assert refusal.value.message


@pytest.mark.parametrize("language", ["ja", "ko", "yue"])
def test_a_starter_voice_refuses_languages_its_base_has_never_heard(language: str) -> None:
    with pytest.raises(TextError) as refusal:
        fragments("hello, 今天天气很好。", language=language)
    assert refusal.value.code == "unsupported_language"


def test_a_voice_of_an_earlier_base_speaks_english_only() -> None:
    earlier = starter()
    semantic = dataclasses.replace(earlier.semantic, codes=1024)
    acoustic = dataclasses.replace(earlier.acoustic, codes=1024)
    with pytest.raises(TextError) as refusal:
        fragments("今天天气很好。", dataclasses.replace(earlier, semantic=semantic, acoustic=acoustic), language="zh")
    assert refusal.value.code == "unsupported_language"
    assert fragments("今天天气很好。", language="zh")


@pytest.mark.parametrize("name", SPEAKABLE_ZH)
def test_odd_mandarin_becomes_phones_in_breaths_that_the_base_has_learnt(name: str) -> None:
    found = fragments(SPEAKABLE_ZH[name], language="zh")
    assert all(found)
    assert max(map(len, found)) <= STARTER_PHONES["zh"] + 1
    ends = {table()[mark] for mark in ".?!"}
    assert all(part[-1] in ends for part in found)


def test_a_long_sentence_is_cut_between_words_and_keeps_every_phone() -> None:
    text = "The dog saw " + " and ".join(["the cat"] * 40) + "."
    whole = fragments(text, dataclasses.replace(starter(), version="v2"))
    cut = fragments(text)
    assert len(whole) == 1
    assert len(cut) == math.ceil(len(whole[0]) / STARTER_PHONES["en"])
    stop = table()["."]
    assert all(part[-1] == stop for part in cut)
    assert [phone for part in cut[:-1] for phone in part[:-1]] + cut[-1] == whole[0]
    assert max(map(len, cut)) - min(map(len, cut)) < STARTER_PHONES["en"] / 3


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("I am sorry, I did not hear.", ".."), ("If it is good; then", "."), ("Wait - what?", "?"), ("Go, now!", "!"),
        ("No mark at all", "."), ("And then…", "."), ("The first part: the second", ".."),
        ("Is it really? Yes it is", "?."),
    ],
)  # fmt: skip
def test_every_part_ends_as_the_base_s_sentences_did(text: str, last: str) -> None:
    """Behind a comma the base goes on speaking, of nothing that was asked for."""
    cut = fragments(text)
    marks = {table()[mark]: mark for mark in ",.!?-…"}
    ends = "".join(marks[part[-1]] for part in cut)
    assert ends == last
    assert all(part[-2] not in marks for part in cut)
    # what other versions read is as it was
    other = fragments(text, dataclasses.replace(starter(), version="v2"))
    said = [[row for row in part if row not in marks] for part in other]
    assert said == [[row for row in part if row not in marks] for part in cut]


def test_no_breath_begins_with_a_mark() -> None:
    text = "; ".join(["one, two"] * 60)
    marks = {table()[mark] for mark in ",.!?-…"}
    request = SpeechRequest(text, seed=1, split_method="cut0")
    cut = engine_fragments(request, starter())
    assert len(cut) > 1
    assert not any(part[0] in marks for part in cut)
    assert not any(part[-1] in marks and part[-2] in marks for part in cut)


@pytest.mark.parametrize("name", ["words of no language", "sixty figures", "one vowel"])
def test_babble_ends_by_the_number_of_phones(voice: Voice, name: str) -> None:
    """An untrained model never ends by itself: the bound does it, whatever is asked."""
    text = SPEAKABLE[name]
    steps: list[float] = []
    speech = synthesise(voice, SpeechRequest(text, seed=1, fragment_interval=0.0), progress=steps.append)
    bounds = [code_bound(len(ids)) for ids in fragments(text, voice.config)]
    assert speech.seconds <= sum(bounds) / 25 + 0.1
    assert max(bounds) <= MOST_CODES
    assert speech.doubtful in range(len(bounds) + 1)
    assert steps[-1] == 1.0
    assert ATTEMPTS <= 5


@pytest.mark.parametrize("name", ["one letter", "words of no language", "spelled letters", "a picture among words"])
def test_the_starter_says_odd_text_in_sound(starter_voice: Voice, name: str) -> None:
    speech = synthesise(starter_voice, SpeechRequest(SPEAKABLE[name], seed=2))
    found = fragments(SPEAKABLE[name])
    assert 0.2 < speech.seconds <= sum(code_bound(len(ids)) for ids in found) / 25 + 0.3 * len(found)
    assert np.isfinite(speech.pcm).all()
    assert 0.05 < np.abs(speech.pcm).max() <= PEAK
    check_audible(speech.pcm, speech.rate, phones=sum(map(len, found)))


@pytest.mark.slow
def test_the_starter_says_500_words_within_their_bound(starter_voice: Voice) -> None:
    text = SPEAKABLE["500 words of one sentence"]
    speech = synthesise(starter_voice, SpeechRequest(text, seed=3))
    found = fragments(text)
    # 40 ms is the fastest phone there is.
    assert 0.04 * sum(map(len, found)) < speech.seconds
    assert speech.seconds <= sum(code_bound(len(ids)) for ids in found) / 25 + 0.3 * len(found)
    check_audible(speech.pcm, speech.rate, phones=sum(map(len, found)))


def test_a_click_is_not_a_sentence() -> None:
    """A tenth of a second may be one short word; it is not a hundred phones."""
    pcm = np.zeros(16000 * 8, np.float32)
    pcm[3200:6400] = 0.05 * np.sin(np.arange(3200) * 0.3)
    check_audible(pcm, 16000, phones=5)
    with pytest.raises(SynthesisFailed) as refusal:
        check_audible(pcm, 16000, phones=100)
    assert refusal.value.code == "silence"
