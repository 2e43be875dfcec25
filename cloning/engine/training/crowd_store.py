"""What `train_many` answers, and what it keeps so that a run that was killed can go on to the same bytes.

A store holds weights trained on voices: treat it like the voices. It is written only where the caller says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from cloning.engine.checkpoints import read_bounded
from cloning.engine.errors import TrainingRefused
from cloning.engine.training.base import Base
from cloning.engine.training.keep import with_room, write_whole
from cloning.engine.training.loop import MOST_BYTES, freeze_tensors, thaw
from cloning.engine.training.prepare import Material, Recording
from cloning.engine.training.recipe import TrainingRecipe

#: Name of the state of the group at work; answers are called ANSWER and their place.
GROUP, ANSWER = "group", "answer-"


@dataclass(frozen=True)
class VoiceRequest:
    """One voice to be trained. `seed` decides everything random about it, whoever trains beside it.

    `material`: the recordings as `prepare` has made them ready for this base; `recordings` are not looked at then.
    """

    recordings: Sequence[Recording]
    language: str
    seed: int
    material: Material | None = None


@dataclass(frozen=True)
class TrainedVoice:
    """`data`: the bytes of a voice file of adapters (voicefile.unpack with the base). `skipped`: steps left out."""

    data: bytes
    skipped: int


@dataclass(frozen=True)
class Refusal:
    """Why there is no voice: a stable `code` and a plain sentence, as in EngineError."""

    code: str
    message: str


Answer = TrainedVoice | Refusal


class Store(Protocol):
    """Named pieces of bytes. `put` keeps a piece whole or not at all, and must not fail the training."""

    def get(self, name: str) -> bytes | None: ...

    def put(self, name: str, data: bytes) -> None: ...


class FolderStore:
    """A store of files that only their owner may read. Raises TrainingRefused `disk_full`, CheckpointError for a file
    that is too large, OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with_room(lambda: folder.mkdir(parents=True, exist_ok=True, mode=0o700))

    def get(self, name: str) -> bytes | None:
        path = self.folder / name
        return read_bounded(path, MOST_BYTES) if path.is_file() else None

    def put(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)


class Ledger:
    """A store as one run sees it: everything in it carries the run's fingerprint."""

    def __init__(self, store: Store | None, fingerprint: str) -> None:
        self.store, self.fingerprint = store, fingerprint

    def answer(self, index: int) -> Answer | None:
        """Raises TrainingRefused `bad_checkpoint`."""
        found = self._get(f"{ANSWER}{index}")
        if found is None:
            return None
        about, tensors = found
        try:
            if "code" in about:
                return Refusal(str(about["code"]), str(about["message"]))
            return TrainedVoice(tensors["data"].numpy().tobytes(), int(about["skipped"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingRefused("bad_checkpoint", "a kept answer cannot be read") from error

    def keep_answer(self, index: int, answer: Answer) -> None:
        if isinstance(answer, Refusal):
            self._put(f"{ANSWER}{index}", dataclasses.asdict(answer), {})
        else:
            data = torch.frombuffer(bytearray(answer.data), dtype=torch.uint8)
            self._put(f"{ANSWER}{index}", {"skipped": answer.skipped}, {"data": data})

    def group(self, start: int) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The state kept of the group that begins at this place. Raises TrainingRefused `bad_checkpoint`."""
        found = self._get(GROUP)
        return found if found is not None and found[0].get("start") == start else None

    def keep_group(self, start: int, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self._put(GROUP, {"start": start, **about}, tensors)

    def _get(self, name: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        data = None if self.store is None else self.store.get(name)
        if data is None:
            return None
        about, tensors = thaw(data)
        if about.get("fingerprint") != self.fingerprint:
            raise TrainingRefused("bad_checkpoint", "what was kept belongs to another run")
        return about, tensors

    def _put(self, name: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        if self.store is not None:
            self.store.put(name, freeze_tensors({**about, "fingerprint": self.fingerprint}, tensors))


def run_fingerprint(requests: Sequence[VoiceRequest], recipe: TrainingRecipe, base: Base, together: int) -> str:
    """SHA-256 over everything that decides the answers of a run."""
    settings = [dataclasses.asdict(recipe), base.config.to_dict(), base.digest, together, len(requests)]
    sha = hashlib.sha256(json.dumps(settings).encode())
    for request in requests:
        sha.update(json.dumps([request.seed, request.language, request.material is not None]).encode())
        for item in request.material.items if request.material is not None else ():
            for value in (item.wave, item.phones, item.codes):
                sha.update(value.numpy().tobytes())
        for r in request.recordings if request.material is None else ():
            sha.update(json.dumps([r.rate, r.transcript, r.language, r.speaker, list(r.wave.shape)]).encode())
            sha.update(str(r.wave.dtype).encode() + r.wave.tobytes())
    return sha.hexdigest()
