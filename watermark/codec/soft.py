"""The soft detector: sound in, one value per moment and band out, knowing neither key nor payload.

Positive means "a chip centred here was probably raised", negative "lowered", near zero "cannot tell". It is a small
convolutional network (50 945 weights, trained by ``watermark.codec.train``), run here in numpy alone so that a
process that only asks questions never loads torch. Because it sees no key, the bound of ``watermark.codec.detect``
holds whatever it answers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from watermark.codec.grid import BANDS, HOP, Wave, band_energies, require_sound, spectra

#: The weights that ship with the package; the number rises with every training.
WEIGHTS = Path(__file__).with_name("weights") / "soft-3.safetensors"
#: Kernel in time and bands, and the dilation in time: the network sees 208 ms to either side and four bands.
KERNEL = (27, 9)
DILATION = 2
PLANES = 3
CHANNELS = 64
#: Frames of the local mean that is taken off: 200 ms, about three chips.
LOCAL_MEAN = 25
#: Frames done at a time, to bound memory (about 40 MB).
BLOCK = 320


def log_energies(wave: Wave) -> NDArray[np.float32]:
    """Band levels in dB (hops, BANDS) of a 32 kHz wave, (samples,) or (channels, samples); hop h is centred at sample
    256 h, and the energies of channels add up. Raises UnmarkableAudio."""
    energies = band_energies(spectra(wave, pad=HOP * 2))
    if wave.ndim == 2:
        energies = energies.sum(axis=0)
    require_sound(energies)
    return decibels(energies)


def decibels(energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Energies as levels in dB, with a floor far below any sound."""
    return np.asarray(10 * np.log10(energies + 1e-7), np.float32)


def planes(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network sees, (PLANES, hops, BANDS): level against the loudest cell, level against its own
    neighbourhood in time (both in steps that keep values within about 3), and the band's place."""
    level = np.clip((levels - levels.max()) / 15 + 3, -3, 3)
    local = 3 * (level - uniform_filter1d(level, LOCAL_MEAN, axis=0, mode="nearest"))
    place = np.broadcast_to(np.linspace(-1, 1, BANDS, dtype=np.float32), level.shape)
    return np.stack([level, local, place]).astype(np.float32)


@dataclass(frozen=True)
class Network:
    """Weights of the three layers: (taps, CHANNELS), (CHANNELS, CHANNELS), (CHANNELS,), and their biases."""

    w1: NDArray[np.float32]
    b1: NDArray[np.float32]
    w2: NDArray[np.float32]
    b2: NDArray[np.float32]
    w3: NDArray[np.float32]
    b3: NDArray[np.float32]

    def __call__(self, seen: NDArray[np.float32], *, first: int = 0, step: int = 1) -> NDArray[np.float32]:
        """Soft values (rows, BANDS) from planes (PLANES, hops, BANDS), at hops first, first + step, and so on."""
        reach, side = (KERNEL[0] - 1) // 2 * DILATION, KERNEL[1] // 2
        padded = np.pad(seen, ((0, 0), (reach, reach), (side, side)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, KERNEL[1]), axis=(1, 2))
        patches = patches[:, first::step, :, ::DILATION]  # (planes, rows, bands, 21, 7)
        out = np.empty((patches.shape[1], BANDS), np.float32)
        for start in range(0, len(out), BLOCK):
            part = patches[:, start : start + BLOCK]
            rows = part.transpose(1, 2, 0, 3, 4).reshape(-1, PLANES * KERNEL[0] * KERNEL[1])
            hidden = np.maximum(rows @ self.w1 + self.b1, 0)
            hidden = np.maximum(hidden @ self.w2 + self.b2, 0)
            out[start : start + BLOCK] = (hidden @ self.w3 + self.b3).reshape(-1, BANDS)
        return out


@functools.lru_cache(maxsize=1)
def network() -> Network:
    """The network that ships with the package."""
    from safetensors.numpy import load_file

    tensors = load_file(WEIGHTS)
    return Network(
        w1=np.ascontiguousarray(tensors["conv1.weight"].reshape(CHANNELS, -1).T),
        b1=tensors["conv1.bias"],
        w2=np.ascontiguousarray(tensors["conv2.weight"].reshape(CHANNELS, CHANNELS).T),
        b2=tensors["conv2.bias"],
        w3=tensors["conv3.weight"].reshape(CHANNELS),
        b3=tensors["conv3.bias"],
    )


def soft_values(wave: Wave) -> NDArray[np.float32]:
    """Soft values (hops, BANDS) of a 32 kHz wave. Raises UnmarkableAudio when it is silent."""
    return network()(planes(log_energies(wave)))
