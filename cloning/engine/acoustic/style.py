"""The voice's style vector: from a spectrogram of reference speech (MelStyleEncoder, Min et al. 2021,
Meta-StyleSpeech).

Shapes: B references, F frames, H style_hidden.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.config import AcousticConfig, AudioConfig
from cloning.engine.features.spectrogram import log_mel

#: Dropout of the style encoder in training, independent of the model's own.
STYLE_DROPOUT = 0.1
HEADS = 2
TEMPORAL_KERNEL = 5
#: Mean and spread of a natural-log mel value of speech, so that the first layer sees numbers of order one.
LOG_MEL_CENTRE = -5.0
LOG_MEL_SPREAD = 2.5


class NamedLinear(nn.Module):
    """A linear layer under the official name `fc`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x)
        return out


class GatedResidual(nn.Module):
    """x + a * sigmoid(b), with (a, b) from one convolution (the inner convolution is named `conv1.conv`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = nn.Conv1d(channels, 2 * channels, TEMPORAL_KERNEL, padding=TEMPORAL_KERNEL // 2)
        self.conv1 = nn.ModuleDict({"conv": inner})

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv1["conv"](x).chunk(2, dim=1)
        return x + F.dropout(a * torch.sigmoid(b), STYLE_DROPOUT, self.training)


class StyleAttention(nn.Module):
    """Self-attention over frames with a residual; scores are divided by sqrt(H), not by the head width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w_qs = nn.Linear(width, width)
        self.w_ks = nn.Linear(width, width)
        self.w_vs = nn.Linear(width, width)
        self.fc = nn.Linear(width, width)
        self.temperature = math.sqrt(width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """x B x F x H, real B x F (bool) -> B x F x H."""
        batch, count, width = x.shape
        query, key, value = (
            part(x).view(batch, count, HEADS, -1).transpose(1, 2) for part in (self.w_qs, self.w_ks, self.w_vs)
        )
        scores = query @ key.transpose(2, 3) / self.temperature
        share = scores.masked_fill(~real[:, None, None, :], -math.inf).softmax(-1)
        mixed = (F.dropout(share, STYLE_DROPOUT, self.training) @ value).transpose(1, 2).reshape(batch, count, width)
        out: Tensor = self.fc(mixed)
        return F.dropout(out, STYLE_DROPOUT, self.training) + x


class StyleEncoder(nn.Module):
    """`ref_enc`: linear magnitude spectrogram B x bins x F -> style B x style x 1 (a mean over real frames).

    As in the official model, the last real frames of a padded item see the biases of the padding through the
    convolutions.
    """

    def __init__(self, config: AcousticConfig, audio: AudioConfig) -> None:
        super().__init__()
        self.bins = config.style_bins
        self.as_log_mel = config.style_input == "log_mel"
        self.audio = audio
        hidden = config.style_hidden
        self.spectral = nn.Sequential(
            NamedLinear(config.style_bins, hidden),
            nn.Mish(),
            nn.Dropout(STYLE_DROPOUT),
            NamedLinear(hidden, hidden),
            nn.Mish(),
            nn.Dropout(STYLE_DROPOUT),
        )
        self.temporal = nn.Sequential(GatedResidual(hidden), GatedResidual(hidden))
        self.slf_attn = StyleAttention(hidden)
        self.fc = NamedLinear(hidden, config.style)

    def forward(self, spec: Tensor, mask: Tensor) -> Tensor:
        """mask B x 1 x F; every item must have at least one real frame."""
        if self.as_log_mel:
            spec = (log_mel(spec, self.audio) - LOG_MEL_CENTRE) / LOG_MEL_SPREAD
        x = (spec[:, : self.bins] * mask).transpose(1, 2)
        real = mask[:, 0] > 0
        x = self.temporal(self.spectral(x).transpose(1, 2)).transpose(1, 2)
        x = self.slf_attn(x.masked_fill(~real[..., None], 0.0), real)
        x = self.fc(x).masked_fill(~real[..., None], 0.0)
        mean: Tensor = x.sum(1) / real.sum(1, keepdim=True)
        return mean.unsqueeze(-1)
