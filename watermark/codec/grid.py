"""The time-frequency grid on which the mark lies, and the audio a codec accepts.

A mark is a set of small gain changes on *chips*: cells of 64 ms by one band. Thirty-two chips in time make a period
(2.048 s), which repeats to the end of the sound; forty-two bands from 312.5 to 7562.5 Hz make its height. Band edges
lie on FFT bins, so embedder and detector sum exactly the same bins: 26 bands of 125 Hz, the part a telephone passes,
then 16 of 250 Hz.
"""

from __future__ import annotations

import functools

import numpy as np
import soxr
from numpy.typing import NDArray

from watermark.codec.errors import UnmarkableAudio

Wave = NDArray[np.float32]

#: Rate in Hz at which the mark is made and read; other rates are brought here and the mark is taken back.
RATE = 32_000
#: Rates in Hz a recording to be searched may have.
ACCEPTED_RATES = (
    8_000,
    11_025,
    12_000,
    16_000,
    22_050,
    24_000,
    32_000,
    44_100,
    48_000,
    88_200,
    96_000,
    176_400,
    192_000,
)
#: Rates in Hz that embedding accepts: lower ones have no room for the upper bands.
EMBED_RATES = (16_000, 24_000, 32_000, 44_100, 48_000)
#: Samples in an analysis window: 32 ms, short against a chip and long enough to separate 125 Hz bands.
WINDOW = 1_024
#: Samples from one analysis frame to the next: 8 ms.
HOP = 256
#: Frames in a chip: 64 ms, about a phone; shorter chips drown in low-rate codecs.
HOPS_PER_CHIP = 8
#: Chips in a period: 2.048 s, so that a three-second clip holds every chip at least once.
CHIPS = 32
#: FFT bins (31.25 Hz each) at which bands begin and the last one ends: 312.5 Hz .. 3562.5 Hz .. 7562.5 Hz.
EDGES = np.concatenate([np.arange(10, 114, 4), np.arange(114, 243, 8)])
#: Number of bands.
BANDS = len(EDGES) - 1
#: Chips in one codeword.
CODE_LENGTH = CHIPS * BANDS
#: Most channels of a sound.
MAX_CHANNELS = 8
#: Seconds below which no mark can be proved to one in a million.
MIN_SECONDS = 0.5
#: Seconds above which a sound must be cut first, so that one request cannot take all memory.
MAX_SECONDS = 900.0
#: RMS in the marked bands (full scale = 1) under which a sound counts as silent; -66 dBFS.
SILENCE_RMS = 5e-4
#: Frames that must hold sound: 200 ms. Switching on a hum or a direct current sounds in the bands for less.
MIN_ACTIVE_HOPS = 25
#: Magnitude from which a sample counts as standing at full scale.
FULL_SCALE = 0.9995
#: Share of samples at full scale above which a sound counts as clipped and is not marked.
MAX_CLIPPED_SHARE = 0.01

_WINDOW = np.hanning(WINDOW + 1)[:-1].astype(np.float32)  # periodic Hann


def checked_wave(wave: object, rate: int, *, rates: tuple[int, ...], mono: bool = False) -> Wave:
    """Return ``wave`` as float32, (samples,) or (channels, samples), or raise UnmarkableAudio naming what is wrong."""
    array = np.asarray(wave)
    if array.ndim not in (1, 2) or (mono and array.ndim != 1):
        wanted = "mono, one dimension" if mono else "(samples,) or (channels, samples)"
        raise UnmarkableAudio(f"the sound must be {wanted}; it has shape {array.shape}")
    if array.ndim == 2 and not 1 <= array.shape[0] <= MAX_CHANNELS:
        raise UnmarkableAudio(f"{array.shape[0]} channels; 1 to {MAX_CHANNELS} come first, then the samples")
    if not np.issubdtype(array.dtype, np.floating):
        raise UnmarkableAudio(f"samples must be floating point in -1..1, not {array.dtype}")
    if rate not in rates:
        raise UnmarkableAudio(f"a rate of {rate} Hz is not one of {', '.join(map(str, rates))}")
    seconds = array.shape[-1] / rate
    if seconds < MIN_SECONDS:
        raise UnmarkableAudio(f"{seconds:.2f} s is too short; the least is {MIN_SECONDS} s")
    if seconds > MAX_SECONDS:
        raise UnmarkableAudio(f"{seconds:.0f} s is too long; the most is {MAX_SECONDS:.0f} s")
    if not np.isfinite(array).all():
        raise UnmarkableAudio("the sound holds samples that are not finite numbers")
    return array.astype(np.float32, copy=False)


