"""A stage that goes on with smaller batches when memory runs out.

The step that failed is done again with half the batch, from the same random numbers; all later steps keep the smaller
batch. Where memory ends decides then about the result, so two runs are equal only if it ends at the same step in both.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from cloning.engine.errors import TrainingFailed
from cloning.engine.training.loop import Stage

T = TypeVar("T")

#: What torch says when the C library gives its CPU allocator nothing; there is no class of its own for it.
_CPU_MESSAGE = "can't allocate memory"


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU_MESSAGE in str(error)


def attempt(work: Callable[[], T]) -> tuple[T] | None:
    """What the work gives, in a tuple; None when memory ran out, with what it held given back."""
    try:
        return (work(),)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    # Only here is the error, whose traceback holds the work's tensors, let go.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


class Shrinking(Stage, Protocol):
    """A stage that can do with less memory."""

    def halve(self) -> bool:
        """From now on batches of half the size. False: they are single items already."""


class Frugal:
    """The same stage to the loop. `halved`: how often its batch was cut in two."""

    def __init__(self, stage: Shrinking) -> None:
        self.stage = stage
        self.name = stage.name
        self.steps = stage.steps
        self.halved = 0

    def modules(self) -> dict[str, nn.Module]:
        return self.stage.modules()

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return self.stage.optimisers()

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        """Raises TrainingFailed `out_of_memory` when not even one item at a time fits."""
        global_state, own_state = torch.get_rng_state(), generator.get_state()
        while True:
            if (done := attempt(lambda: self.stage.advance(step, copy.deepcopy(rng), generator))) is not None:
                return done[0]
            for optimiser in self.optimisers().values():
                optimiser.zero_grad(set_to_none=True)
            if not self.halve():
                raise TrainingFailed("out_of_memory", f"the {self.name} stage does not fit into memory, item by item")
            torch.set_rng_state(global_state)
            generator.set_state(own_state)

    def halve(self) -> bool:
        """Cut the batch in two. False: it was a single item already."""
        done = self.stage.halve()
        self.halved += done
        return done
