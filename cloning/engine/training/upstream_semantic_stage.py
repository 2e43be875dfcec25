"""S1's stage as upstream trains it: ScaledAdam, summed losses, gradients summed over windows of batches.

A step of this stage is one optimiser step, so it covers the four or five batches whose gradients upstream sums. Nothing
is left over between steps, which is why its checkpoints need no gradients. Where upstream's rule gives no optimiser
step at all, the stage has no steps and the model stays the base: `steps` says so before anything is trained.
Dropout and the spoiled copies of DPO come from the loop's seeds, not from upstream's stream of random numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.batches import prosody, stack
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import OfficialRecipe
from cloning.engine.training.scaled_adam import ScaledAdam
from cloning.engine.training.upstream_batches import semantic_batch_size, semantic_batches, semantic_items, windows
from cloning.engine.training.upstream_semantic import (
    FIRST_RATE,
    UpstreamPass,
    preference_loss,
    repeat_stretch,
    upstream_forward,
    upstream_rate,
)


class UpstreamSemanticStage:
    """Trains a Text2Semantic. `code_rate` in codes per second. Raises TrainingRefused `no_items`."""

    name = "semantic"

    def __init__(
        self,
        model: Text2Semantic,
        items: Sequence[Item],
        recipe: OfficialRecipe,
        *,
        code_rate: float,
        bfloat16: bool,
        device: str,
    ) -> None:
        self.model = model.to(device)
        self.recipe = recipe
        self.device = device
        self.bfloat16 = bfloat16
        self.items = semantic_items(items, code_rate)
        self.size = semantic_batch_size(len(self.items), recipe.semantic_batch, preference=recipe.preference)
        seconds = [len(item.codes) / code_rate for item in self.items]
        self.epoch = functools.lru_cache(maxsize=2)(functools.partial(semantic_batches, seconds, self.size))
        self.windows = windows(-(-len(self.items) // self.size), recipe.semantic_epochs)
        self.steps = len(self.windows)
        #: A batch goes through the model in so many parts: 1 unless memory ran out.
        self.parts = 1
        trained = [value for value in model.parameters() if value.requires_grad]
        self.optimiser = ScaledAdam(trained, lr=FIRST_RATE, compat=True)

    def modules(self) -> dict[str, nn.Module]:
        return {"semantic": self.model}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"semantic": self.optimiser}

    def halve(self) -> bool:
        """The same batches in more parts: their gradients are summed in any case, so the result stays the same but for
        rounding and dropout."""
        if 2 * self.parts > self.size:
            return False
        self.parts *= 2
        return True

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        """Mean over the window's batches of the summed loss for each target, padding included."""
        self.optimiser.zero_grad(set_to_none=True)
        told = []
        for epoch, index in self.windows[step - 1]:
            loss = self._gather([self.items[place] for place in self.epoch(epoch)[index]], rng)
            if loss is None:
                self.optimiser.zero_grad(set_to_none=True)
                return None
            told.append(loss)
        gradients = [value.grad for value in self.model.parameters() if value.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            self.optimiser.zero_grad(set_to_none=True)
            return None
        for group in self.optimiser.param_groups:
            group["lr"] = upstream_rate(step - 1)
        self.optimiser.step()
        return sum(told) / len(told)

    def _gather(self, items: Sequence[Item], rng: np.random.Generator) -> float | None:
        """Add a batch's gradients to what is there; its loss for each target. None if it was not finite."""
        eos = self.model.config.eos
        phones, phone_lengths = stack([item.phones for item in items], 1)
        codes, code_lengths = stack([item.codes for item in items], 1, eos)
        bert = prosody([[item] for item in items], dim=self.model.config.bert_dim, width=phones.shape[1])
        # Upstream spoils the padded row, end marks and all.
        worse = stack([repeat_stretch(row, rng) for row in codes], 1, eos) if self.recipe.preference else None
        text = phones, phone_lengths, bert
        told, targets = 0.0, 0
        for rows in torch.arange(len(items)).chunk(min(self.parts, len(items))):
            with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
                out = self._pass(rows, text, (codes, code_lengths))
                loss = out.loss
                if worse is not None:
                    loss = loss + preference_loss(out, self._pass(rows, text, worse)) * (len(rows) / len(items))
            if not bool(torch.isfinite(loss.detach())):
                return None
            loss.backward()  # type: ignore[no-untyped-call]
            told, targets = told + float(loss.detach()), targets + out.targets.numel()
        return told / targets

    def _pass(
        self, rows: Tensor, text: tuple[Tensor, Tensor, Tensor | None], spoken: tuple[Tensor, Tensor]
    ) -> UpstreamPass:
        """Some rows of a batch: phones with lengths and prosody, codes with lengths."""
        phones, phone_lengths, codes, code_lengths = (value[rows].to(self.device) for value in (*text[:2], *spoken))
        bert = None if text[2] is None else text[2][rows].to(self.device)
        return upstream_forward(self.model, phones, phone_lengths, codes, code_lengths, bert)
