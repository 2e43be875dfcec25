"""The loop both stages share: steps, learning rates, bad steps, checkpoints, stopping.

Nothing random is carried from step to step: step k draws its batch and its noise from (seed, stage, k) alone. That is
why a checkpoint needs no generator state and a resumed training ends in the same weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from cloning.engine.errors import TrainingFailed, TrainingRefused

#: Largest checkpoint read: full official models with their optimiser state.
MOST_BYTES = 6 * 2**30
FORMAT = "vouch-training-1"

CheckpointSink = Callable[[bytes], None]


@dataclass(frozen=True)
class Progress:
    """Where training is. `stage` prepare, semantic or acoustic; `seconds_left` estimates the rest of this stage."""

    stage: str
    step: int
    steps: int
    loss: float
    seconds_left: float


class Stage(Protocol):
    """One of the two trainings."""

    name: str
    steps: int

    def modules(self) -> dict[str, nn.Module]:
        """What is being trained."""

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        """One step (1 is the first). Its loss; None if it was not finite and nothing was changed."""


def rate_at(step: int, *, steps: int, warm_up: int, final: float) -> float:
    """Share of the full learning rate at a step (1..steps): linear warm-up, then half a cosine down to `final`."""
    warm = min(1.0, step / max(1, warm_up))
    done = (step - 1) / max(1, steps - 1)
    return warm * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def run(
    stage: Stage,
    *,
    seed: int,
    start: int,
    progress: Callable[[Progress], None],
    most_skipped: int,
    checkpoint_every: int,
    save_at: Callable[[int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Advance the stage from step `start` to its end.

    Raises TrainingFailed `not_finite` after too many bad steps, `stopped` when should_stop says so.
    """
    skipped = 0
    began = time.monotonic()
    for step in range(start + 1, stage.steps + 1):
        key = int.from_bytes(hashlib.sha256(f"{seed}/{stage.name}/{step}".encode()).digest()[:8], "big") >> 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key)
            loss = stage.advance(step, np.random.default_rng(key), torch.Generator().manual_seed(key))
        if loss is None:
            skipped += 1
            if skipped > most_skipped:
                raise TrainingFailed("not_finite", f"{skipped} steps of the {stage.name} stage were not finite")
        pace = (time.monotonic() - began) / (step - start)
        shown = float("nan") if loss is None else loss
        progress(Progress(stage.name, step, stage.steps, shown, pace * (stage.steps - step)))
        stopping = should_stop is not None and should_stop()
        if save_at is not None and (stopping or (step % checkpoint_every == 0 and step < stage.steps)):
            save_at(step)
        if stopping:
            raise TrainingFailed("stopped", f"training was told to stop at step {step} of the {stage.name} stage")


def step_optimiser(
    loss: Tensor, model: nn.Module, optimiser: torch.optim.Optimizer, *, share: float | None, clip: float
) -> bool:
    """Backward, clip, step with the groups' `peak` rate times share (None: with their `lr` as it is).

    `clip` is the largest gradient norm let through; inf lets everything finite through. False: not finite, and nothing
    was changed.
    """
    optimiser.zero_grad(set_to_none=True)
    if not bool(torch.isfinite(loss.detach())):
        return False
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [value for value in model.parameters() if value.grad is not None]
    norm = torch.nn.utils.get_total_norm([value.grad for value in trained if value.grad is not None])
    if not bool(torch.isfinite(norm)):
        optimiser.zero_grad(set_to_none=True)
        return False
    if float(norm) > clip:
        torch.nn.utils.clip_grads_with_norm_(trained, clip, norm)
    if share is not None:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * share
    optimiser.step()
    return True


def freeze(
    about: Mapping[str, Any], modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]
) -> bytes:
    """Weights (float32), optimiser state and a JSON description as safetensors bytes."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"weights.{name}.{key}"] = value.detach().cpu().clone().contiguous()
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser.{name}.{index}.{key}"] = torch.as_tensor(value).detach().cpu().clone().contiguous()
    return freeze_tensors(about, tensors)


def freeze_tensors(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors on the CPU and a JSON description, for `thaw`."""
    return save(dict(tensors), {"training": json.dumps({"format": FORMAT, **about}, sort_keys=True)})


def thaw(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's description and tensors. Raises TrainingRefused `bad_checkpoint`."""
    try:
        if not 8 < len(data) <= MOST_BYTES:
            raise ValueError("size")
        (length,) = struct.unpack("<Q", data[:8])
        about = json.loads(json.loads(data[8 : 8 + min(length, 2**24)])["__metadata__"]["training"])
        if about.get("format") != FORMAT:
            raise ValueError("format")
        return about, load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingRefused("bad_checkpoint", "the checkpoint cannot be read") from error


def restore(
    tensors: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put a thawed checkpoint into modules and optimisers. Raises TrainingRefused `bad_checkpoint`."""
    try:
        for name, module in modules.items():
            prefix = f"weights.{name}."
            module.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        for name, optimiser in optimisers.items():
            prefix = f"optimiser.{name}."
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(prefix):
                    index, _, entry = key[len(prefix) :].partition(".")
                    state.setdefault(int(index), {})[entry] = value
            optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingRefused("bad_checkpoint", "the checkpoint does not fit this model") from error
