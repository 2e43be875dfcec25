"""S2 with a voice's adapters on weights that many voices share.

The layers of S2 are convolutions over many places (a second of sound is 50 frames and 32,000 samples), so the sum
W + scale * up @ down is formed when a layer is called and dropped when it returns: one small matrix product for each
layer and call. A low-rank convolution beside the base's would read and write every sample once more at a fraction of
the wide one's speed: measured at 44 % of the whole decode, the sums at 10 %.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.fast import FastDecoder, FastUp
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.int8 import Int8Conv
from cloning.engine.errors import EngineError
from cloning.engine.lowrank import DOWN, PLACES, UP


@dataclass(frozen=True, slots=True)
class Change:
    """What a voice adds to one weight: scale * left @ right, in the weight's own order of memory.

    `left` rows x R and `right` R x columns, as narrow as their values allow. `turned`: the weight is B x C x 1 x K with
    channels last.
    """

    left: Tensor
    right: Tensor
    scale: float
    turned: bool

    def on(self, weight: Tensor) -> Tensor:
        """The voice's weight, in shape, precision and layout as the base's, which is not changed."""
        laid_out = weight.permute(0, 2, 3, 1) if self.turned else weight
        flat = laid_out.reshape(self.left.shape[0], self.right.shape[1]).float()
        total = torch.addmm(flat, self.left.float(), self.right.float(), alpha=self.scale)
        total = total.to(weight.dtype).view(laid_out.shape)
        return total.permute(0, 3, 1, 2) if self.turned else total


def adapted(base: AcousticModel, tensors: Mapping[str, Tensor], scale: float) -> AcousticModel:
    """A model that speaks with the adapters and holds no weight but theirs: all others are the base's own tensors.

    `base`: as `fast.prepare` leaves it; it is not changed and may speak meanwhile. `tensors`: named and shaped as
    `lowrank.outline` says, any float precision. Raises EngineError `unsupported_precision` for a base in 8-bit integers
    (their packed weights cannot be added to) and `wrong_adapters` for tensors of another model.
    """
    if not isinstance(base.dec, FastDecoder):
        raise ValueError("adapters go onto a prepared model")
    if any(isinstance(part, Int8Conv) for part in base.dec.modules()):
        raise EngineError("unsupported_precision", "adapters need a base in float32 or bfloat16, not in 8-bit integers")
    own = copy.deepcopy(base, {id(tensor): tensor for tensor in _tensors(base)})
    found = dict(adaptable(own))
    names = {f"{name}.{half}" for name in found for half in (DOWN, UP)}
    if names != set(tensors):
        raise EngineError("wrong_adapters", "the adapters do not have the names of this model's layers")
    for name, layer in found.items():
        _adapt(layer, tensors[f"{name}.{DOWN}"], tensors[f"{name}.{UP}"], scale)
    return own


def adaptable(model: AcousticModel) -> Iterator[tuple[str, nn.Module]]:
    """Layers of a prepared model that adapters may change, under their names in files (see lowrank.targets)."""
    decoder = model.dec
    if not isinstance(decoder, FastDecoder):
        raise ValueError("the model is not prepared")
    for name, layer in model.named_modules():
        if name.startswith(PLACES["acoustic"]) and not name.startswith("dec.") and _weight(layer) is not None:
            yield name, layer
    yield from ((f"dec.{name}", layer) for name, layer in decoder.official_names())


def changes(model: nn.Module) -> list[Change]:
    """The changes that an adapted model holds."""
    return [layer.change for layer in model.modules() if isinstance(layer, _Adapted)]


class _Adapted(nn.Module):
    """Mixed into a layer's class: `weight` is the sum of the base's and the voice's change, made when it is asked
    for (the device of torch.nn.utils.parametrize)."""

    shared: Tensor
    change: Change

    @property
    def weight(self) -> Tensor:
        return self.change.on(self.shared)


@functools.cache
def _adapted_class(kind: type[nn.Module]) -> type[nn.Module]:
    return type(f"Adapted{kind.__name__}", (_Adapted, kind), {})


def _adapt(layer: nn.Module, down: Tensor, up: Tensor, scale: float) -> None:
    weight = _weight(layer)
    assert weight is not None
    turned = weight.dim() == 4
    transposed = isinstance(layer, FastUp)
    if turned:
        down = down.transpose(1, 2)
    left, right = (down.flatten(0, 1), up.T) if transposed else (up, down.flatten(1))
    if left.shape[0] * right.shape[1] != weight.numel() or left.shape[1] != right.shape[0]:
        raise EngineError("wrong_adapters", "the adapters do not have the shapes of this model's layers")
    del layer.weight
    layer.__class__ = _adapted_class(type(layer))  # type: ignore[arg-type]  # classes are hashable
    layer.register_buffer("shared", weight.detach())
    device = weight.device
    layer.change = Change(_narrow(left, device), _narrow(right, device), scale, turned)  # type: ignore[assignment]


def _weight(layer: nn.Module) -> Tensor | None:
    """The weight of a linear layer or convolution, None for any other module."""
    weight = layer._parameters.get("weight", layer._buffers.get("weight"))
    return weight if weight is not None and not isinstance(layer, nn.Embedding) else None


def _narrow(value: Tensor, device: torch.device) -> Tensor:
    """A copy of its own, in half precision where that rounds nothing."""
    half = value.detach().half()
    exact = torch.equal(half.float(), value.detach().float())
    return (half if exact else value.detach().float()).to(device).clone(memory_format=torch.contiguous_format)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
    for part in model.modules():
        yield from (value for value in vars(part).values() if isinstance(value, Tensor))
