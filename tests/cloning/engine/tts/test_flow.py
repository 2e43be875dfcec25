"""v3 and v4 voices in the service: whole, beside a base, streamed, and everything they refuse."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cloning.engine.errors import CheckpointError, EngineError, VoiceFileError
from cloning.engine.features.reference_audio import ReferenceRefused
from cloning.engine.say import main as say
from cloning.engine.tts.engine import Engine
from cloning.engine.tts.flow import FADED
from cloning.engine.tts.official import BASES, OfficialFolder, load_folder, source
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.speaker import Speaker
from cloning.engine.tts.voice import Precision
from tests.cloning.engine.official import needs_fixtures, unpacked
from tests.cloning.engine.processor import needs_bfloat16
from tests.cloning.engine.tts.conftest import recording
from tests.cloning.engine.vocoders.made import write_bigvgan, write_v4
from tests.cloning.engine.vocoders.test_band import write as write_band

pytestmark = needs_fixtures
RATES = {"v3": 24_000, "v4": 48_000}
#: Samples of a mel frame, and of a code.
HOPS = {"v3": 256, "v4": 480}
SPANS = {"v3": 3.75 * 256, "v4": 4 * 480}


@pytest.fixture(scope="module")
def mounted(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with both vocoders and v4's base."""
    folder = tmp_path_factory.mktemp("mounted")
    shutil.copytree(models, folder, dirs_exist_ok=True)
    write_v4(folder)
    write_bigvgan(folder)
    (folder / BASES["v4"]).write_bytes(unpacked("s2_v4_small.pth.xz"))
    return folder


@pytest.fixture(scope="module")
def engine(mounted: Path) -> Engine:
    return Engine(models=mounted, attempts=1)


@pytest.fixture(scope="module")
def make_flow(make_folder: Callable[..., Path]) -> Callable[..., Path]:
    """A folder with a v3 or v4 voice (`v4_lora`: a LoRA file) and a reference that fills the prompt window."""

    def make(version: str = "v4", seconds: float = 5.5, **description: Any) -> Path:
        folder = make_folder(version, **description)
        (folder / "ref.wav").write_bytes(recording(seconds))
        return folder

    return make


@pytest.fixture(scope="module")
def voices(make_flow: Callable[..., Path], mounted: Path) -> dict[str, OfficialFolder]:
    return {name: OfficialFolder(make_flow(name), mounted) for name in ("v3", "v4", "v4_lora")}


def request(text: str = "Hello.", **more: Any) -> TtsRequest:
    return TtsRequest(text=text, text_lang="en", seed=3, sample_steps=2, **more)


@pytest.mark.parametrize("version", [pytest.param("v3", marks=pytest.mark.slow), "v4"])
def test_a_voice_speaks_at_its_vocoders_rate(engine: Engine, voices: dict[str, OfficialFolder], version: str) -> None:
    speech = engine.speak(voices[version], request())
    assert speech.rate == RATES[version] == engine.rate(voices[version])
    assert len(speech.pcm) % HOPS[version] == 0
    if version == "v3":
        return
    again = engine.speak(voices[version], request())
    assert np.array_equal(again.pcm, speech.pcm)
    other = engine.speak(voices[version], dataclasses.replace(request(), integrator="heun"))
    assert not np.array_equal(other.pcm, speech.pcm)


@pytest.mark.slow
def test_v3_is_widened_to_48_khz_where_a_band_extension_is_mounted(
    voices: dict[str, OfficialFolder], mounted: Path, tmp_path: Path
) -> None:
    wide = request(super_sampling=True)
    shutil.copytree(mounted, tmp_path, dirs_exist_ok=True)
    engine = Engine(models=tmp_path, attempts=1)
    for version, code in (("v3", "not_mounted"), ("v4", "bad_request")):
        with pytest.raises(EngineError) as refusal:
            engine.speak(voices[version], wide)
        assert refusal.value.code == code
    write_band(tmp_path)
    plain, speech = engine.speak(voices["v3"], request()), engine.speak(voices["v3"], wide)
    assert (speech.rate, len(speech.pcm)) == (48_000, 2 * len(plain.pcm))


def test_lora_voices_stand_on_one_base(mounted: Path, make_flow: Callable[..., Path]) -> None:
    engine = Engine(models=mounted, attempts=1)
    first, second = (OfficialFolder(make_flow("v4_lora"), mounted) for _ in range(2))
    (second.folder / "ref.wav").write_bytes(recording(6.0, seed=5))
    plain = OfficialFolder(make_flow("v4"), mounted)
    speech = engine.speak(first, request())
    alone = engine.report().total_bytes
    engine.speak(second, request())
    assert engine.report().total_bytes - alone < 0.1 * alone
    assert not np.array_equal(engine.speak(plain, request()).pcm, speech.pcm)


@needs_bfloat16
@pytest.mark.slow
def test_half_precision_speaks_too(mounted: Path, voices: dict[str, OfficialFolder]) -> None:
    speech = Engine(models=mounted, attempts=1, precision=Precision(acoustic="bfloat16")).speak(
        voices["v4_lora"], request()
    )
    exact = Engine(models=mounted, attempts=1).speak(voices["v4_lora"], request())
    assert speech.pcm.shape == exact.pcm.shape
    assert 0 < np.abs(speech.pcm - exact.pcm).max() < 0.5 * np.abs(exact.pcm).max()


