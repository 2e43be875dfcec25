"""A training process is killed with SIGKILL in the middle of a stage; another goes on to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloning.engine.training.crowd import FolderStore
from cloning.engine.training.prepare import Recording
from tests.cloning.engine.training import killed_worker

REPOSITORY = Path(__file__).parents[4]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}


def kill(command: list[str], last: str) -> None:
    """Start a training and kill it when it says `last`."""
    with subprocess.Popen(command, env=ENVIRONMENT, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == last:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("last", ["semantic 3", "acoustic 3"])
def test_a_killed_training_resumes_to_the_same_voice(recordings: list[Recording], tmp_path: Path, last: str) -> None:
    speech, checkpoint = tmp_path / "speech.npz", tmp_path / "checkpoint"
    killed_worker.save(speech, recordings)
    kill([sys.executable, "-m", killed_worker.__name__, str(speech), str(checkpoint)], last)
    resumed = killed_worker.train(recordings, resume=checkpoint.read_bytes(), say=False)
    assert resumed == killed_worker.train(recordings, say=False)


def test_a_killed_run_of_many_resumes_to_the_same_voices(recordings: list[Recording], tmp_path: Path) -> None:
    """Killed in the second group: the first voice and the refusal beside it are answered already."""
    speech, folder = tmp_path / "speech.npz", tmp_path / "store"
    killed_worker.save(speech, recordings)
    kill([sys.executable, "-m", killed_worker.__name__, str(speech), str(folder), "many"], "2 acoustic 3")
    assert sorted(path.name for path in folder.iterdir()) == ["answer-0", "answer-1", "group"]
    resumed = killed_worker.train_three(recordings, store=FolderStore(folder))
    assert resumed == killed_worker.train_three(recordings)
    assert [type(answer).__name__ for answer in resumed] == ["TrainedVoice", "Refusal", "TrainedVoice"]
