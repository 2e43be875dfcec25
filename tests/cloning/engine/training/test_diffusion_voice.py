"""v3 and v4 voices at a shell: LoRA files and whole generators, killed and resumed, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch

from cloning.engine.acoustic.lora import beside
from cloning.engine.diffusion_files import load_diffusion, load_lora
from cloning.engine.errors import CheckpointError
from cloning.engine.say import main as say
from cloning.engine.train import main
from cloning.engine.training.diffusion_base import diffusion_base, is_diffusion_base
from cloning.engine.tts.official import BASES
from tests.cloning.engine.training.conftest import TEXTS
from tests.cloning.engine.training.small_diffusion import write_flow_base
from tests.cloning.engine.training.small_official import write_base, write_models
from tests.cloning.engine.vocoders.made import write_v4

REPOSITORY = Path(__file__).parents[4]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, a v4 base and the models it needs."""
    from demo.flite.speaker import speak

    root = tmp_path_factory.mktemp("place")
    (root / "speech").mkdir()
    for number, text in enumerate((f"{TEXTS[4]} {TEXTS[0]}", f"{TEXTS[1]} {TEXTS[2]}", TEXTS[3])):
        soundfile.write(root / "speech" / f"{number}.wav", *speak(text, voice="awb"))
        (root / "speech" / f"{number}.txt").write_text(text)
    write_flow_base(root / "v4")
    write_models(root / "v4" / "models")
    return root


def arguments(place: Path, out: Path, *more: str, base: str = "v4") -> list[str]:
    speech = str(place / "speech")
    return ["--speech", speech, "--out", str(out), "--base", str(place / base), "--recipe", "tiny", *more]


@pytest.fixture(scope="module")
def voice(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("voice") / "awb"
    assert main(arguments(place, out)) == 0
    return out


def test_a_v4_base_gives_a_folder_with_a_small_lora_file(place: Path, voice: Path) -> None:
    assert sorted(path.name for path in voice.iterdir()) == ["reference.wav", "s1.ckpt", "s2.pth", "voice.json"]
    assert json.loads((voice / "voice.json").read_text())["version"] == "v4"
    data = (voice / "s2.pth").read_bytes()
    assert data[:2] == b"04"
    lora = load_lora(data)
    assert (lora.version, lora.rank, lora.info) == ("v4", 4, "trained 4 + 3 steps")
    assert set(lora.own) == {"bridge.0.weight", "bridge.0.bias"}
    base = load_diffusion((place / "v4" / "s2Gv4.pth").read_bytes())
    assert any(bool(up.any()) for _, up in lora.pairs.values())
    beside(base.model, lora)


def test_say_speaks_with_the_trained_folder(
    place: Path, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = place / "v4" / "models"
    given = ["--voice", str(voice), "--models", str(models), "--text", "Yes.", "--seed", "1", "--steps", "1"]
    assert say([*given, "--out", str(tmp_path / "x.wav")]) == 1
    assert "needs_base" in capsys.readouterr().err
    write_v4(models)
    (models / BASES["v4"]).write_bytes((place / "v4" / "s2Gv4.pth").read_bytes())
    assert say([*given, "--out", str(tmp_path / "x.wav")]) == 0
    assert soundfile.info(tmp_path / "x.wav").samplerate == 48_000


def test_a_lean_file_of_another_base_is_refused(place: Path, voice: Path) -> None:
    base = load_diffusion((place / "v4" / "s2Gv4.pth").read_bytes())
    with torch.no_grad():
        base.model.quantizer.book.embed.mul_(-1)
    with pytest.raises(CheckpointError, match="wrong_base"):
        beside(base.model, load_lora((voice / "s2.pth").read_bytes()))


@pytest.mark.slow
def test_killed_and_resumed_it_ends_in_the_same_bytes(place: Path, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "awb"
    checkpoint = tmp_path / "awb.checkpoint"
    command = [sys.executable, "-m", "cloning.engine.train", *arguments(place, out)]
    with subprocess.Popen(command, env=ENVIRONMENT, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not _in_stage(checkpoint, "acoustic"):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    assert main(arguments(place, out, "--resume")) == 0
    for name in ("s1.ckpt", "s2.pth", "reference.wav", "voice.json"):
        assert (out / name).read_bytes() == (voice / name).read_bytes(), name
    assert not checkpoint.exists()


def _in_stage(checkpoint: Path, stage: str) -> bool:
    try:
        with checkpoint.open("rb") as file:
            return f'\\"stage\\": \\"{stage}\\"'.encode() in file.read(2**20)
    except OSError:
        return False


@pytest.mark.slow
def test_full_fine_tuning_writes_a_whole_generator(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    assert main(arguments(place, out, "--full", "--recompute")) == 0
    data = (out / "s2.pth").read_bytes()
    assert data[:2] == b"PK"
    whole = load_diffusion(data)
    base = load_diffusion((place / "v4" / "s2Gv4.pth").read_bytes()).model.state_dict()
    moved = {
        name.split(".")[0] for name, value in whole.model.state_dict().items() if not torch.equal(value, base[name])
    }
    assert whole.version == "v4"
    assert moved == {"cfm", "bridge", "wns1"}


def refused(capsys: pytest.CaptureFixture[str], code: str, *given: str) -> None:
    assert main(list(given)) == 1
    assert f"{code}: " in capsys.readouterr().err


def test_what_does_not_go_together_is_refused_before_anything_is_trained(
    place: Path, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    refused(capsys, "bad_request", *arguments(place, out, "--adapters"))
    refused(capsys, "bad_request", *arguments(place, out, "--official", str(tmp_path / "x")))
    refused(capsys, "bad_request", *arguments(place, out, "--rank", "0"))
    refused(capsys, "bad_request", *arguments(place, out, "--rank", "8", "--full"))
    refused(capsys, "wrong_version", *arguments(place, out, "--version", "v3"))
    refused(capsys, "no_models", *arguments(place, out, "--models", str(tmp_path / "nowhere")))
    refused(capsys, "bad_recipe", *arguments(place, out, "--rank", "128"))
    write_base(place / "v2")
    refused(capsys, "bad_request", *arguments(place, out, "--rank", "8", base="v2"))
    (tmp_path / "tuned").mkdir()
    for name in ("s1.ckpt", "s2.pth"):
        (tmp_path / "tuned" / name).write_bytes((voice / name).read_bytes())
    assert is_diffusion_base(tmp_path / "tuned")
    with pytest.raises(CheckpointError, match="needs_base"):
        diffusion_base(tmp_path / "tuned")
    assert list(tmp_path.iterdir()) == [tmp_path / "tuned"]
