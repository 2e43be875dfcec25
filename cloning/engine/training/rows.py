"""One-dimensional convolutions for training on processors with bfloat16 products: forward and both gradients.

Waves and hidden frames lie in memory as rows, B x L x C (channels last). Measured on an AVX512-BF16 core, oneDNN runs a
forward convolution over such rows, as an image of height 1, at 400 GFLOP/s; its gradients reach 60 to 120. So both
gradients are written here with what is fast: the gradient of the input is again a forward convolution (or, with a
stride, a product whose columns are added back in place), and that of the weight is one product with the unfolded rows.
Accumulation is in float32 inside each product, as in autocast.

Weights are O x C x K to the caller and lie O x K x C in memory (`laid_out`): a forward convolution and both products
read them so without a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: From this many input channels on, adding columns back costs less than turning the weight round.
MANY_CHANNELS = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kernel of K taps moves over the rows."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def count(self, rows: int) -> int:
        """Rows of the result for `rows` rows."""
        return (rows + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


def laid_out(weight: Tensor) -> Tensor:
    """O x C x K of any type -> the same in bfloat16, lying O x K x C."""
    return weight.transpose(1, 2).to(torch.bfloat16, memory_format=torch.contiguous_format).transpose(1, 2)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
    """B x L x C by O x C x K -> B x count(L) x O."""
    if shape.kernel == 1 and shape.stride == 1 and shape.padding == 0:
        return F.linear(x, weight[:, :, 0], bias)
    image = x.transpose(1, 2).unsqueeze(2)
    kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    done: Tensor = torch.mkldnn_convolution(
        image, kernel, bias, (0, shape.padding), (1, shape.stride), (1, shape.dilation), 1
    )
    return done.squeeze(2).transpose(1, 2)


def spread(y: Tensor, weight: Tensor, shape: Shape, rows: int) -> Tensor:
    """The transpose of `convolve`: B x count(rows) x O by O x C x K -> B x rows x C."""
    if shape.kernel == 1 and shape.stride == 1 and shape.padding == 0:
        return F.linear(y, weight[:, :, 0].t())
    reach = shape.dilation * (shape.kernel - 1)
    if shape.stride == 1 and reach >= shape.padding and weight.shape[1] < MANY_CHANNELS:
        mirrored = weight.flip(2).transpose(0, 1)
        return convolve(y, mirrored, None, Shape(shape.kernel, 1, reach - shape.padding, shape.dilation))
    batch, count, outputs = y.shape
    inputs = weight.shape[1]
    columns = (y.reshape(-1, outputs) @ weight.transpose(1, 2).reshape(outputs, -1)).view(batch, count, -1, inputs)
    last = (count - 1) * shape.stride + 1
    wide = y.new_zeros(batch, max(rows + 2 * shape.padding, last + reach), inputs)
    for tap in range(shape.kernel):
        start = tap * shape.dilation
        wide[:, start : start + last : shape.stride].add_(columns[:, :, tap])
    return wide[:, shape.padding : shape.padding + rows]


def weight_gradient(x: Tensor, gradient: Tensor, shape: Shape) -> Tensor:
    """x B x L x C, gradient of the result B x count(L) x O -> O x C x K."""
    batch, count, outputs = gradient.shape
    inputs = x.shape[2]
    wide = F.pad(x, (0, 0, shape.padding, shape.padding)) if shape.padding else x.contiguous()
    taps = wide.as_strided(
        (batch, count, shape.kernel, inputs),
        (wide.stride(0), shape.stride * inputs, shape.dilation * inputs, 1),
    )
    product = gradient.reshape(-1, outputs).t() @ taps.reshape(batch * count, -1)
    return product.view(outputs, shape.kernel, inputs).transpose(1, 2)


class Convolution(torch.autograd.Function):
    """`convolve` with gradients; everything in the type of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
        ctx.shape = shape
        ctx.save_for_backward(x, weight)
        return convolve(x, weight, bias, shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        back = spread(gradient, weight, ctx.shape, x.shape[1]) if ctx.needs_input_grad[0] else None
        change = weight_gradient(x, gradient, ctx.shape) if ctx.needs_input_grad[1] else None
        shift = gradient.sum((0, 1)) if ctx.needs_input_grad[2] else None
        return back, change, shift, None


class Transposed(torch.autograd.Function):
    """`spread` with gradients: a transposed convolution, weight C_in x C_out x K, B x L x C_in -> B x rows x C_out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shape: Shape, rows: int) -> Tensor:
        ctx.shape = shape
        ctx.save_for_backward(x, weight)
        return spread(x, weight, shape, rows) + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        back = convolve(gradient, weight, None, ctx.shape) if ctx.needs_input_grad[0] else None
        change = weight_gradient(gradient, x, ctx.shape) if ctx.needs_input_grad[1] else None
        shift = gradient.sum((0, 1)) if ctx.needs_input_grad[2] else None
        return back, change, shift, None, None


class NormedWeight(torch.autograd.Function):
    """weight_v * weight_g / |weight_v| (norm over all but dimension 0), float32 -> bfloat16 `laid_out`, in few
    passes. O x C x K, or O x C x K x 1."""

    @staticmethod
    def forward(ctx: Any, direction: Tensor, gain: Tensor) -> Tensor:
        rows = direction.flatten(1)
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        ctx.save_for_backward(direction, gain, norm)
        return laid_out((rows * (gain.view(-1, 1) / norm)).view(direction.shape[:3]))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        direction, gain, norm = ctx.saved_tensors
        rows = direction.flatten(1)
        given = gradient.reshape(rows.shape).float()
        along = (given * rows).sum(1, keepdim=True) / norm
        scale = gain.view(-1, 1) / norm
        back = torch.addcmul(given.mul_(scale), rows, -scale * along / norm)
        return back.view(direction.shape), along.view(gain.shape)
