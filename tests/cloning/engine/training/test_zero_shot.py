import numpy as np
import pytest

from cloning.engine import voicefile
from cloning.engine.errors import TextError, TrainingRefused
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.prepare import Recording
from cloning.engine.training.zero_shot import instant_voice


def test_a_reference_speaks_at_once_and_in_its_own_style(recordings: list[Recording]) -> None:
    from demo.flite.speaker import speak

    one = recordings[0]
    voice = instant_voice(None, one.wave, one.rate, one.transcript, "en")
    other = instant_voice(
        None, *speak("Nine small boats went out to sea before noon, and none came back.", voice="slt"), None, "en"
    )
    assert voice.reference is not None
    assert other.reference is not None
    mine, theirs = voice.reference.style.flatten(), other.reference.style.flatten()
    assert float(mine @ theirs / (mine.norm() * theirs.norm())) < 0.5
    back = voicefile.unpack(voicefile.pack(voice))
    speech = synthesise(back, SpeechRequest(text="Good morning.", seed=1))
    assert 0.3 < speech.seconds < 5
    assert back.base_digest == starter_base().digest


def refusal(wave: np.ndarray, rate: int, text: str | None, base: Base | None = None, language: str = "en") -> str:
    with pytest.raises((TrainingRefused, TextError)) as caught:
        instant_voice(base, wave, rate, text, language)
    return str(caught.value.code)


def test_what_is_no_reference_is_refused_by_name(recordings: list[Recording], base: Base) -> None:
    one = recordings[0]
    second = one.wave[: one.rate]
    assert refusal(np.zeros(64000, np.float32), 16000, None) == "silence"
    assert refusal(np.full(64000, np.nan, np.float32), 16000, None) == "bad_audio"
    assert refusal(np.zeros((2, 3, 4), np.float32), 16000, None) == "bad_audio"
    assert refusal(one.wave, 100, None) in ("bad_audio", "too_much")
    assert refusal(second, one.rate, None) == "too_little_speech"
    assert refusal(np.tile(one.wave, 20), one.rate, None) == "too_much"
    assert refusal(one.wave, one.rate, "word " * 200) == "bad_transcript"
    assert refusal(one.wave, one.rate, "he\0llo") == "bad_transcript"
    assert refusal(one.wave, one.rate, "bonjour", language="fr") == "unsupported_language"
    assert refusal(one.wave, one.rate, None, base) == "no_weights"
