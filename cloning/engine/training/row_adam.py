"""AdamW (Loshchilov and Hutter 2019) over the adapters of several voices, each voice for itself.

All adapters of a model lie in one table, a row for each voice, so that a step is a handful of operations however many
layers there are, and so that a voice's gradient norm, its bad steps and its leaving concern its row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from cloning.engine.training.adapters import Attached

DECAY = 0.01
#: Added to a norm that divides, as torch's own clipping does.
NORM_FLOOR = 1e-6


class RowAdam:
    """`table` V x P: what the adapters of `attached` are views of.

    `peak` is the full learning rate, `rate_of` the share of it that a tensor of that name gets; gradients above the
    norm `clip` are scaled down, voice by voice.
    """

    def __init__(
        self,
        attached: Attached,
        *,
        peak: float,
        rate_of: Callable[[str], float],
        betas: tuple[float, float],
        eps: float,
        clip: float,
    ) -> None:
        self.attached = attached
        self.betas, self.eps, self.clip = betas, eps, clip
        parts = [(name, value.detach()) for name, value in attached.pairs()]
        self.table = torch.cat([value.flatten(1) for _, value in parts], dim=1)
        self.rates = torch.cat([torch.full((value[0].numel(),), peak * rate_of(name)) for name, value in parts])
        self.rates = self.rates.to(self.table.device)
        self.first, self.second = torch.zeros_like(self.table), torch.zeros_like(self.table)
        self.steps = torch.zeros(len(self.table), 1, device=self.table.device)
        self._lay_out()

    def _lay_out(self) -> None:
        """Point the adapters into the table."""
        self.gradient = torch.zeros_like(self.table)
        place = 0
        for _, value in self.attached.pairs():
            end = place + value[0].numel()
            value.data = self.table[:, place:end].view(len(self.table), *value.shape[1:])
            place = end

    def gather(self, loss: Tensor) -> None:
        """Add the gradient of `loss` to what has been gathered for the next step."""
        found = torch.autograd.grad(loss, [value for _, value in self.attached.pairs()])
        self.gradient += torch.cat([value.flatten(1) for value in found], dim=1)

    def forget(self) -> None:
        """Drop gradients gathered so far."""
        self.gradient.zero_()

    @torch.no_grad()
    def step(self, losses: Tensor, share: float) -> list[bool]:
        """One update at `share` of the learning rate. -> for each voice whether it moved: not when its loss (V) or its
        gradient is not finite. Gradients are dropped afterwards."""
        norms = torch.linalg.vector_norm(self.gradient, dim=1)
        fine = torch.isfinite(norms) & torch.isfinite(losses)
        told: list[bool] = fine.tolist()
        scale = (self.clip / (norms + NORM_FLOOR)).clamp(max=1.0)
        if all(told):
            self._update(slice(None), self.gradient * scale[:, None], share)
        else:
            for row in (row for row, moved in enumerate(told) if moved):
                part = slice(row, row + 1)
                self._update(part, self.gradient[part] * scale[part, None], share)
        self.forget()
        return told

    def _update(self, rows: slice, gradient: Tensor, share: float) -> None:
        table, first, second, steps = self.table[rows], self.first[rows], self.second[rows], self.steps[rows]
        steps += 1
        first.lerp_(gradient, 1 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        rates = self.rates * share
        table.mul_(1 - rates * DECAY)
        spread = (second / (1 - self.betas[1] ** steps)).sqrt_().add_(self.eps)
        table.sub_(first / (1 - self.betas[0] ** steps) / spread * rates)

    def state(self) -> dict[str, Tensor]:
        """What a step changes, a row for each voice."""
        return {"table": self.table, "first": self.first, "second": self.second, "steps": self.steps}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises KeyError, RuntimeError for other shapes."""
        for name, value in self.state().items():
            if value.shape != state[name].shape:
                raise RuntimeError(f"{name} has another shape")
            value.copy_(state[name])

    @torch.no_grad()
    def keep(self, rows: Sequence[int]) -> None:
        """Only these voices go on, in this order; gradients are dropped."""
        chosen = torch.tensor(list(rows), device=self.table.device)
        self.table, self.first = self.table[chosen], self.first[chosen]
        self.second, self.steps = self.second[chosen], self.steps[chosen]
        self._lay_out()
