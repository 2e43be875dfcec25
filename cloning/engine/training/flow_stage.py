"""S2's stage of v3 and v4: upstream's AdamW and rate over its batches, or a given number of steps; no critics.

Upstream's schedule: epochs of length buckets up to 1000 frames (20 s), the rate falls by epochs and was lowered once
before the first; gradients are not clipped.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.errors import TrainingRefused
from cloning.engine.training.batches import pick
from cloning.engine.training.flow import Trained, flow_loss, learning_mode
from cloning.engine.training.loop import rate_at, step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import FlowRecipe
from cloning.engine.training.upstream_acoustic_stage import BETAS, DECAY, EPSILON, WEIGHT_DECAY
from cloning.engine.training.upstream_batches import FLOW_BUCKET_FRAMES, acoustic_batches, acoustic_items

#: Share of the rate that a run of `steps` ends with.
FINAL = 0.1


class FlowStage:
    """Trains what `trained` holds of a DiffusionModel. Raises TrainingRefused `no_items`."""

    name = "acoustic"

    def __init__(
        self,
        model: DiffusionModel,
        trained: Trained,
        items: Sequence[Item],
        recipe: FlowRecipe,
        *,
        bfloat16: bool,
        recompute: bool,
        device: str,
    ) -> None:
        self.model, self.trained, self.recipe = model.to(device), trained.to(device), recipe
        self.device, self.bfloat16 = device, bfloat16
        model.cfm.estimator.checkpointing = recompute
        rate, hop = model.audio.sample_rate, model.audio.hop
        if recipe.epochs is None:
            self.items = [item for item in items if item.has_text]
            if not self.items:
                raise TrainingRefused("no_items", "no recording came with its text")
            self.batches = 0
            self.steps = recipe.steps
        else:
            self.items = acoustic_items(items, sample_rate=rate, hop=hop, bounds=FLOW_BUCKET_FRAMES)
            frames = [len(item.wave) // hop for item in self.items]
            whole = functools.partial(acoustic_batches, frames, recipe.batch, bounds=FLOW_BUCKET_FRAMES)
            self.epoch = functools.lru_cache(maxsize=2)(whole)
            self.batches = len(self.epoch(1))
            self.steps = self.batches * recipe.epochs
        #: A batch is one in so many of its items: 1 unless memory ran out.
        self.parts = 1
        self.optimiser = torch.optim.AdamW(
            [{"params": list(trained.parameters()), "peak": recipe.learning_rate}],
            lr=recipe.learning_rate, betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY, fused=True,
        )  # fmt: skip

    def modules(self) -> dict[str, nn.Module]:
        return {"acoustic": self.trained}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"acoustic": self.optimiser}

    def halve(self) -> bool:
        if 2 * self.parts > self.recipe.batch:
            return False
        self.parts *= 2
        return True

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        items, share = self._batch(step, rng)
        learning_mode(self.model)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            adapters = self.trained.adapters(len(self.model.cfm.estimator.transformer_blocks))
            loss = flow_loss(self.model, items, generator, adapters)
        if not step_optimiser(loss.float(), self.trained, self.optimiser, share=share, clip=math.inf):
            return None
        return float(loss.detach())

    def _batch(self, step: int, rng: np.random.Generator) -> tuple[list[Item], float]:
        """The step's items and its share of the rate."""
        if not self.batches:
            share = rate_at(step, steps=self.recipe.steps, warm_up=self.recipe.warm_up, final=FINAL)
            return pick(self.items, self.recipe.batch, rng)[:: self.parts], share
        epoch, index = divmod(step - 1, self.batches)
        places = self.epoch(epoch + 1)[index][epoch % self.parts :: self.parts]
        return [self.items[place] for place in places], DECAY ** (epoch + 1)
