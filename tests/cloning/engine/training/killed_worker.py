"""A training to be killed: `python -m tests.cloning.engine.training.killed_worker SPEECH CHECKPOINT`.

Writes every checkpoint to a file and says each step on stdout.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cloning.engine.config import tiny
from cloning.engine.training.base import random_base
from cloning.engine.training.keep import write_whole
from cloning.engine.training.loop import CheckpointSink, Progress
from cloning.engine.training.prepare import Recording
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import train_voice


def load(path: Path) -> list[Recording]:
    """Recordings from a file of `save`."""
    with np.load(path) as kept:
        return [
            Recording(kept[f"wave{n}"], int(kept["rate"]), str(kept[f"text{n}"])) for n in range(int(kept["count"]))
        ]


def save(path: Path, recordings: list[Recording]) -> None:
    entries = {f"wave{n}": r.wave for n, r in enumerate(recordings)}
    texts = {f"text{n}": np.array(r.transcript) for n, r in enumerate(recordings)}
    np.savez(path, count=len(recordings), rate=recordings[0].rate, **entries, **texts)


def train(
    recordings: list[Recording], *, checkpoint: CheckpointSink | None = None, resume: bytes | None = None, say: bool
) -> bytes:
    def tell(progress: Progress) -> None:
        if say:
            sys.stdout.write(f"{progress.stage} {progress.step}\n")
            sys.stdout.flush()

    return train_voice(
        recordings, language="en", recipe=TrainingRecipe.tiny(), base=random_base(tiny(), 1), seed=3, progress=tell,
        checkpoint=checkpoint, resume=resume,
    )  # fmt: skip


def main(speech: str, checkpoint: str) -> None:
    train(load(Path(speech)), checkpoint=lambda data: write_whole(Path(checkpoint), data), say=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
