"""Speaking: same seed same sound, no word lost, and silence is a refusal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cloning.engine import lowrank, say
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig, tiny
from cloning.engine.errors import EngineError, SynthesisFailed, TextError, VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.synthesis import PEAK, ResidentBase, SpeechRequest, check_audible, synthesise
from cloning.engine.voicefile import AdapterVoice, Voice, pack, unpack
from tests.cloning.engine.acoustic.made import sourceless


def loud_voice(config: EngineConfig) -> Voice:
    """Untrained, but loud: what comes out is noise that depends on every input."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        semantic = Text2Semantic(config.semantic).state_dict()
        acoustic = AcousticModel(config.acoustic, config.audio).state_dict()
    for name, value in acoustic.items():
        if name.startswith("dec.") and name.endswith("weight_g"):
            value.mul_(6.0)
    acoustic["dec.conv_post.weight"].mul_(6.0)
    return Voice(
        config=config,
        language="en",
        semantic=semantic,
        acoustic=acoustic,
        reference=Reference(torch.arange(5), torch.arange(12), torch.ones(1, 16, 1)),
    )


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.set_num_threads(1)
    return unpack(pack(loud_voice(tiny())))


def test_one_seed_is_one_sound(voice: Voice) -> None:
    state = torch.random.get_rng_state()
    one, again, other = (synthesise(voice, SpeechRequest("Hello there, my friend.", seed=s)) for s in (1, 1, 2))
    assert one.pcm.tobytes() == again.pcm.tobytes()
    assert one.pcm.tobytes() != other.pcm.tobytes()
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.fixture(scope="module")
def base() -> ResidentBase:
    return ResidentBase(dataclasses.replace(loud_voice(sourceless(tiny())), reference=None))


def adapters(base: ResidentBase, seed: int) -> AdapterVoice:
    draw = torch.Generator().manual_seed(seed)
    parts = {
        part: {
            name: (0.1 * torch.randn(shape, generator=draw)).half()
            for name, shape in lowrank.outline(base.base.config, part, 4).items()
        }
        for part in ("semantic", "acoustic")
    }
    reference = Reference(torch.arange(5), torch.arange(12), torch.ones(1, 16, 1))
    config = base.base.config
    return AdapterVoice(config, "en", 4, 8.0, parts["semantic"], parts["acoustic"], reference, base.base.digest())


def test_a_voice_on_a_resident_base_says_what_the_merged_one_says(base: ResidentBase) -> None:
    asked = SpeechRequest("Hello there, my friend.", seed=1)
    voices = [adapters(base, seed) for seed in (1, 2)]
    first, second = (synthesise(voice, asked, base=base) for voice in voices)
    for voice, speech in zip(voices, (first, second), strict=True):
        whole = synthesise(voice.on(base.base), asked)
        np.testing.assert_allclose(speech.pcm, whole.pcm, atol=1e-5)
    assert first.pcm.tobytes() != second.pcm.tobytes()
    # Nothing of the second voice stayed with the base.
    assert synthesise(voices[0], asked, base=base).pcm.tobytes() == first.pcm.tobytes()


def test_adapters_speak_on_their_own_base_only(base: ResidentBase) -> None:
    asked = SpeechRequest("Hello.", seed=1)
    voice = adapters(base, 1)
    strange = dataclasses.replace(voice, base_digest="0" * 64)
    for one, where, code in ((voice, None, "needs_base"), (strange, base, "wrong_base")):
        with pytest.raises(VoiceFileError) as refusal:
            synthesise(one, asked, base=where)
        assert refusal.value.code == code


def test_speech_is_bounded_mono_float_at_the_voice_s_rate(voice: Voice) -> None:
    shares: list[float] = []
    speech = synthesise(
        voice, SpeechRequest("One two three four. Five six seven eight!", seed=3), progress=shares.append
    )
    assert (speech.pcm.dtype, speech.pcm.ndim, speech.rate) == (np.float32, 1, 16000)
    assert speech.seconds == len(speech.pcm) / 16000
    assert 0.01 < float(np.abs(speech.pcm).max()) <= PEAK
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert speech.doubtful in (0, 1, 2)


