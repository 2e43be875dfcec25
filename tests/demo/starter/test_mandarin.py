import shutil

import numpy as np
import pytest

from cloning.engine.config import tiny
from cloning.engine.features.content import ContentEncoder
from cloning.engine.starter import corpus
from cloning.engine.starter.aligning import Aligner
from cloning.engine.starter.items import align
from cloning.engine.text import to_phones
from cloning.engine.text.classes import PHONES
from demo.starter import mandarin

installed = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("今天天气很好", "jin1 tian1 tian1 qi4 hen2 hao3"),
        ("女儿爱绿色", "nv3 er2 ai4 lv4 se4"),
        ("去远方学习", "qu4 yuan3 fang1 xue2 xi2"),
        ("知识是力量", "zhi1 shi5 shi4 li4 liang4"),
    ],
)
def test_symbols_are_spelled_as_the_program_reads_them(text: str, spelled: str) -> None:
    assert mandarin.pinyin(to_phones(text, "zh").symbols) == [spelled]


@pytest.mark.parametrize("symbols", [["n"], ["HH", "AH0"], ["zh", "v2"]])
def test_what_is_no_syllable_is_not_spelled(symbols: list[str]) -> None:
    assert mandarin.pinyin(symbols) == []


def test_two_third_tones_in_a_row_are_two_calls() -> None:
    assert mandarin.pinyin(["n", "i3", "h", "ao3", "m", "a5"]) == ["ni3", "hao3 ma5"]


@installed
def test_what_the_program_would_say_otherwise_is_not_trained_on() -> None:
    rng = np.random.default_rng(1)
    speaker = mandarin.speakers(True, rng)[0]
    text = "中午我要去银行取钱。"
    assert mandarin.say(text, speaker, rng) is None
    said = mandarin.say(text, speaker, rng, joined=True)
    assert said is not None
    assert 2 < len(said.wave) / corpus.RATE < 6


def test_clauses_end_at_marks() -> None:
    assert mandarin.clauses(["n", "i3", ",", "h", "ao3", "!"]) == [(["n", "i3"], ","), (["h", "ao3"], "!")]
    assert mandarin.clauses(["n", "i3"]) == [(["n", "i3"], ".")]
    assert mandarin.clauses([".", ","]) == []


def test_the_judges_are_never_trained_on() -> None:
    def voices(judges: bool) -> set[str]:
        return {speaker.voice for speaker in mandarin.speakers(judges, np.random.default_rng(1))}

    assert voices(True) == {f"cmn-{name}" for name in mandarin.JUDGES}
    assert not voices(True) & voices(False)
    assert len(voices(False)) > 40


@installed
def test_what_is_said_is_a_training_item_whose_phones_are_the_texts() -> None:
    rng = np.random.default_rng(4)
    said = mandarin.say("请问，我们去哪里？", mandarin.speakers(True, rng)[1], rng)
    assert said is not None
    assert [clause.symbols[0] for clause in said.clauses] == ["q", "w"]
    assert all(a.stop < b.start for a, b in zip(said.clauses, said.clauses[1:], strict=False))
    assert said.clauses[-1].stop < len(said.wave)
    # An aligner that has heard nothing still gives every sound its frames, in order.
    sounds = sorted({sound for clause in said.clauses for sound in clause.sounds})
    first = {sound: 2 * n for n, sound in enumerate(sounds)}
    encoder = ContentEncoder(tiny().content).eval()
    states = np.ones((2 * len(sounds), encoder.config.dim), np.float32)
    timed = mandarin.Timer(encoder, Aligner(states, states, first)).timed(said)
    assert timed is not None
    assert timed.speaker.language == "zh"
    assert (np.diff(timed.ends) > 0).all()
    read = to_phones(timed.text, "zh")
    places = align(read, timed)
    assert places is not None
    spoken = [PHONES[phone] for phone in timed.phones]
    matched = [
        f"cmn:{read.symbols[place]}" if name != "pau" else "pau" for name, place in zip(spoken, places, strict=True)
    ]
    assert matched == spoken