def resampled(wave: Wave, rate: int, to: int) -> Wave:
    """``wave`` (..., samples) at another rate; the length is that of the same duration, rounded."""
    if rate == to:
        return wave
    length = round(wave.shape[-1] * to / rate)
    out = np.asarray(soxr.resample(wave.T, rate, to).T, dtype=np.float32)
    short = length - out.shape[-1]
    return out[..., :length] if short <= 0 else np.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, short)])


def framed(wave: Wave) -> NDArray[np.complex64]:
    """Short-time spectra (..., frames, WINDOW // 2 + 1) of ``wave`` (..., samples), from its first sample on."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW, axis=-1)[..., ::HOP, :]
    return np.asarray(np.fft.rfft(frames * _WINDOW, axis=-1), np.complex64)


def spectra(wave: Wave, *, pad: int) -> NDArray[np.complex64]:
    """Short-time spectra (..., frames, WINDOW // 2 + 1) of ``wave`` padded with ``pad`` zeros on both sides."""
    return framed(np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(pad, pad + HOP)]))


def added(spectrum: NDArray[np.complex64]) -> Wave:
    """Overlap-add of windowed frames (..., frames, bins) without weighting: (..., (frames - 1) * HOP + WINDOW)."""
    frames = np.fft.irfft(spectrum, n=WINDOW, axis=-1).astype(np.float32) * _WINDOW
    lead, count = frames.shape[:-2], frames.shape[-2]
    out = np.zeros((*lead, (count - 1) * HOP + WINDOW), np.float32)
    parts = WINDOW // HOP
    # Frames that are four hops apart do not overlap: four vector additions instead of one a frame.
    for first in range(min(parts, count)):
        group = frames[..., first::parts, :]
        size = group.shape[-2] * WINDOW
        out[..., first * HOP : first * HOP + size] += group.reshape(*lead, size)
    return out


#: What added() makes of unit frames wherever all four overlap: the sum of four squared Hann windows.
OVERLAP = 1.5


def overlap_add(spectrum: NDArray[np.complex64], *, pad: int, length: int) -> Wave:
    """The inverse of spectra() for ``pad`` of a WINDOW or more: weighted overlap-add with the same window."""
    return np.asarray(added(spectrum)[..., pad : pad + length] / OVERLAP, np.float32)


def band_energies(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Energy (..., frames, BANDS) of each band, from spectra (..., frames, bins)."""
    used = spectrum[..., EDGES[0] : EDGES[-1]]
    return np.asarray(np.add.reduceat(used.real**2 + used.imag**2, EDGES[:-1] - EDGES[0], axis=-1), np.float32)


def stretched_energies(power: NDArray[np.float32], stretch: float) -> NDArray[np.float32]:
    """Energy (frames, BANDS) of bands whose edges are multiplied by ``stretch``, from powers (frames, bins); an edge
    inside a bin shares it."""
    shares = _shares(stretch, power.shape[1])
    return np.asarray(power[:, : len(shares)] @ shares)


@functools.lru_cache(maxsize=256)
def _shares(stretch: float, bins: int) -> NDArray[np.float32]:
    """The part of each bin that lies in each stretched band, (bins up to the last that counts, BANDS)."""
    # Bin k covers k - 1/2 .. k + 1/2; at stretch 1 the edge before bin k lies at k - 1/2.
    place = np.clip((EDGES - 0.5) * stretch + 0.5, 0, bins)
    below = np.clip(place[None, :] - np.arange(int(np.ceil(place[-1])))[:, None], 0, 1)
    return np.diff(below, axis=1).astype(np.float32)


def require_sound(energies: NDArray[np.float32]) -> None:
    """Raise UnmarkableAudio when the marked bands hold less than MIN_ACTIVE_HOPS of sound. (frames, BANDS)."""
    # A frame of variance s^2 gives each bin sum(window^2) s^2 = 0.375 WINDOW s^2; two-sided spectrum, hence the 2.
    power = 2 * energies.sum(axis=1) / (0.375 * WINDOW * WINDOW)
    if int((power > SILENCE_RMS**2).sum()) < MIN_ACTIVE_HOPS:
        raise UnmarkableAudio("the sound is silent, or nearly always so, in the bands of the mark (312 to 7562 Hz)")
