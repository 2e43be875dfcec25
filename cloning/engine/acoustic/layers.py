"""Small building blocks that several parts of S2 share. Parameter names follow the official state dicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Epsilon of every channel normalisation of the model family.
NORM_EPSILON = 1e-5


def length_mask(lengths: Tensor, width: int) -> Tensor:
    """lengths B -> B x 1 x width of 0 and 1 (float32), 1 where the place is real."""
    places = torch.arange(width, device=lengths.device)
    return (places[None, None, :] < lengths[:, None, None]).float()


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of B x C x T (parameters `gamma`, `beta`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        turned = F.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta, NORM_EPSILON)
        return turned.transpose(1, -1)


class _Normed(nn.Module):
    """A convolution whose weight is `weight_g * weight_v / |weight_v|` (Salimans and Kingma 2016), norm over all but
    dimension 0.

    Official files store the pair. `fold` replaces it by the one plain `weight` they stand for.
    """

    def __init__(self, weight: Tensor, bias: int | None) -> None:
        super().__init__()
        self.weight: Tensor
        self.weight_v = nn.Parameter(weight)
        gain = weight.new_empty(weight.shape[0], *(1 for _ in weight.shape[1:]))
        if not weight.is_meta:  # a model without memory (weights.bare) has only shapes
            gain.copy_(self._norm(weight.detach()))
        self.weight_g = nn.Parameter(gain)
        self.bias: nn.Parameter  # absent (None) only where a vocoder's last layer asks for it
        self.register_parameter("bias", None if bias is None else nn.Parameter(torch.zeros(bias)))
        self.folded = False

    @staticmethod
    def _norm(weight: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())), keepdim=True)
        return norm

    def effective(self) -> Tensor:
        """The plain weight that the convolution uses now."""
        if self.folded:
            return self.weight
        return self.weight_v * (self.weight_g / self._norm(self.weight_v))

    @torch.no_grad()
    def fold(self) -> None:
        if not self.folded:
            self.weight = nn.Parameter(self.effective().clone(), requires_grad=False)
            del self.weight_v, self.weight_g
            self.folded = True


class NormedConv(_Normed):
    """Weight-normalised convolution of any rank; `padding`, `stride`, `dilation`, `groups` as torch means them."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, ...],
        *,
        padding: int | tuple[int, ...] = 0,
        stride: int | tuple[int, ...] = 1,
        dilation: int = 1,
        groups: int = 1,
        deviation: float | None = None,
        bias: bool = True,
    ) -> None:
        weight = torch.empty(channels_out, channels_in // groups, *kernel)
        if deviation is None:
            nn.init.kaiming_uniform_(weight, a=5**0.5)
        else:
            nn.init.normal_(weight, 0.0, deviation)
        super().__init__(weight, channels_out if bias else None)
        self.settings: dict[str, Any] = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}

    def forward(self, x: Tensor) -> Tensor:
        convolve = F.conv1d if x.dim() == 3 else F.conv2d
        return convolve(x, self.effective(), self.bias, **self.settings)


class NormedTransposedConv(_Normed):
    """Weight-normalised 1-d transposed convolution that lengthens time exactly `rate` times."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, rate: int, *, deviation: float) -> None:
        super().__init__(nn.init.normal_(torch.empty(channels_in, channels_out, kernel), 0.0, deviation), channels_out)
        self.rate = rate
        self.padding = (kernel - rate) // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.effective(), self.bias, stride=self.rate, padding=self.padding)


def fold_weight_norm(module: nn.Module) -> None:
    """Fold every weight-normalised convolution below `module`: same function, fewer operations, no training any
    more."""
    for part in module.modules():
        if isinstance(part, _Normed):
            part.fold()


class GatedStack(nn.Module):
    """Non-causal WaveNet stack (WN): B x C x T, mask B x 1 x T, condition B x G x 1 -> B x C x T."""

    def __init__(self, channels: int, kernel: int, layers: int, condition: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.layers = layers
        self.dropout = dropout
        self.cond_layer = NormedConv(condition, 2 * channels * layers, (1,))
        self.in_layers = nn.ModuleList(
            NormedConv(channels, 2 * channels, (kernel,), padding=kernel // 2) for _ in range(layers)
        )
        # The last layer feeds only the sum, so it has no residual half.
        self.res_skip_layers = nn.ModuleList(
            NormedConv(channels, channels * (2 if layer < layers - 1 else 1), (1,)) for layer in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        summed = torch.zeros_like(x)
        parts = self.cond_layer(condition).chunk(self.layers, dim=1)
        for layer, (gate_in, out) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            a, b = (gate_in(x) + parts[layer]).chunk(2, dim=1)
            gated = out(F.dropout(torch.tanh(a) * torch.sigmoid(b), self.dropout, self.training))
            if layer < self.layers - 1:
                residual, skip = gated.chunk(2, dim=1)
                x = (x + residual) * mask
                summed = summed + skip
            else:
                summed = summed + gated
        return summed * mask
