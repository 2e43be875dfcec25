"""Embedding: every frame gets small gain changes in sixty bins, by the bits of its place in the block.

For inputs at other rates than 44.1 kHz only the mark is brought back to the file's rate; the sound itself is never
resampled. The sum passes a limiter, and 16-bit output is rounded down: both as the stock tool has it, so that files can
be compared sample by sample.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from watermark.codec.audiowmark import convolution
from watermark.codec.audiowmark.keys import Key
from watermark.codec.audiowmark.layout import BINS, FRAME, LEAD_IN, RATE, layout_of
from watermark.codec.errors import UnmarkableAudio

Sound = NDArray[np.float64]

#: Thousandths of the exponent by which bins change; 6 is quieter, 15 stands more.
DEFAULT_STRENGTH = 10.0
STRENGTHS = (1.0, 40.0)
#: Rates in Hz that are marked and read.
RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000)
#: Most channels of a file.
MAX_CHANNELS = 8
#: Seconds above which a sound must be cut first.
MAX_SECONDS = 3_600.0
#: Amplitude at and below which a bin is left alone: digital silence stays so.
SILENT = 1e-7
#: Level above which the limiter works, and seconds in its blocks.
CEILING, LIMITER_SECONDS = 0.99, 1.0
#: Share of a frame over which a frame's change is faded on each side of its edge.
FADE = 0.1

#: Periodic Hann, scaled so that a bin of the spectrum is the amplitude of a sinusoid.
WINDOW = (np.hanning(FRAME + 1)[:-1] / (FRAME / 4)).astype(np.float64)
_CHUNK = 1_024  # frames worked on at once: bounds memory, changes nothing
_OVERHANG = int(FADE * FRAME) + 1


def embed(
    wave: NDArray[np.floating], rate: int, message: bytes, key: Key, *, strength: float = DEFAULT_STRENGTH
) -> Sound:
    """``wave`` (floating point -1..1, (samples,) or (channels, samples)) with the mark; same shape, float64.

    ``message`` is 16 bytes. Raises UnmarkableAudio, BadMessage.
    """
    sound = checked(wave, rate)
    if not STRENGTHS[0] <= strength <= STRENGTHS[1]:
        raise UnmarkableAudio(f"a strength is {STRENGTHS[0]:g} to {STRENGTHS[1]:g}")
    schedule = _schedule(message, key)
    marked = sound.copy()
    for channel, samples in enumerate(sound):
        at_44k = samples if rate == RATE else soxr.resample(samples, rate, RATE, quality="VHQ")
        mark = mark_signal(at_44k, schedule, strength / 1000)
        if rate != RATE:
            mark = _of_length(soxr.resample(mark, RATE, rate, quality="VHQ"), len(samples))
        marked[channel] += mark
    limited = limit(marked, rate)
    return limited[0] if wave.ndim == 1 else limited


def checked(wave: NDArray[np.floating], rate: int) -> Sound:
    """``wave`` as float64 (channels, samples). Raises UnmarkableAudio, naming what is wrong."""
    array = np.asarray(wave)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise UnmarkableAudio("the sound must be floating point, (samples,) or (channels, samples)")
    sound = np.atleast_2d(array)
    if not 1 <= len(sound) <= MAX_CHANNELS:
        raise UnmarkableAudio(f"a sound has 1 to {MAX_CHANNELS} channels, not {len(sound)}")
    if rate not in RATES:
        raise UnmarkableAudio(f"a rate of {rate} Hz is not one of {', '.join(map(str, RATES))}")
    if not 0 < sound.shape[1] <= MAX_SECONDS * rate:
        raise UnmarkableAudio(f"{sound.shape[1] / rate:.0f} s of sound; more than 0 and at most {MAX_SECONDS:.0f} s")
    if not np.isfinite(sound).all():
        raise UnmarkableAudio("the sound holds samples that are not finite numbers")
    return sound.astype(np.float64)


def _schedule(message: bytes, key: Key) -> NDArray[np.int8]:
    """(2 * 2226, 81): the signs of an A block and the B block after it."""
    layout = layout_of(key)
    return np.concatenate(
        [layout.block_signs(convolution.encode(message, kind), is_b=kind == "B") for kind in ("A", "B")]
    )


def mark_signal(samples: Sound, schedule: NDArray[np.int8], depth: float) -> Sound:
    """What is added to ``samples`` (44.1 kHz, (samples,)): the change of each frame, faded into its neighbours.

    ``depth`` is d: a bin of amplitude |X| becomes |X|^(1-d) or |X|^(1+d), its phase kept.
    """
    count = -(-len(samples) // FRAME)
    padded = np.pad(samples, (0, count * FRAME - len(samples)))
    out = np.zeros(count * FRAME + 2 * _OVERHANG)
    bins = slice(BINS[0], BINS[-1] + 1)
    weight = _fade()
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        spectrum = np.fft.rfft(padded[first * FRAME : last * FRAME].reshape(-1, FRAME) * WINDOW, axis=1)[:, bins]
        signs = schedule[(np.arange(first, last) - LEAD_IN) % len(schedule)]
        amplitude = np.abs(spectrum)
        audible = (amplitude > SILENT) & (signs != 0)
        change = np.zeros_like(amplitude)
        change[audible] = amplitude[audible] ** (-depth * signs[audible]) - 1
        full = np.zeros((last - first, FRAME // 2 + 1), complex)
        full[:, bins] = spectrum * change
        own = np.fft.irfft(full, axis=1) * FRAME  # unnormalised, against the window's scale
        wide = np.concatenate([own[:, -_OVERHANG:], own, own[:, :_OVERHANG]], axis=1) * weight
        # Only neighbours overlap: even and odd frames are laid down apart.
        for parity in (0, 1):
            for frame, piece in zip(range(first + parity, last, 2), wide[parity::2], strict=True):
                out[frame * FRAME : frame * FRAME + piece.size] += piece
    return out[_OVERHANG : _OVERHANG + len(samples)]


def _fade() -> Sound:
    """Weights over a frame and _OVERHANG samples each side: flat inside, a raised cosine about each edge."""
    place = np.arange(-_OVERHANG, FRAME + _OVERHANG) / FRAME
    place = np.where(place > 0.5, 1 - place, place)
    ramp = np.clip(0.5 + place / (2 * FADE), 0, 1)
    return np.asarray((1 + np.cos(np.pi * ramp + np.pi)) / 2)


def limit(sound: Sound, rate: int) -> Sound:
    """``sound`` (channels, samples) kept under CEILING: a gain common to all channels that moves in straight lines
    between the edges of blocks of a second, low enough for the louder of the two blocks that meet there."""
    size = round(LIMITER_SECONDS * rate)
    total = sound.shape[1]
    starts = range(0, total, size)
    peaks = np.array([CEILING, *(max(CEILING, np.abs(sound[:, at : at + size]).max()) for at in starts), CEILING])
    edges = CEILING / np.maximum(peaks[:-1], peaks[1:])
    if (edges == 1).all():
        return sound
    out = sound.copy()
    for block, at in enumerate(starts):
        length = min(size, total - at)
        gain = edges[block] + np.arange(length) * ((edges[block + 1] - edges[block]) / length)
        out[:, at : at + length] *= gain
    return out


def to_pcm16(sound: Sound) -> NDArray[np.int16]:
    """16-bit samples, rounded down as the stock tool does."""
    return np.clip(np.floor(sound * 32768), -32768, 32767).astype(np.int16)


def _of_length(samples: Sound, length: int) -> Sound:
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))
