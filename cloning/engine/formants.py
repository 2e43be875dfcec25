"""A formant postfilter: what a vocoder says with its formants a little higher and the valleys between them deeper.

A model that gives the mean of what could be said gives spectra that are too flat between bands, and flat formants are
what a listener misses first. So the cepstrum of each frame's mel bands is stretched: every coefficient but the
loudness and the tilt, up to ORDER, is made longer by a share (cepstral postfiltering of synthetic speech: Yoshimura et
al. 2005; the variance that averaging takes: Toda and Tokuda 2007). A frame keeps its energy and its phases.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cloning.engine.config import AudioConfig
from cloning.engine.features.spectrogram import mel_filters, window

#: Mel bands of the envelope, from LOWEST_HZ to half the rate: wide enough that harmonics do not show.
BANDS = 28
LOWEST_HZ = 50.0
#: Coefficients of the bands' cepstrum that are stretched: behind loudness (0) and tilt (1), before what is finer than
#: formants.
FIRST, ORDER = 2, 14
#: Added to a band's power, some 85 dB below a tone at full scale: silence has no formants.
FLOOR = 1e-4
#: Frames of the model on either side that a sample depends on: half a window to be heard, half a window to be said.
REACH_FRAMES = 2

Wave = npt.NDArray[np.float32]


def sharpen(pcm: Wave, audio: AudioConfig, share: float) -> Wave:
    """Sound N samples at ``audio.sample_rate``, -1..1 -> the same with formants stretched by ``share``, 0..1; 0: as it
    was. Two frames of ``audio.hop`` are one window, so that pieces cut between frames are filtered as a whole would be.
    """
    if share == 0 or not len(pcm):
        return pcm
    size, hop = 2 * audio.hop, audio.hop // 2
    bands, stretch = _matrices(audio.sample_rate, size)
    wave = torch.from_numpy(pcm)
    hann = window(size)
    spectrum = torch.stft(wave, size, hop, window=hann, pad_mode="constant", return_complex=True)
    power = spectrum.abs().square()
    gains = torch.exp(0.5 * share * (stretch @ torch.log(bands @ power + FLOOR)))
    # What the filter adds to a frame's energy is taken from all of it.
    level = torch.sqrt(power.sum(0) / (power * gains.square()).sum(0).clamp(min=1e-9))
    filtered = torch.istft(spectrum * gains * level, size, hop, window=hann, length=len(pcm))
    sharp: Wave = filtered.numpy()
    return sharp


@functools.lru_cache(maxsize=4)
def _matrices(rate: int, size: int) -> tuple[Tensor, Tensor]:
    """Power of ``size // 2 + 1`` bins -> mean power of the bands; log power of the bands -> what a whole share adds to
    each bin's. Shared: never write into them."""
    filters = mel_filters(rate, size, BANDS, LOWEST_HZ, rate / 2)
    bands = filters / filters.sum(1, keepdim=True)
    places = (bands @ torch.arange(size // 2 + 1).float()).numpy()
    number = torch.arange(BANDS)
    cosines = torch.cos(math.pi * number[:, None] * (number + 0.5) / BANDS) * math.sqrt(2 / BANDS)
    stretched = cosines[FIRST:ORDER].T @ cosines[FIRST:ORDER]
    # From the bands' middles to the bins between them, straight.
    between = np.stack([np.interp(np.arange(size // 2 + 1), places, row) for row in np.eye(BANDS)], axis=1)
    return bands, torch.from_numpy(between).float() @ stretched
