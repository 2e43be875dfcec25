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
#: Rows done at a time: what one step makes (about 3 MB) stays near the processor.
BLOCK = 64
#: Places on the circle of bands over which the first layer is transformed, and its frequencies.
TURN = BANDS + KERNEL[1] // 2
FREQUENCIES = TURN // 2 + 1

Floats = NDArray[np.float32]
#: The last plane at every hop: the band's place.
PLACE = np.linspace(-1, 1, BANDS, dtype=np.float32)


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
    return np.stack([level, local, np.broadcast_to(PLACE, level.shape)]).astype(np.float32)


def _waves() -> tuple[Floats, Floats]:
    """The discrete Fourier transform over bands as real matrices: there (BANDS, FREQUENCIES * 2) and back
    (BANDS, FREQUENCIES * 2), real and imaginary part of each frequency side by side. TURN is long enough for a kernel
    that reaches over the first or last band to meet zeros."""
    angle = 2 * np.pi / TURN * np.outer(np.arange(BANDS), np.arange(FREQUENCIES))
    share = np.full(FREQUENCIES, 2.0)
    share[[0, -1]] = 1  # frequency zero and half the turn have no twin
    there = np.stack([np.cos(angle), -np.sin(angle)], axis=2)
    back = np.stack([np.cos(angle), -np.sin(angle)], axis=2) * share[:, None] / TURN
    return there.reshape(BANDS, -1).astype(np.float32), back.reshape(BANDS, -1).astype(np.float32)


_THERE, _BACK = _waves()


@dataclass(frozen=True)
class Network:
    """Weights of the three layers: (taps, CHANNELS), (CHANNELS, CHANNELS), (CHANNELS,), and their biases.

    The first layer is done band frequency by band frequency, where its kernel over bands is one factor: a third of the
    work of the sum itself, and equal to it to rounding.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: Floats

    def __call__(self, seen: Floats, *, first: int = 0, step: int = 1) -> Floats:
        """Soft values (rows, BANDS) from planes (PLANES, hops, BANDS), at hops first, first + step, and so on."""
        hops = seen.shape[1]
        out = np.empty((len(range(first, hops, step)), BANDS), np.float32)
        if not len(out):
            return out
        if step % DILATION:  # taps of neighbouring rows lie on other hops
            for start in range(min(DILATION, len(out))):
                out[start::DILATION] = self(seen, first=first + start * step, step=step * DILATION)
            return out
        # What does not change from hop to hop costs no product for every row.
        steady = int((seen[-1] == PLACE).all())
        kernels, moving = self._kernels[steady], seen[: PLANES - steady]
        reach = (KERNEL[0] - 1) // 2 * DILATION
        turned = np.zeros((FREQUENCIES, hops + 2 * reach, 2 * len(moving)), np.float32)
        turned[:, reach : reach + hops] = (
            (moving.reshape(-1, BANDS) @ _THERE).reshape(-1, hops, FREQUENCIES, 2).transpose(2, 1, 0, 3).reshape(
                FREQUENCIES, hops, -1
            )
        )  # fmt: skip
        taps = np.ascontiguousarray(turned[:, first::DILATION]).reshape(FREQUENCIES, -1)
        size = kernels.shape[2]
        rows = np.lib.stride_tricks.sliding_window_view(taps, size, axis=1)
        rows = rows[:, :: step // DILATION * 2 * len(moving)]
        still = self._still if steady else np.zeros((KERNEL[0] + 1, BANDS, CHANNELS), np.float32)
        for start in range(0, len(out), BLOCK):
            part = np.ascontiguousarray(rows[:, start : min(start + BLOCK, len(out))])
            count = part.shape[1]
            hidden = (_BACK @ np.matmul(part[:, None], kernels).reshape(2 * FREQUENCIES, -1)).reshape(BANDS, count, -1)
            # Taps before the first hop and after the last see nothing at all.
            middle = first + step * np.arange(start, start + count)
            low = np.clip(-((middle - reach) // DILATION), 0, KERNEL[0])
            high = np.clip((hops - 1 - middle + reach) // DILATION + 1, 0, KERNEL[0])
            hidden += (still[-1] - still[0] + self.b1)[:, None]
            for row in np.flatnonzero((low > 0) | (high < KERNEL[0])):
                hidden[:, row] += still[high[row]] - still[low[row]] - still[-1] + still[0]
            hidden = np.maximum(hidden, 0, out=hidden).reshape(-1, CHANNELS)
            hidden = hidden @ self.w2 + self.b2
            hidden = np.maximum(hidden, 0, out=hidden)
            out[start : start + count] = (hidden @ self.w3 + self.b3).reshape(BANDS, count).T
        return out

    @functools.cached_property
    def _kernels(self) -> tuple[Floats, Floats]:
        """The first layer's factors (FREQUENCIES, 2, KERNEL[0] * planes * 2, CHANNELS) of the real and the imaginary
        part: of all planes, and of all but the last."""
        weights = self.w1.reshape(PLANES, *KERNEL, CHANNELS).transpose(1, 0, 2, 3)
        angle = 2 * np.pi / TURN * np.outer(np.arange(FREQUENCIES), np.arange(KERNEL[1]) - KERNEL[1] // 2)
        real, imaginary = (np.einsum("fj,tpjc->ftpc", wave, weights) for wave in (np.cos(angle), np.sin(angle)))
        pairs = np.stack([np.stack([real, -imaginary], axis=3), np.stack([imaginary, real], axis=3)], axis=1)
        shape = FREQUENCIES, 2, -1, CHANNELS
        full, less = (pairs[:, :, :, :count].reshape(shape).astype(np.float32) for count in (PLANES, PLANES - 1))
        return np.ascontiguousarray(full), np.ascontiguousarray(less)

    @functools.cached_property
    def _still(self) -> Floats:
        """What PLACE at every hop adds to the first layer up to each tap: (KERNEL[0] + 1, BANDS, CHANNELS), sums."""
        near = np.lib.stride_tricks.sliding_window_view(np.pad(PLACE, KERNEL[1] // 2), KERNEL[1])
        weights = self.w1.reshape(PLANES, *KERNEL, CHANNELS)[-1].transpose(1, 0, 2).reshape(KERNEL[1], -1)
        sums = np.zeros((KERNEL[0] + 1, BANDS, CHANNELS), np.float32)
        np.cumsum((near @ weights).reshape(BANDS, KERNEL[0], CHANNELS).transpose(1, 0, 2), axis=0, out=sums[1:])
        return sums


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
