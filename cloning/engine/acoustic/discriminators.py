"""The critics of S2's adversarial training: one over the raw wave, one for each period (HiFi-GAN, Kong et al. 2020).

Names of parameters as in official discriminator files: index 0 is the scale critic, then the periods.
Wave B x 1 x N. A critic gives scores B x M and the activations of its layers (for feature matching).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.layers import NormedConv
from cloning.engine.config import AcousticConfig

SLOPE = 0.1
#: Channels of the layers as multiples of the base width.
PERIOD_WIDTHS = (1, 4, 16, 32, 32)
SCALE_WIDTHS = (1, 4, 16, 64, 64, 64)
#: Channels that share one group in the scale critic's long convolutions.
GROUP_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Judgement:
    """`scores`: one B x M tensor a critic (1 = real). `features`: for each critic the activations of each layer."""

    scores: list[Tensor]
    features: list[list[Tensor]]


class ScaleCritic(nn.Module):
    """Strided, grouped convolutions over the wave itself."""

    def __init__(self, base: int) -> None:
        super().__init__()
        widths = [1] + [max(1, base // 2) * factor for factor in SCALE_WIDTHS]
        shapes = [(15, 1, 7), (41, 4, 20), (41, 4, 20), (41, 4, 20), (41, 4, 20), (5, 1, 2)]
        self.convs = nn.ModuleList(
            NormedConv(
                inputs,
                outputs,
                (kernel,),
                stride=stride,
                padding=padding,
                groups=max(1, inputs // GROUP_CHANNELS) if kernel == 41 else 1,
            )
            for inputs, outputs, (kernel, stride, padding) in zip(widths[:-1], widths[1:], shapes, strict=True)
        )
        self.conv_post = NormedConv(widths[-1], 1, (3,), padding=1)

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        return _run(self.convs, self.conv_post, wave)


class PeriodCritic(nn.Module):
    """The wave folded into rows of `period` samples, judged along the columns."""

    def __init__(self, period: int, base: int) -> None:
        super().__init__()
        self.period = period
        widths = [1] + [base * factor for factor in PERIOD_WIDTHS]
        last = len(widths) - 2
        self.convs = nn.ModuleList(
            NormedConv(inputs, outputs, (5, 1), stride=(3 if index < last else 1, 1), padding=(2, 0))
            for index, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.conv_post = NormedConv(widths[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        missing = -wave.shape[2] % self.period
        if missing:
            wave = F.pad(wave, (0, missing), mode="reflect")
        return _run(self.convs, self.conv_post, wave.reshape(*wave.shape[:2], -1, self.period))


class Discriminators(nn.Module):
    """All critics of one model."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        base = config.discriminator_base
        self.discriminators = nn.ModuleList(
            [ScaleCritic(base), *(PeriodCritic(period, base) for period in config.periods)]
        )

    def forward(self, wave: Tensor) -> Judgement:
        results = [critic(wave) for critic in self.discriminators]
        return Judgement([score for score, _ in results], [features for _, features in results])


def _run(convs: Sequence[nn.Module] | nn.ModuleList, last: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    features = []
    for conv in convs:
        x = F.leaky_relu(conv(x), SLOPE)
        features.append(x)
    x = last(x)
    features.append(x)
    return torch.flatten(x, 1), features
