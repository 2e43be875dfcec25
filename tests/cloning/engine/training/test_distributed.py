"""Two real processes train together: the same weights as one process with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.base import load_base
from cloning.engine.training.distributed import Team
from cloning.engine.training.prepare import Recording
from tests.cloning.engine.training import shared_worker

REPOSITORY = Path(__file__).parents[4]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
#: Sums of float32 in another order, through eight steps of Adam at a rate of 1e-3.
TOLERANCE = 2e-4
#: Softmax does not see a shift of all keys: the gradient is rounding noise, and Adam makes a full step of it.
SHIFTS = ("conv_k.bias", "w_ks.bias", "in_proj_bias")


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", shared_worker.__name__, str(tmp_path / "meeting")]
    workers = [
        subprocess.Popen([*command, str(rank), "2", str(tmp_path)], env=ENVIRONMENT, cwd=REPOSITORY)
        for rank in range(2)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    # The checkpoint that process 0 left is of the last round number of steps; one process goes on from it.
    resumed = shared_worker.train(Team(), tmp_path / "checkpoint")
    alone = shared_worker.train(Team())
    moved = 0.0
    base = shared_worker.random_base(shared_worker.tiny(), 1)
    untrained = base.build_semantic(3).state_dict()
    for name, value in alone.items():
        if name.endswith(SHIFTS):
            continue
        torch.testing.assert_close(first[name], value, atol=TOLERANCE, rtol=0, msg=lambda text, name=name: name + text)
        torch.testing.assert_close(resumed[name], value, atol=TOLERANCE, rtol=0)
        if name.startswith("s."):
            moved = max(moved, float((value - untrained[name[2:]]).abs().max()))
    assert moved > 10 * TOLERANCE
    # Nothing but the losses of a source moves the pitch head.
    head = base.build_acoustic(3).state_dict()["pitch.post.weight"]
    assert float((alone["a.pitch.post.weight"] - head).abs().max()) > 10 * TOLERANCE


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"\x80\x04K\x01." * 9)
    with pytest.raises(TrainingRefused) as caught:
        shared_worker.train(Team(), tmp_path / "checkpoint")
    assert caught.value.code == "bad_checkpoint"


def test_shares_are_disjoint_and_whole() -> None:
    taken = [list(range(7))[Team(rank, 3).share(7)] for rank in range(3)]
    assert sorted(place for places in taken for place in places) == list(range(7))
    assert [1][Team(1, 2).share(1)] == []


@pytest.mark.slow
def test_torchrun_makes_a_base(recordings: list[Recording], tmp_path: Path) -> None:
    speech, out = tmp_path / "speech", tmp_path / "base"
    speech.mkdir()
    for place, recording in enumerate(recordings):
        soundfile.write(speech / f"{place}.wav", recording.wave, recording.rate)
        (speech / f"{place}.txt").write_text(str(recording.transcript))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
        "cloning.engine.training.distributed", "--speech", str(speech), "--out", str(out), "--recipe", "tiny",
    ]  # fmt: skip
    subprocess.run(command, env=ENVIRONMENT, cwd=REPOSITORY, check=True, timeout=240)
    made = load_base(out)
    assert made.semantic is not None
    assert not (out / "training.checkpoint").exists()
    made.build_acoustic(0)
