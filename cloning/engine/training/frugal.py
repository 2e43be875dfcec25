"""A stage that goes on with smaller batches when memory runs out.

The step that failed is done again with half the batch, from the same random numbers; all later steps keep the smaller
batch. Where memory ends decides then about the result, so two runs are equal only if it ends at the same step in both.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from cloning.engine.errors import TrainingFailed
from cloning.engine.training.loop import Stage

#: What torch says when the C library gives its CPU allocator nothing; there is no class of its own for it.
_CPU_MESSAGE = "can't allocate memory"


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU_MESSAGE in str(error)


class Frugal:
    """The same stage to the loop. `halved`: how often its batch was cut in two."""

    def __init__(self, stage: Stage) -> None:
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
            # What is caught must be let go before the next attempt: its traceback holds the step's tensors.
            if (done := self._attempt(lambda: self.stage.advance(step, copy.deepcopy(rng), generator))) is not None:
                return done[0]
            if not self.halve():
                raise TrainingFailed("out_of_memory", f"the {self.name} stage does not fit into memory, item by item")
            torch.set_rng_state(global_state)
            generator.set_state(own_state)

    def halve(self) -> bool:
        """Cut the batch in two. False: it was a single item already, or the stage has a fixed batch."""
        recipe = getattr(self.stage, "recipe", None)
        batch = getattr(recipe, "batch", 1)
        if recipe is None or batch <= 1:
            return False
        changes = {"batch": batch // 2}
        if hasattr(recipe, "batch_frames"):
            changes["batch_frames"] = max(1, recipe.batch_frames // 2)
        self.stage.recipe = dataclasses.replace(recipe, **changes)  # type: ignore[attr-defined]
        self.halved += 1
        return True

    def _attempt(self, work: Callable[[], float | None]) -> tuple[float | None] | None:
        """The work's answer in a tuple; None when memory ran out, with everything of the step given back."""
        try:
            return (work(),)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        for optimiser in self.optimisers().values():
            optimiser.zero_grad(set_to_none=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None
