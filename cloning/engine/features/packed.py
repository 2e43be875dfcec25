"""Linear layers in the memory order of the CPU's own matrix kernels (oneDNN), for encoders that only ever infer.

PyTorch gives single-precision products to MKL, which on processors not made by Intel reaches less than half of what
they can do. oneDNN does not care who made them, and packing its blocks once saves doing so for every sentence. The
function is the same; sums are taken in another order, so results differ in the last bits of float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cloning.engine.processor import has_bfloat16


class PackedLinear(nn.Module):
    """Takes the place of a Linear whose weights will not change: * x in -> * x out, on the CPU, without gradients.

    weight out x in, bias out or None. `rows` is how many vectors usually come at once; others work too. The weights are
    no longer in the state dict.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, rows: int) -> None:
        super().__init__()
        self.bias = None if bias is None else bias.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out


class PackedPoint(nn.Module):
    """Takes the place of a 1 x 1 convolution: B x C x H x W in channels-last order -> B x C' x H' x W' likewise.

    On one thread PyTorch leaves these, too, to MKL; as a product over the channels they run like the others.
    """

    def __init__(self, convolution: nn.Conv2d, *, rows: int) -> None:
        super().__init__()
        self.stride = convolution.stride
        self.linear = PackedLinear(convolution.weight.flatten(1), convolution.bias, rows=rows)

    def forward(self, x: Tensor) -> Tensor:
        high, wide = self.stride
        places = x[:, :, :: int(high), :: int(wide)].permute(0, 2, 3, 1).contiguous()
        out: Tensor = self.linear(places).permute(0, 3, 1, 2)
        return out


def can_pack() -> bool:
    """Whether this build of PyTorch has the kernels; without them the plain layers stay."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def pack(model: nn.Module, *, rows: int) -> None:
    """Replace every Linear and every plain 1 x 1 convolution inside `model` (on the CPU, any depth) by its packed
    form. Does nothing where the kernels are missing, and leaves layers in bfloat16 as they are on a processor that has
    no products of it."""
    if not can_pack():
        return
    for name, part in model.named_children():
        if any(value.dtype == torch.bfloat16 for value in part.parameters(recurse=False)) and not has_bfloat16():
            continue
        if isinstance(part, nn.Linear):
            setattr(model, name, PackedLinear(part.weight, part.bias, rows=rows))
        elif isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) and part.padding == (0, 0) and part.groups == 1:
            setattr(model, name, PackedPoint(part, rows=rows))
        else:
            pack(part, rows=rows)
