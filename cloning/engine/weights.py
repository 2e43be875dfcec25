"""Moving weights between files and models without trusting the file: names, shapes and values are checked first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)

#: Initialisers that have no meaning for a model without memory. On the meta device torch would run them through its
#: compiler's reference code, whose import alone takes seconds.
_INITIALISERS = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.constant_)


class _WithoutInitialValues(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _INITIALISERS:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def bare(build: Callable[[], M]) -> M:
    """The model that `build` makes, with names and shapes but neither memory nor values (meta device)."""
    with torch.device("meta"), _WithoutInitialValues():
        return build()


def outline(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the model that `build` makes, without allocating its memory."""
    return {name: tuple(value.shape) for name, value in bare(build).state_dict().items()}


def first_difference(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> str | None:
    """The first thing (in alphabetical order) that keeps `found` from being loaded, as a sentence; None if it fits."""
    for name in sorted(set(expected) | set(found)):
        shown = name[:120]
        if name not in found:
            return f"{shown} is missing"
        if name not in expected:
            return f"{shown} is not a part of this model"
        value = found[name]
        if tuple(value.shape) != expected[name]:
            return f"{shown} has shape {tuple(value.shape)}, expected {expected[name]}"
        if not value.dtype.is_floating_point or value.layout != torch.strided:
            return f"{shown} does not hold plain floating-point numbers"
    return None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor that holds a NaN or an infinity; None if there is none."""
    return next((name for name in sorted(tensors) if not bool(torch.isfinite(tensors[name]).all())), None)


def fill(build: Callable[[], M], tensors: Mapping[str, Tensor]) -> M:
    """Build the model and give it float32 copies of `tensors` (already checked), in evaluation mode.

    No time goes into random weights nobody will use. Raises RuntimeError if a part is missing.
    """
    model = bare(build)
    trainable = {name: value.requires_grad for name, value in model.named_parameters()}
    model.load_state_dict({name: value.detach().float().clone() for name, value in tensors.items()}, assign=True)
    for name, value in model.named_parameters():
        value.requires_grad_(trainable[name])
    return model.eval()
