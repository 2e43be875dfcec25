"""Voices of every version on mounted bases: trained, sealed as bytes, spoken, forgotten; and what is refused.

Most are slow because they train a voice; in the quick suite `tests/cloning/test_versions.py` trains and speaks one.
"""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cloning.engine.acoustic.mels import WINDOWS
from cloning.engine.errors import CheckpointError, EngineError, VoiceFileError
from cloning.engine.features.mounted import Mounted
from cloning.engine.flowfile import FlowVoice, pack_flow, unpack_flow
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.prepare import Recording
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.tts.deployed import Deployed, _Sealed
from cloning.engine.tts.request import TtsRequest
from cloning.engine.versions import MOUNTED, VERSIONS, missing, offered
from cloning.engine.vocoders.mounted import Vocoders
from tests.cloning.engine.training.conftest import TEXTS
from tests.cloning.engine.training.mounted import write_bases
from tests.cloning.engine.training.small_diffusion import write_flow_base

RATES = {"v2": 32_000, "v2Pro": 32_000, "v3": 24_000, "v4": 48_000}
REQUEST = TtsRequest(text="Yes.", text_lang="en", seed=2, sample_steps=1)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    from demo.flite.speaker import speak

    texts = (f"{TEXTS[4]} {TEXTS[0]}", f"{TEXTS[1]} {TEXTS[2]}", TEXTS[3])
    return [Recording(*speak(text, voice="awb"), text) for text in texts]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_bases(tmp_path_factory.mktemp("bases"), "v4")


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A folder of bases of every version that has all names and no content."""
    for name in (
        *("v2/s1.ckpt", "v2/s2G.pth", "v2/s2D.pth", "v2Pro/s1.ckpt", "v2Pro/s2G.pth", "v3/s1.ckpt", "v3/s2Gv3.pth"),
        *("v4/s1.ckpt", "v4/s2Gv4.pth", "models/chinese-hubert-base/config.json"),
        *("models/chinese-hubert-base/model.safetensors", "models/sv/pretrained_eres2netv2w24s4ep4.ckpt"),
        *("models/models--nvidia--bigvgan_v2_24khz_100band_256x/config.json", "models/gsv-v4-pretrained/vocoder.pth"),
        "models/models--nvidia--bigvgan_v2_24khz_100band_256x/bigvgan_generator.pt",
    ):
        path = tmp_path / "bases" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "bases"


@pytest.fixture(scope="module")
def deployed(bases: Path) -> Deployed:
    return Deployed(bases)


def train(deployed: Deployed, version: str, recordings: list[Recording], **more: object) -> bytes:
    recipe = dataclasses.replace(TrainingRecipe.tiny(), adapters=AdapterRecipe(rank=2, alpha=4.0, rate=1.0))
    given = {"progress": lambda _: None, **more}
    return deployed.train(version, recordings, language="en", recipe=recipe, seed=1, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sealed(deployed: Deployed, recordings: list[Recording]) -> bytes:
    return train(deployed, "v4", recordings)


@pytest.mark.slow
def test_a_sealed_v4_voice_speaks_the_same_again_and_leaves_only_its_base(deployed: Deployed, sealed: bytes) -> None:
    speech = deployed.speak("v4", sealed, REQUEST)
    assert speech.rate == RATES["v4"]
    assert np.abs(speech.pcm).max() > 0.01
    report = deployed.engine.report()
    assert [str(key).split()[0] for key in report.own_bytes] == ["mounted"]
    assert len(deployed.engine.references.remembered) == 0
    again = deployed.speak("v4", sealed, REQUEST)
    assert np.array_equal(again.pcm, speech.pcm)
    assert deployed.engine.report().total_bytes == report.total_bytes


@pytest.mark.slow
def test_it_keeps_what_the_voice_said_and_not_what_it_heard(sealed: bytes, recordings: list[Recording]) -> None:
    voice = unpack_flow(sealed)
    assert pack_flow(voice) == sealed
    assert voice.mel.shape[1] >= WINDOWS["v4"].prompt
    assert voice.training["acoustic_steps"] == 3
    for one in recordings:
        sound = io.BytesIO()
        soundfile.write(sound, one.wave, one.rate, format="WAV", subtype="PCM_16")
        assert sound.getvalue()[2000:2400] not in sealed
    # The mel of no recording is in it: every window of the kept one is far from every window of those heard.
    from cloning.engine.features.audio import resample
    from cloning.engine.features.spectrogram import V4_MEL, linear, log_mel, to_unit

    for one in recordings:
        wave = torch.from_numpy(resample(one.wave, one.rate, V4_MEL.sample_rate))[None].float()
        heard = to_unit(log_mel(linear(wave, V4_MEL), V4_MEL))[0]
        pieces = heard.unfold(1, 50, 25).permute(1, 0, 2).flatten(1)
        kept = voice.mel.float().unfold(1, 50, 1).permute(1, 0, 2).flatten(1)
        assert float(torch.cdist(pieces, kept).min()) / 5000**0.5 > 0.1


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(
    deployed: Deployed, sealed: bytes, recordings: list[Recording]
) -> None:
    saved: list[bytes] = []
    with pytest.raises(EngineError, match="stopped"):
        train(deployed, "v4", recordings, checkpoint=saved.append, should_stop=lambda: len(saved) >= 2)
    assert train(deployed, "v4", recordings, resume=saved[-1]) == sealed


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v2", "v2Pro", "v3"])
def test_every_other_version_is_trained_and_spoken_too(
    recordings: list[Recording], tmp_path: Path, version: str
) -> None:
    deployed = Deployed(write_bases(tmp_path, version))
    data = train(deployed, version, recordings)
    speech = deployed.speak(version, data, REQUEST)
    assert speech.rate == RATES[version]
    assert np.array_equal(deployed.speak(version, data, REQUEST).pcm, speech.pcm)
    report = deployed.engine.report()
    assert [str(key).split()[0] for key in report.own_bytes] == ["mounted"]
    with pytest.raises(VoiceFileError):
        _Sealed("v4", data).load()


# -- refusals ----------------------------------------------------------------------------------------------------------
def refused(what: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as refusal:
        what()
    return refusal.value.code


def test_a_folder_that_lacks_a_file_is_refused_by_its_name(names: Path, tmp_path: Path) -> None:
    assert offered(names) == list(VERSIONS)
    for version, lost in (
        ("v3", "v3/s2Gv3.pth"),
        ("v2", "v2/s1.ckpt"),
        ("v2Pro", "models/sv/pretrained_eres2netv2w24s4ep4.ckpt"),
        ("v4", "models/gsv-v4-pretrained/vocoder.pth"),
    ):
        (names / lost).unlink()
        told = missing(names, version)
        assert len(told) == 1
        assert told[0].split("*")[0] in lost
        with pytest.raises(CheckpointError, match="missing_base") as refusal:
            Deployed(names).speak(version, b"", REQUEST)
        assert told[0] in refusal.value.message
    assert offered(names) == ["starter"]
    assert offered(None) == ["starter"]
    assert offered(tmp_path / "nowhere") == ["starter"]


def test_what_is_not_missing_is_what_the_readers_look_for(names: Path) -> None:
    models, vocoders = Mounted(names / "models"), Vocoders(names / "models")
    assert [missing(names, version) for version in MOUNTED] == [[]] * len(MOUNTED)
    assert models.has("content")
    assert models.has("speaker")
    assert vocoders.has("v3")
    assert vocoders.has("v4")


@pytest.mark.slow
def test_a_voice_of_another_base_is_refused(bases: Path, sealed: bytes, tmp_path: Path) -> None:
    shutil.copytree(bases / "models", tmp_path / "models")
    shutil.copytree(bases / "v4", tmp_path / "v4")
    write_flow_base(tmp_path / "v4", "v4", seed=10)
    assert refused(lambda: Deployed(tmp_path).speak("v4", sealed, REQUEST)) == "unknown_base"


@pytest.mark.slow
def test_what_is_no_base_and_no_voice_is_refused(
    deployed: Deployed, bases: Path, recordings: list[Recording], sealed: bytes, tmp_path: Path
) -> None:
    assert refused(lambda: deployed.speak("v9", sealed, REQUEST)) == "unknown_version"
    assert refused(lambda: deployed.speak("v4", b"x" * 100, REQUEST)) == "damaged"
    assert refused(lambda: deployed.speak("v4", sealed[:-10], REQUEST)) in ("damaged", "wrong_weights")
    assert refused(_Sealed("v2", sealed).load) == "unsupported_version"
    # Enough speech, too little of it with a text.
    short = [recordings[2], *(dataclasses.replace(one, transcript=None) for one in recordings[:2])]
    assert refused(lambda: train(deployed, "v4", short)) == "no_reference"
    shutil.copytree(bases, tmp_path / "bases")
    (tmp_path / "bases" / "v4" / "s2Gv4.pth").write_bytes(b"PK nothing")
    assert refused(lambda: train(Deployed(tmp_path / "bases"), "v4", recordings)) == "not_official"
    assert deployed.engine.report().leases == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": "v3"}, "wrong_version"),
        ({"rank": 0}, "bad_description"),
        ({"rank": 3}, "wrong_weights"),
        ({"base_digest": ""}, "bad_description"),
        ({"language": "../x"}, "bad_description"),
        ({"mel": torch.zeros(100, 20)}, "wrong_reference"),
        ({"mel": torch.full((100, 600), float("nan"))}, "not_finite"),
        ({"lora": b"04 is no file"}, "not_official"),
    ],
)
def test_a_sealed_voice_that_contradicts_itself_is_refused(
    deployed: Deployed, sealed: bytes, change: dict[str, object], code: str
) -> None:
    voice: FlowVoice = dataclasses.replace(unpack_flow(sealed), **change)  # type: ignore[arg-type]
    assert refused(lambda: deployed.speak("v4", pack_flow(voice), REQUEST)) == code


@pytest.mark.slow
def test_a_description_of_something_else_is_refused(sealed: bytes) -> None:
    length = int.from_bytes(sealed[:8], "little")
    header = json.loads(sealed[8 : 8 + length])
    for key, value, code in (("flow", "v9", "bad_description"), ("adapters", 3, "bad_description")):
        described = json.loads(header["__metadata__"]["voice"]) | {key: value}
        changed = json.dumps({**header, "__metadata__": {"voice": json.dumps(described)}}).encode()
        data = len(changed).to_bytes(8, "little") + changed + sealed[8 + length :]
        assert refused(lambda data=data: unpack_flow(data)) == code
