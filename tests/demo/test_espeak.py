import shutil

import numpy as np
import pytest

from demo.espeak import EspeakError, speak_pinyin, version

installed = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


LONG = "ni3 " * 600 + "hao3"


@pytest.mark.parametrize(
    "text", ["", "你好", "ni hao", "ni3 hao3; rm", "<mark/>", "ni3 <break/>", "ni6", "-v en", LONG, "ni3\n"]
)
def test_nothing_but_pinyin_reaches_the_program(text: str) -> None:
    with pytest.raises(EspeakError, match="pinyin"):
        speak_pinyin(text, variant="f2")


@pytest.mark.parametrize(
    ("variant", "pitch", "speed"),
    [("../f2", 50, 130), ("", 50, 130), ("f2", 100, 130), ("f2", -1, 130), ("f2", 50, 20)],
)
def test_speakers_and_numbers_are_bounded(variant: str, pitch: int, speed: int) -> None:
    with pytest.raises(EspeakError, match="out of range"):
        speak_pinyin("ni3 hao3", variant=variant, pitch=pitch, speed=speed)


@installed
def test_it_speaks_louder_than_silence_and_slower_when_asked() -> None:
    wave, rate = speak_pinyin("ni3 hao3 ma5?", variant="f2")
    slow, _ = speak_pinyin("ni3 hao3 ma5?", variant="f2", speed=90)
    assert rate == 22_050
    assert wave.dtype == np.float32
    assert 0.05 < np.abs(wave).max() <= 1
    assert 0.4 < len(wave) / rate < 3
    assert len(slow) > 1.2 * len(wave)
    assert version().startswith("1.")


@installed
def test_a_speaker_that_does_not_exist_is_not_another_one() -> None:
    with pytest.raises(EspeakError, match="no variant nobody"):
        speak_pinyin("ni3 hao3", variant="nobody")
