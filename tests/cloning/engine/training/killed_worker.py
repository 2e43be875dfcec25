"""A training to be killed: `python -m tests.cloning.engine.training.killed_worker SPEECH CHECKPOINT [many]`.

Writes every checkpoint to a file, or with `many` those of three voices into a folder, and says each step on stdout.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np

from cloning.engine.config import tiny
from cloning.engine.training.base import random_base
from cloning.engine.training.crowd import FolderStore, Store, VoiceRequest, train_many
from cloning.engine.training.crowd_store import Answer
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


def train_three(recordings: list[Recording], *, store: Store | None = None, say: bool = False) -> list[Answer]:
    """Three voices in groups of two; the second is refused for its silence."""
    silent = [dataclasses.replace(one, wave=np.zeros_like(one.wave)) for one in recordings]
    requests = [VoiceRequest(each, "en", seed) for seed, each in enumerate((recordings, silent, recordings))]

    def tell(index: int, progress: Progress) -> None:
        if say:
            sys.stdout.write(f"{index} {progress.stage} {progress.step}\n")
            sys.stdout.flush()

    return train_many(
        requests, base=random_base(tiny(), 1), recipe=TrainingRecipe.tiny(), progress=tell, together=2, store=store
    )


def main(speech: str, checkpoint: str, many: str = "") -> None:
    if many:
        train_three(load(Path(speech)), store=FolderStore(Path(checkpoint)), say=True)
    else:
        train(load(Path(speech)), checkpoint=lambda data: write_whole(Path(checkpoint), data), say=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
