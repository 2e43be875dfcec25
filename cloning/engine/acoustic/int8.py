"""Convolutions in 8-bit integers through oneDNN, for the wide stages of the vocoder on a CPU.

Weights are quantised once, symmetrically, each output channel with a scale of its own. Inputs are quantised at every
call over their own range, so no calibration material is needed and no loud passage can leave the range. Sums are exact
32-bit integers; results, residuals and activations stay float32. The packed weights are oneDNN's own, so a module of
this kind stays on the CPU and can be neither copied nor saved: prepare the model where it is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.errors import EngineError
from cloning.engine.processor import check_int8

#: Steps of an unsigned byte left for the values. The zero point stays off both ends: oneDNN prepares the weights for a
#: zero point that is not 0.
STEPS = 253
#: Largest magnitude of a weight.
MOST_WEIGHT = 127
#: Narrowest range that is still divided into steps; below it everything is silence.
LEAST_RANGE = 1e-9


def check_available() -> None:
    """Raises EngineError `unsupported_precision` where torch was built without oneDNN's quantised convolution, or on a
    processor on which its sums overflow."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qconv_prepack")):
        raise EngineError("unsupported_precision", "this build of torch has no 8-bit convolution")
    check_int8()


class Int8Conv(nn.Module):
    """A same-length convolution over B x C x 1 x N (float32, channels last)."""

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.reach = (weight.shape[2] - 1) // 2 * dilation
        # oneDNN has no fast path for dilation together with padding around a zero point; bytes are padded here then.
        self.pads_itself = dilation > 1
        self.padding = [0, 0 if self.pads_itself else self.reach]
        wide = weight.detach().float().unsqueeze(2)
        scales = wide.abs().amax((1, 2, 3)).clamp_min(torch.finfo(torch.float32).tiny) / MOST_WEIGHT
        steps = (wide / scales[:, None, None, None]).round().to(torch.int8)
        packed = torch.ops.onednn.qconv_prepack(
            steps.contiguous(memory_format=torch.channels_last),
            scales,
            1.0,
            1,  # any zero point but 0: asks for weights that go with one
            [1, 1],
            self.padding,
            [1, dilation],
            1,
            None,
        )
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int32))
        self.register_buffer("bias", bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        steps, scale, zero = quantise(x)
        if self.pads_itself:
            steps = F.pad(steps, (self.reach, self.reach), value=zero)
        out: Tensor = torch.ops.onednn.qconv_pointwise(
            steps,
            scale,
            zero,
            self.packed,
            self.scales,
            self.zeros,
            self.bias,
            [1, 1],
            self.padding,
            [1, self.dilation],
            1,
            1.0,  # the result is float32, in its own scale
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return out


def quantise(x: Tensor) -> tuple[Tensor, float, int]:
    """B x C x 1 x N float32 -> bytes, scale and zero point: x is about (bytes - zero) * scale, within half a scale."""
    # In the order of memory; of a permuted tensor torch would make a copy first.
    low, high = torch.aminmax(x.permute(0, 2, 3, 1))
    least, most = min(float(low), 0.0), max(float(high), 0.0)
    scale = max(most - least, LEAST_RANGE) / STEPS
    zero = min(max(round(-least / scale) + 1, 1), 254)
    held = torch.quantize_per_tensor(x, scale, zero, torch.quint8)
    # The bytes themselves, without the copy that int_repr() makes.
    steps = torch.empty(0, dtype=torch.uint8).set_(held.untyped_storage(), 0, held.shape, held.stride())
    return steps, scale, zero