# -- streaming ---------------------------------------------------------------------------------------------------------
def test_sound_comes_before_the_sentence_is_finished(
    engine: Engine, voices: dict[str, OfficialFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = Speaker.code_packets

    def counted(self: Speaker, index: int) -> Iterator[Any]:
        for chunk in real(self, index):
            drawn.append(chunk.codes.numel())
            yield chunk

    monkeypatch.setattr(Speaker, "code_packets", counted)
    packets, seen = [], []
    for packet in engine.stream(voices["v4"], request("Hello there my old friend.", streaming_mode=3)):
        packets.append(packet)
        seen.append(sum(drawn))
    codes = sum(drawn)
    assert len(packets) > 2
    assert seen[0] <= 2 * 16 < codes
    assert sum(len(packet) for packet in packets) == codes * SPANS["v4"]
    assert len(packets[0]) == (16 - 2) * SPANS["v4"] - FADED * 480


@pytest.mark.slow
def test_upstream_streams_sentences_only(engine: Engine, voices: dict[str, OfficialFolder]) -> None:
    text = "Hello there. My old friend."
    packets = list(engine.stream(voices["v4"], request(text, streaming_mode=3, compat="upstream")))
    by_sentence = list(engine.stream(voices["v4"], request(text, streaming_mode=1, compat="upstream")))
    assert len(packets) == len(by_sentence)


@pytest.mark.slow
def test_upstreams_windows_are_cut_where_sentences_end(engine: Engine, voices: dict[str, OfficialFolder]) -> None:
    speech = engine.speak(voices["v4"], request("Hello there. My old friend.", compat="upstream", batch_size=2))
    chain = engine.speak(
        voices["v4"], request("Hello there. My old friend.", compat="upstream", batch_size=2, parallel_infer=False)
    )
    assert speech.rate == 48_000
    assert 0.9 < len(speech.pcm) / len(chain.pcm) < 1.1


# -- refusals ----------------------------------------------------------------------------------------------------------
def refusal(engine: Engine, voice: OfficialFolder, asked: TtsRequest) -> str:
    with pytest.raises(EngineError) as refused:
        engine.speak(voice, asked)
    return refused.value.code


@pytest.mark.parametrize("steps", [0, 10_000, 129])
def test_steps_out_of_range_are_refused(steps: int) -> None:
    with pytest.raises(EngineError, match="sample_steps must be a whole number from 1 to 128"):
        TtsRequest(text="Hi.", text_lang="en", sample_steps=steps)


def test_a_request_without_a_prompt_is_refused(engine: Engine, voices: dict[str, OfficialFolder]) -> None:
    assert refusal(engine, voices["v4"], request(prompt_text="")) == "needs_prompt"
    assert refusal(engine, voices["v4"], request(ref_audio_path=recording(6.0))) == "needs_prompt"
    assert refusal(engine, voices["v4"], request(prompt_text="", compat="upstream")) == "needs_prompt"


def test_a_reference_shorter_than_the_window_is_refused(
    engine: Engine, mounted: Path, make_flow: Callable[..., Path]
) -> None:
    short = OfficialFolder(make_flow("v4", seconds=4.5), mounted)
    assert refusal(engine, short, request()) == "reference_too_short"
    assert len(engine.speak(short, request(compat="upstream")).pcm)  # upstream takes what there is
    tiny = OfficialFolder(make_flow("v4", seconds=2.0), mounted)
    with pytest.raises(ReferenceRefused, match="too_short"):
        engine.speak(tiny, request(compat="upstream"))


def test_several_references_are_refused(engine: Engine, mounted: Path, make_flow: Callable[..., Path]) -> None:
    voice = OfficialFolder(make_flow("v4", extra_references=["ref.wav"]), mounted)
    assert refusal(engine, voice, request()) == "one_reference"


def test_without_a_vocoder_nothing_is_said(models: Path, voices: dict[str, OfficialFolder]) -> None:
    assert refusal(Engine(models=models), voices["v4"], request()) == "not_mounted"
    assert refusal(Engine(), voices["v4"], request()) == "no_vocoder"


def test_a_lora_file_without_its_base_is_refused(make_flow: Callable[..., Path], models: Path) -> None:
    for place in (None, models):
        with pytest.raises(CheckpointError) as refused:
            load_folder(make_flow("v4_lora"), place)
        assert refused.value.code == "needs_base"


def test_a_v3_adapter_is_refused_by_v4s_base(engine: Engine, mounted: Path, make_flow: Callable[..., Path]) -> None:
    folder = make_flow("v3_lora", base="base.pth")
    (folder / "base.pth").write_bytes(unpacked("s2_v4_small.pth.xz"))
    before = engine.report().total_bytes
    assert refusal(engine, OfficialFolder(folder, mounted), request()) == "wrong_version"
    assert engine.report().total_bytes == before


def test_a_base_for_nobody_and_a_base_that_is_not_there_are_refused(make_flow: Callable[..., Path]) -> None:
    folder = make_flow("v4", base="base.pth")
    with pytest.raises(VoiceFileError, match="bad_description"):
        load_folder(folder)
    (folder / "base.pth").write_bytes(b"PK")
    with pytest.raises(VoiceFileError, match="wrong_folder"):
        load_folder(folder)


# -- the command -------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_command_speaks_a_lora_voice(
    make_flow: Callable[..., Path], mounted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = make_flow("v4_lora"), tmp_path / "out.wav"
    command = ["--voice", str(folder), "--models", str(mounted), "--text", "Hello.", "--out", str(out), "--seed", "3"]
    assert say([*command, "--steps", "2", "--integrator", "midpoint"]) == 0, capsys.readouterr().err
    assert soundfile.info(out).samplerate == 48_000
    assert say([*command, "--steps", "0"]) == 1
    assert "bad_request" in capsys.readouterr().err


def test_a_source_passes_the_models_folder_on(make_flow: Callable[..., Path], mounted: Path) -> None:
    folder = make_flow("v4_lora")
    assert source(folder, models=mounted) == OfficialFolder(folder, mounted)
