"""Speaking piece by piece: the same sound as at once, in time to be heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cloning.engine import bases, synthesis
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import tiny
from cloning.engine.errors import SynthesisFailed, TextError
from cloning.engine.formants import sharpen
from cloning.engine.pieces import FIRST_FRAMES, ReadyVoice, _sound
from cloning.engine.synthesis import PEAK, SpeechRequest, synthesise
from cloning.engine.voicefile import Voice
from tests.cloning.engine.acoustic.made import sung
from tests.cloning.engine.test_synthesis import loud_voice


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.set_num_threads(1)
    return loud_voice(tiny())


TWO = "Hello there, my friend. And now, something else altogether was said by them."


@pytest.mark.parametrize("speed", [1.0, 0.8])
def test_pieces_are_the_speech_of_the_same_seed(voice: Voice, speed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained voice's codes never look complete; here they count as complete, so that stretches are made."""
    monkeypatch.setattr(synthesis, "LEAST_CODES_PER_PHONE", 0.0)
    request = SpeechRequest(TWO, seed=7, speed=speed, temperature=2.0)
    whole = synthesise(voice, request).pcm
    given = list(ReadyVoice(voice).pieces(request))
    assert any(not one.last for one in given)
    assert [one.last for one in given if one.sentence == given[0].sentences - 1][-1]
    assert sorted({one.sentence for one in given}) == list(range(given[0].sentences))
    parts = np.concatenate([one.pcm for one in given])
    assert len(parts) == len(whole)
    assert np.abs(parts).max() <= PEAK
    # At once the loudest sample sets the level of all; what was heard already can only be cut at the peak.
    assert np.abs(whole - parts).max() < 0.02


@pytest.mark.parametrize("size", ["tiny", "starter"])
def test_a_stretch_sees_all_it_would_have_seen(voice: Voice, size: str) -> None:
    """The vocoder over stretches is the vocoder over the whole, in the size that is shipped too."""
    config = tiny() if size == "tiny" else bases._starter().config
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AcousticModel(config.acoustic, config.audio).eval()
        latent, style = (
            sung(model, torch.randn(1, config.acoustic.latent, 150)),
            torch.randn(1, config.acoustic.style, 1),
        )
    with torch.inference_mode():
        whole = model.dec(latent, style)[0, 0].numpy()
    spans = ((0, FIRST_FRAMES), (FIRST_FRAMES, 90), (90, 150))
    parts = np.concatenate([_sound(model, latent, style, a, b, 0.0) for a, b in spans])
    assert np.allclose(parts, whole, atol=1e-5)
    sharp = np.concatenate([_sound(model, latent, style, a, b, 0.5) for a, b in spans])
    assert np.allclose(sharp, sharpen(whole, config.audio, 0.5), atol=1e-5)
    assert not np.allclose(sharp, whole, atol=1e-3)


def test_a_sentence_whose_codes_never_look_complete_comes_whole_or_not_at_all(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis, "LEAST_CODES_PER_PHONE", 1e9)
    ready = ReadyVoice(voice)
    given = list(ready.pieces(SpeechRequest("Hello there, my friend.", seed=1)))
    assert [(one.sentence, one.last) for one in given] == [(0, True), (1, True)]
    monkeypatch.setattr("cloning.engine.pieces.check_audible", _silent)
    with pytest.raises(SynthesisFailed):
        list(ready.pieces(SpeechRequest("Hello there, my friend.", seed=1)))


def _silent(*_: object, **__: object) -> None:
    raise SynthesisFailed("silence", "nothing")


@pytest.mark.parametrize("text", ["...", "مرحبا", "👋👋"])
def test_nothing_to_say_is_said_before_anything_is_given(voice: Voice, text: str) -> None:
    with pytest.raises(TextError):
        next(ReadyVoice(voice).pieces(SpeechRequest(text, seed=1)))
