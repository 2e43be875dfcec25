"""ECAPA-TDNN (Desplanques et al. 2020) as SpeechBrain publishes it, in plain torch: class in code, weights only.

The names of the modules are those of the published ``embedding_model.ckpt`` (231 tensors, 20.8 million parameters), so
that the file loads as it is. SpeechBrain's own loader would read the model from a YAML file that can run code.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
import torch
from torch import nn

from consent.biometrics.audio import MODEL_RATE

DIMENSIONS: Final = 192
CHANNELS: Final = 1_024
_MELS: Final = 80
_FFT: Final = 400
_HOP: Final = 160
_TOP_DB: Final = 80.0
_SCALE: Final = 8


class _Convolution(nn.Module):
    def __init__(self, inside: int, outside: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(inside, outside, kernel, dilation=dilation, padding=padding, padding_mode="reflect")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(x))


class _Norm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.norm(x))


class _Tdnn(nn.Module):
    def __init__(self, inside: int, outside: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = _Convolution(inside, outside, kernel, dilation)
        self.norm = _Norm(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.norm(torch.relu(self.conv(x))))


class _Res2Net(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        part = channels // _SCALE
        self.blocks = nn.ModuleList([_Tdnn(part, part, 3, dilation) for _ in range(_SCALE - 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: list[torch.Tensor] = []
        for index, part in enumerate(torch.chunk(x, _SCALE, dim=1)):
            if index == 0:
                found.append(part)
            else:
                found.append(self.blocks[index - 1](part if index == 1 else part + found[-1]))
        return torch.cat(found, dim=1)


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.conv1 = _Convolution(channels, inside)
        self.conv2 = _Convolution(inside, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = torch.relu(self.conv1(x.mean(dim=2, keepdim=True)))
        return x * torch.sigmoid(self.conv2(squeezed))


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.tdnn1 = _Tdnn(channels, channels)
        self.res2net_block = _Res2Net(channels, dilation)
        self.tdnn2 = _Tdnn(channels, channels)
        self.se_block = _SqueezeExcite(channels, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.as_tensor(self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x)))))


class _Pooling(nn.Module):
    """Attentive statistics (Okabe et al. 2018) with the mean and deviation of the whole as context."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tdnn = _Tdnn(3 * channels, 128)
        self.conv = _Convolution(128, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, deviation = _statistics(x, torch.full_like(x, 1.0 / x.shape[2]))
        context = torch.cat([x, mean.expand_as(x), deviation.expand_as(x)], dim=1)
        weights = torch.softmax(self.conv(torch.tanh(self.tdnn(context))), dim=2)
        return torch.cat(_statistics(x, weights), dim=1)


def _statistics(x: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = (weights * x).sum(2, keepdim=True)
    return mean, ((weights * (x - mean) ** 2).sum(2, keepdim=True)).clamp_min(1e-12).sqrt()


class Ecapa(nn.Module):
    """Normalised log mel bands (batch, frames, 80) to embeddings (batch, 192), not yet of unit length."""

    def __init__(self) -> None:
        super().__init__()
        first = _Tdnn(_MELS, CHANNELS, 5)
        self.blocks = nn.ModuleList([first, *(_Block(CHANNELS, dilation) for dilation in (2, 3, 4))])
        self.mfa = _Tdnn(3 * CHANNELS, 3 * CHANNELS)
        self.asp = _Pooling(3 * CHANNELS)
        self.asp_bn = _Norm(6 * CHANNELS)
        self.fc = _Convolution(6 * CHANNELS, DIMENSIONS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = features.transpose(1, 2)
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        pooled = self.asp_bn(self.asp(self.mfa(torch.cat(found[1:], dim=1))))
        return torch.as_tensor(self.fc(pooled)).squeeze(2)


@functools.cache
def _filterbank() -> torch.Tensor:
    """(201, 80): triangles on the 2595 log10 mel scale, each as wide on the right as on the left."""
    top = 2595.0 * math.log10(1.0 + MODEL_RATE / 2.0 / 700.0)
    hertz = 700.0 * (10.0 ** (torch.linspace(0.0, top, _MELS + 2) / 2595.0) - 1.0)
    bins = torch.linspace(0.0, MODEL_RATE / 2.0, _FFT // 2 + 1)
    slope = (bins[:, None] - hertz[None, 1:-1]) / hertz.diff()[None, :-1]
    return torch.minimum(1.0 + slope, 1.0 - slope).clamp_min(0.0)


def features(sound: np.ndarray) -> torch.Tensor:
    """SpeechBrain's filter bank: 16 kHz sound (samples,) to (1, frames, 80) in dB, the mean over time taken away."""
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32)),
        _FFT,
        _HOP,
        window=torch.hamming_window(_FFT),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    decibels = 10.0 * torch.log10((spectrum.abs().square().T @ _filterbank()).clamp_min(1e-10))
    decibels = torch.maximum(decibels, decibels.max() - _TOP_DB)
    return (decibels - decibels.mean(0, keepdim=True))[None]