def test_a_pause_of_the_asked_length_stands_between_fragments(voice: Voice) -> None:
    def said(interval: float) -> int:
        request = SpeechRequest("One two three four. Five six seven eight.", seed=3, fragment_interval=interval)
        return len(synthesise(voice, request).pcm)

    assert said(0.5) - said(0.0) == 8000


def test_faster_speech_is_shorter(voice: Voice) -> None:
    slow, fast = (synthesise(voice, SpeechRequest("Hello there.", seed=4, speed=s)).seconds for s in (1.0, 1.6))
    assert fast < 0.75 * slow


@pytest.mark.parametrize(
    ("text", "language", "method", "code"),
    [
        ("", "en", "cut5", "empty_text"),
        ("...!?", "en", "cut5", "empty_text"),
        ("a" * 20000, "en", "cut5", "text_too_long"),
        ("bell\x07", "en", "cut5", "bad_characters"),
        ("Hallo", "de", "cut5", "unsupported_language"),
        ("Hello there", "en", "cut9", "unknown_split_method"),
    ],
)
def test_text_that_cannot_be_said_is_refused_by_name(
    voice: Voice, text: str, language: str, method: str, code: str
) -> None:
    with pytest.raises(TextError) as refusal:
        synthesise(voice, SpeechRequest(text, seed=1, language=language, split_method=method))
    assert refusal.value.code == code


def test_a_silent_voice_is_a_failure_and_not_an_output(voice: Voice) -> None:
    acoustic = {**voice.acoustic, "dec.conv_post.weight": torch.zeros_like(voice.acoustic["dec.conv_post.weight"])}
    with pytest.raises(SynthesisFailed, match="silence"):
        synthesise(dataclasses.replace(voice, acoustic=acoustic), SpeechRequest("Hello there.", seed=1))


def test_a_base_without_a_reference_cannot_speak(voice: Voice) -> None:
    with pytest.raises(VoiceFileError, match="no_reference"):
        synthesise(dataclasses.replace(voice, reference=None), SpeechRequest("Hello there.", seed=1))


def test_a_voice_without_a_prompt_speaks(voice: Voice) -> None:
    assert voice.reference is not None
    empty = torch.zeros(0, dtype=torch.long)
    reference = dataclasses.replace(voice.reference, phones=empty, codes=empty)
    assert (
        synthesise(dataclasses.replace(voice, reference=reference), SpeechRequest("Hello there.", seed=1)).seconds > 0.3
    )


@pytest.mark.parametrize(
    ("pcm", "code"),
    [
        (np.zeros(16000, np.float32), "silence"),
        (np.full(16000, 0.5, np.float32), "silence"),
        (np.full(16000, np.nan, np.float32), "not_finite"),
        (np.zeros(3, np.float32), "silence"),
        (np.pad(np.ones(1, np.float32), 8000), "silence"),
    ],
)
def test_what_is_not_sound_is_not_passed_off_as_speech(pcm: np.ndarray, code: str) -> None:
    with pytest.raises(SynthesisFailed) as refusal:
        check_audible(pcm, 16000)
    assert refusal.value.code == code


def test_a_tenth_of_a_second_of_tone_counts_as_sound() -> None:
    pcm = np.zeros(16000, np.float32)
    pcm[3200:6400] = 0.05 * np.sin(np.arange(3200) * 0.3)
    check_audible(pcm, 16000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**63},
        {"seed": True},
        {"speed": 0.1},
        {"speed": float("nan")},
        {"noise_scale": 3.0},
        {"fragment_interval": 100.0},
        {"top_p": 0.0},
        {"temperature": -1.0},
        {"repetition_penalty": 0.0},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="bad_request"):
        SpeechRequest(**{"text": "Hello", "seed": 1, **wrong})  # type: ignore[arg-type]


def test_the_command_writes_a_wav_and_refuses_what_is_no_voice(
    voice: Voice, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "voice", tmp_path / "x.wav"
    file.write_bytes(pack(voice))
    options = ["--voice", str(file), "--text", "Hello there.", "--out", str(out), "--seed", "7"]
    assert say.main(options) == 0
    samples, rate = soundfile.read(out)
    assert rate == 16000
    assert np.abs(samples).max() > 0.01
    file.write_bytes(b"no voice at all")
    out.unlink()
    assert say.main(options) == 1
    assert not out.exists()
    assert "damaged" in capsys.readouterr().err
