"""ScaledAdam (Povey et al., icefall): Adam whose steps are in proportion to each tensor's size, and which learns that.

The rule of the official S1 recipe, one tensor at a time. With `compat`, as shipped upstream: the clipping factor
reaches only the learning of sizes, while the main update and single numbers use the gradient as it came. Without it,
clipping holds for every update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

#: The bias correction of the second moment is dropped once it has come this near to one.
SETTLED = 0.99


class ScaledAdam(Optimizer):
    """Options of a parameter group, with the official defaults.

    `lr` step as a share of a tensor's RMS; `clipping_scale` times the median gradient norm of the last
    `clipping_update_period` steps is the largest norm let through (norms are of gradients times the tensors' RMS);
    `scalar_lr_scale` share of `lr` for sizes and single numbers; tensors stay within `param_min_rms`..`param_max_rms`,
    single numbers within +-`scalar_max`; sizes are updated every `size_update_period` steps.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.95),
        clipping_scale: float = 2.0,
        clipping_update_period: int = 1000,
        scalar_lr_scale: float = 0.1,
        eps: float = 1e-8,
        param_min_rms: float = 1e-5,
        param_max_rms: float = 3.0,
        scalar_max: float = 10.0,
        size_update_period: int = 4,
        compat: bool = False,
    ) -> None:
        if not 0 < betas[0] <= betas[1] < 1:
            raise ValueError("betas must satisfy 0 < beta1 <= beta2 < 1")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "clipping_scale": clipping_scale,
                "clipping_update_period": clipping_update_period,
                "scalar_lr_scale": scalar_lr_scale,
                "eps": eps,
                "param_min_rms": param_min_rms,
                "param_max_rms": param_max_rms,
                "scalar_max": scalar_max,
                "size_update_period": size_update_period,
                "compat": compat,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update. A tensor without a gradient counts as one with a zero gradient, as upstream has it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            grads = [(p, torch.zeros_like(p) if p.grad is None else p.grad) for p in group["params"]]
            # Read from the state rather than from the group: only the state is saved in a checkpoint.
            factor = self._clipping(group, grads, int(self.state[grads[0][0]].get("step", 0)) if grads else 0)
            for p, grad in grads:
                state = self.state[p]
                if "delta" not in state:
                    _begin(p, group, state)
                _update(p, grad, factor, group, state)
        return loss

    def _clipping(self, group: dict[str, Any], grads: list[tuple[Tensor, Tensor]], step: int) -> float:
        """Factor <= 1 for the gradients of step `step` (from 0); 1 until a whole period has been seen."""
        period = group["clipping_update_period"]
        if step == 0 or not grads:
            return 1.0
        total = torch.zeros((), device=grads[0][0].device)
        for p, grad in grads:
            size = self.state[p]["rms"] if p.numel() > 1 else 1.0
            total += (grad * size).square().sum()
        norm = total.sqrt()
        # Kept with the first tensor, so that it is saved and restored with the optimiser's state.
        memory = self.state[grads[0][0]]
        norms = memory.setdefault("norms", torch.zeros(period, device=norm.device))
        norms[step % period] = norm
        if step % period == 0:
            memory["threshold"] = group["clipping_scale"] * float(norms.sort().values[period // 4 * 2])
        if step < period or "threshold" not in memory:
            return 1.0
        return min(1.0, float(memory["threshold"]) / (float(norm) + 1e-20))


def _begin(p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
    state["step"] = 0
    state["delta"] = torch.zeros_like(p)
    state["square"] = torch.zeros_like(p)
    if p.numel() > 1:
        state["rms"] = p.square().mean().sqrt()
        state["size_square"] = torch.zeros_like(state["rms"])
        state["size_grads"] = torch.zeros(group["size_update_period"], device=p.device, dtype=p.dtype)


def _update(p: Tensor, grad: Tensor, factor: float, group: dict[str, Any], state: dict[str, Any]) -> None:
    beta1, beta2 = group["betas"]
    step = int(state["step"])  # a tensor after a checkpoint was restored
    clipped = grad if factor == 1.0 else grad * factor
    if not group["compat"]:
        grad = clipped
    state["delta"].mul_(beta1)
    state["square"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    correction = 1 - beta2 ** (step + 1)
    if p.numel() > 1:
        _learn_size(p, clipped, group, state)
        square = state["square"] / correction if correction < SETTLED else state["square"]
        size = state["rms"].clamp(min=group["param_min_rms"])
        state["delta"].add_(grad / (square.sqrt() + group["eps"]) * (-group["lr"] * (1 - beta1) * size))
    else:
        denominator = (state["square"] / correction).sqrt() + group["eps"]
        state["delta"].add_(grad / denominator, alpha=-group["lr"] * group["scalar_lr_scale"] * (1 - beta1))
        p.clamp_(-group["scalar_max"], group["scalar_max"])
    p.add_(state["delta"])
    state["step"] = step + 1


def _learn_size(p: Tensor, grad: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
    """Gradient descent on the logarithm of the tensor's size, once in `size_update_period` steps."""
    period = group["size_update_period"]
    step = int(state["step"])
    state["size_grads"][step % period] = (p * grad).sum()
    if step % period != period - 1:
        return
    state["rms"] = p.square().mean().sqrt()
    beta1, beta2 = group["betas"]
    beta2 = beta2**period
    rate = group["lr"] * group["scalar_lr_scale"]
    state["size_square"].mul_(beta2).add_(state["size_grads"].square().mean(), alpha=1 - beta2)
    correction = (1 - beta2 ** ((step + 1) // period)) ** 0.5
    change = -rate * correction * state["size_grads"].sum() / (state["size_square"].sqrt() + group["eps"])
    if state["rms"] < group["param_min_rms"]:
        change = torch.zeros_like(change)
    elif state["rms"] > group["param_max_rms"]:
        change = torch.full_like(change, -rate * period)
    state["delta"].add_(p * change, alpha=1 - beta1)
