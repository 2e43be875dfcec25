"""The built-in content encoder: what is being said, with as little as possible of who says it.

A small supervised stand-in for HuBERT. It is trained to tell phones and the shape of the pitch, frame by frame, on
synthesised speech; the 128 numbers under those two heads are the content features, 50 a second. The body is ConvNeXt
(Liu et al. 2022) on 100 Hz log-mels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.config import ContentConfig
from cloning.engine.features.spectrogram import magnitude, mel_filters

#: Added to mels before the logarithm; hides differences below the noise floor of a quiet room.
LOG_OFFSET = 1e-4
#: Typical spread of log-mels in nats; dividing by it brings the input near unit variance.
LOG_SCALE = 2.5
#: Starting weight of each block's residual branch.
LAYER_SCALE = 0.1
#: Upper edge of the mel filters in Hz.
MEL_TOP = 8000.0


class Block(nn.Module):
    """ConvNeXt block over time: depthwise convolution, then a two-layer mixer, added to its input. (B, C, T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, 3 * channels)
        self.narrow = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.narrow(F.gelu(self.widen(y))) * self.scale
        return x + y.transpose(1, 2)


class ContentEncoder(nn.Module):
    """Wave at 16 kHz to content frames; ``dim`` numbers every 20 ms.

    ``phone_head`` and ``pitch_head`` (normalised log pitch, voicing logit) serve training and measurement only.
    """

    def __init__(self, config: ContentConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv1d(config.n_mels, config.channels, 5, padding=2)
        self.halve = nn.Conv1d(config.channels, config.channels, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block(config.channels) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.channels)
        self.project = nn.Linear(config.channels, config.dim)
        self.out_norm = nn.LayerNorm(config.dim)
        self.phone_head = nn.Linear(config.dim, config.phones)
        self.pitch_head = nn.Linear(config.dim, 2)

    def mels(self, wave: Tensor) -> Tensor:
        """Wave (B, samples) to mean-free scaled log-mels (B, n_mels, 2 * (samples // (2 * hop)))."""
        c = self.config
        wave = wave[:, : wave.shape[1] // (2 * c.hop) * (2 * c.hop)]
        filters = mel_filters(c.sample_rate, c.n_fft, c.n_mels, 0.0, MEL_TOP).to(wave.device)
        mels = torch.log(filters @ magnitude(wave, n_fft=c.n_fft, win=c.win, hop=c.hop) + LOG_OFFSET)
        return self.normalise(mels)

    @staticmethod
    def normalise(mels: Tensor) -> Tensor:
        """Log-mels (B, n_mels, T): each band's mean over time removed (loudness, channel), scaled."""
        return (mels - mels.mean(dim=2, keepdim=True)) / LOG_SCALE

    def encode(self, mels: Tensor) -> Tensor:
        """Scaled log-mels (B, n_mels, 2T) to content frames (B, T, dim)."""
        x = F.gelu(self.halve(F.gelu(self.stem(mels))))
        for block in self.blocks:
            x = block(x)
        return self.out_norm(self.project(self.norm(x.transpose(1, 2))))

    def forward(self, wave: Tensor) -> Tensor:
        """Wave (B, samples) in -1..1 at 16 kHz to content frames (B, samples // 320, dim)."""
        return self.encode(self.mels(wave))

    def heads(self, content: Tensor) -> tuple[Tensor, Tensor]:
        """Content (B, T, dim) to phone logits (B, T, phones) and (B, T, 2): normalised log pitch, voicing logit."""
        return self.phone_head(content), self.pitch_head(content)


def pair(content: Tensor, frames_per_code: int) -> Tensor:
    """Neighbouring frames laid end to end: (B, T, dim) to (B, T // n, n * dim); a last odd frame is dropped."""
    batch, frames, dim = content.shape
    codes = frames // frames_per_code
    return content[:, : codes * frames_per_code].reshape(batch, codes, frames_per_code * dim)


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest codebook entry: (N, d) and (K, d) to (N,) int64, Euclidean."""
    return torch.cdist(vectors.float(), codebook.float()).argmin(dim=1)
