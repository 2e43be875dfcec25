"""Band extension: a wave that ends at 12 kHz gets the octave above it, 24 to 48 kHz (AP-BWE, Lu et al.,
arXiv 2401.06387), as upstream offers it behind v3's vocoder.

The wave is first resampled, which adds nothing above its band; then two chains of ConvNeXt blocks, which tell each
other what they know, correct its log amplitudes and give its phases anew. The model is mounted in upstream's form,
`config.json` beside `g_24kto48k.zip`; names and shapes are those of the published class, the code is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.errors import CheckpointError, EngineError
from cloning.engine.features.pretrained import built, read_settings, read_weights, whole_number
from cloning.engine.features.reference_audio import sinc_resample
from cloning.engine.features.spectrogram import window

#: Where it lies in the model folder, and its files.
PLACE = "AP_BWE/24kto48k"
WEIGHTS = "g_24kto48k.zip"
#: Rates in Hz that are built here.
SOURCE_RATE, TARGET_RATE = 24_000, 48_000
EPSILON = 1e-6
#: Added to amplitudes before their logarithm.
FLOOR = 1e-4
KERNEL = 7
#: Inner width of a block over its width.
FEED = 3
#: Most samples of one call: ten minutes.
MOST_SAMPLES = 600 * SOURCE_RATE


@dataclass(frozen=True, slots=True)
class BandConfig:
    """Widths in channels, windows and steps in samples of the 48 kHz wave."""

    channels: int
    layers: int
    n_fft: int
    hop: int
    win: int

    @classmethod
    def read(cls, folder: Path) -> BandConfig:
        """`config.json`. Raises CheckpointError `missing_file`, `bad_config`."""
        settings = read_settings(folder)
        rates = [whole_number(settings, name, 8000, 96_000) for name in ("lr_sampling_rate", "hr_sampling_rate")]
        if rates != [SOURCE_RATE, TARGET_RATE]:
            raise CheckpointError("bad_config", f"this model goes from {rates[0]} to {rates[1]} Hz, not 24000 to 48000")
        n_fft = whole_number(settings, "n_fft", 64, 4096)
        win = whole_number(settings, "win_size", 16, n_fft)
        return cls(
            channels=whole_number(settings, "ConvNeXt_channels", 2, 2048),
            layers=whole_number(settings, "ConvNeXt_layers", 1, 32),
            n_fft=n_fft,
            win=win,
            # Windows must overlap by half or more, or the wave could not be put together again.
            hop=whole_number(settings, "hop_size", 1, win // 2),
        )


class Block(nn.Module):
    """A ConvNeXt block (Liu et al. 2022) over B x C x T."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.pwconv1 = nn.Linear(channels, FEED * channels)
        self.pwconv2 = nn.Linear(FEED * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1 / layers))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.dwconv(x).transpose(1, 2))
        inner = self.gamma * self.pwconv2(F.gelu(self.pwconv1(inner)))
        return x + inner.transpose(1, 2)


class BandModel(nn.Module):
    """Log amplitudes and phases B x bins x T of the narrow wave -> of the wide one."""

    def __init__(self, config: BandConfig) -> None:
        super().__init__()
        bins, channels = config.n_fft // 2 + 1, config.channels

        def first() -> nn.Conv1d:
            return nn.Conv1d(bins, channels, KERNEL, padding=KERNEL // 2)

        def chain() -> nn.ModuleList:
            return nn.ModuleList(Block(channels, config.layers) for _ in range(config.layers))

        self.conv_pre_mag, self.conv_pre_pha = first(), first()
        self.norm_pre_mag, self.norm_pre_pha = (nn.LayerNorm(channels, eps=EPSILON) for _ in range(2))
        self.convnext_mag, self.convnext_pha = chain(), chain()
        self.norm_post_mag, self.norm_post_pha = (nn.LayerNorm(channels, eps=EPSILON) for _ in range(2))
        self.linear_post_mag = nn.Linear(channels, bins)
        self.linear_post_pha_r, self.linear_post_pha_i = nn.Linear(channels, bins), nn.Linear(channels, bins)

    def forward(self, amplitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        one = self.norm_pre_mag(self.conv_pre_mag(amplitude).transpose(1, 2)).transpose(1, 2)
        other = self.norm_pre_pha(self.conv_pre_pha(phase).transpose(1, 2)).transpose(1, 2)
        for loud, turn in zip(self.convnext_mag, self.convnext_pha, strict=True):
            one = one + other
            other = other + one
            one, other = loud(one), turn(other)
        wide = amplitude + self.linear_post_mag(self.norm_post_mag(one.transpose(1, 2))).transpose(1, 2)
        last = self.norm_post_pha(other.transpose(1, 2))
        return wide, torch.atan2(self.linear_post_pha_i(last), self.linear_post_pha_r(last)).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class BandExtension:
    """A loaded model. May be used by many threads at once."""

    config: BandConfig
    model: BandModel

    @torch.inference_mode()
    def extend(self, wave: Tensor) -> Tensor:
        """Waves B x N at 24 kHz -> B x 2 N float32 at 48 kHz. Raises EngineError `bad_wave` for another shape, fewer
        samples than a window has, too many, or values that are not finite."""
        if wave.dim() != 2 or not self.config.n_fft // 2 < wave.shape[1] <= MOST_SAMPLES:
            raise EngineError(
                "bad_wave", f"expected B x {self.config.n_fft // 2 + 1}..{MOST_SAMPLES} samples at 24 kHz"
            )
        if not bool(torch.isfinite(wave).all()):
            raise EngineError("bad_wave", "the wave holds NaN or infinity")
        count = 2 * wave.shape[1]
        narrow = sinc_resample(wave.float(), SOURCE_RATE, TARGET_RATE)[:, :count]
        frame = {
            "n_fft": self.config.n_fft, "hop_length": self.config.hop, "win_length": self.config.win,
            "window": window(self.config.win),
        }  # fmt: skip
        spectrum = torch.stft(narrow, return_complex=True, **frame)  # type: ignore[arg-type]
        amplitude, phase = self.model(torch.log(spectrum.abs() + FLOOR), spectrum.angle())
        return torch.istft(torch.polar(amplitude.exp(), phase), length=count, **frame)  # type: ignore[arg-type]


def mounted_here(folder: Path) -> bool:
    """Whether the model folder holds a band extension; its files are not opened."""
    return all((folder / PLACE / name).is_file() for name in ("config.json", WEIGHTS))


def load_extension(folder: Path) -> BandExtension:
    """The model folder's band extension. Raises CheckpointError: `not_mounted`, or what its files are refused for."""
    place = folder / PLACE
    if not mounted_here(folder):
        raise CheckpointError("not_mounted", f"{PLACE} is not in the model folder or incomplete: no band extension")
    config = BandConfig.read(place)
    found = read_weights(place / WEIGHTS, section="generator")
    return BandExtension(config, built(lambda: BandModel(config), found, torch.float32))
