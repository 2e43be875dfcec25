"""Putting a mark into sound.

Every chip's band is turned up or down by a decibel or so, following the codeword of the payload; phase is untouched.
Only the difference is computed at 32 kHz and added to the original at its own rate, so the sound is neither
resampled nor low-passed. Embedding ends by reading its own mark: a mark that cannot be read is made stronger, and
when that does not help nothing comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from watermark.codec import grid
from watermark.codec.codeword import check_key, check_payload, codewords
from watermark.codec.detect import Detector
from watermark.codec.errors import MarkTooWeak, UnmarkableAudio
from watermark.codec.grid import CHIPS, EDGES, HOPS_PER_CHIP, RATE, WINDOW, Wave

#: Gain change in dB with which embedding starts: a mean noise-to-mask ratio of -2 to -4 dB on speech, and a read-back
#: score of 13 to 18 from three seconds.
DEFAULT_STRENGTH = 1.5
#: Greatest gain change in dB; above it the mark begins to be heard as a flutter.
MAX_STRENGTH = 3.2
#: Factor from one attempt to the next.
STRENGTH_STEP = 1.32
#: Score that must be read back from the marked sound. 10.7 would name one payload out of all 2**48 with a bound of
#: 1e-6 and 25 600 alignments; a little is added for what happens to the file later.
READ_BACK_SCORE = 12.0
#: Bands below this bin (906 Hz) get LOW_SHARE of the strength: the ear separates levels best there.
LOW_BIN = 29
LOW_SHARE = 0.7
#: Frames this many dB under the loudest one are left alone: a change there is heard or thrown away, never read.
GATE_DB = 50.0
#: Weights over five frames that smooth the steps between chips.
SMOOTHING = np.array([1, 3, 4, 3, 1], np.float32) / 12
#: Highest sample of the result; above it the whole sound is turned down, which the mark does not notice.
CEILING = 0.98

#: A passage of the marked sound through what will happen to it, e.g. encode and decode: (wave, rate) to (wave, rate).
Channel = Callable[[Wave, int], tuple[Wave, int]]


@dataclass(frozen=True)
class Marked:
    """A marked sound, the strength in dB that it took and the score that was read back."""

    wave: Wave
    strength: float
    score: float


def embed(wave: object, rate: int, payload: int, key: bytes, strength: float = DEFAULT_STRENGTH) -> Wave:
    """Return ``wave`` (float, (samples,), -1..1, rate one of grid.EMBED_RATES) carrying ``payload``; same length, rate.

    A result above CEILING is turned down as a whole. Raises UnmarkableAudio, MarkTooWeak, BadKey, BadPayload.
    """
    return embed_checked(wave, rate, payload, key, strength=strength).wave


def embed_checked(
    wave: object, rate: int, payload: int, key: bytes, *, strength: float = DEFAULT_STRENGTH,
    channel: Channel | None = None,
) -> Marked:  # fmt: skip
    """Like embed(), and tell what it took. With ``channel`` the mark is read back after that passage."""
    if not 0 < strength <= MAX_STRENGTH:
        raise ValueError(f"a strength lies in 0..{MAX_STRENGTH} dB")
    check_key(key)
    check_payload(payload)
    sound = grid.checked_wave(wave, rate, rates=grid.EMBED_RATES)
    _refuse_clipped(sound)
    host = grid.resampled(sound, rate, RATE)
    code = codewords(key, [payload])[0]
    detector = Detector(key)
    while True:
        difference = mark_signal(host, code, strength)
        result = sound + _fitted(grid.resampled(difference, RATE, rate), len(sound))
        peak = float(np.abs(result).max())
        if peak > CEILING:
            result = result * np.float32(CEILING / peak)
        heard, heard_rate = channel(result, rate) if channel else (result, rate)
        score = detector.score(heard, heard_rate, payload)
        if score >= READ_BACK_SCORE:
            return Marked(result, strength, score)
        if strength >= MAX_STRENGTH:
            raise MarkTooWeak(f"read back {score:.1f} at {strength:.1f} dB; {READ_BACK_SCORE} is needed")
        strength = min(strength * STRENGTH_STEP, MAX_STRENGTH)


def mark_signal(host: Wave, code: NDArray[np.float32], strength: float) -> Wave:
    """The difference (samples,) that marks ``host`` (32 kHz) with signs ``code`` (CHIPS, BANDS) at ``strength`` dB.

    Every chip is pushed alike. Pushing less where the sound already agrees with the code was tried: at equal
    noise-to-mask ratio it read back no better. Raises UnmarkableAudio for silence.
    """
    spectrum = grid.spectra(host, pad=WINDOW)
    # Frame k is centred at sample 256 k - 512, which is hop k - 2.
    chip = (np.arange(len(spectrum)) - 2) // HOPS_PER_CHIP
    gains = strength * code[chip % CHIPS]
    gains[:, EDGES[:-1] < LOW_BIN] *= LOW_SHARE
    energies = grid.band_energies(spectrum)
    grid.require_sound(energies)
    loudness = 10 * np.log10(energies.sum(axis=1) + 1e-12)
    gains[loudness < loudness.max() - GATE_DB] = 0
    gains = convolve1d(gains, SMOOTHING, axis=0, mode="nearest")
    factors = np.repeat(10 ** (gains / 20) - 1, np.diff(EDGES), axis=1)
    difference = np.zeros_like(spectrum)
    difference[:, EDGES[0] : EDGES[-1]] = spectrum[:, EDGES[0] : EDGES[-1]] * factors
    return grid.overlap_add(difference, pad=WINDOW, length=len(host))


def _refuse_clipped(sound: Wave) -> None:
    magnitude = np.abs(sound)
    if float(magnitude.max()) > 1.0:
        raise UnmarkableAudio("samples lie outside -1..1")
    share = float(np.mean(magnitude >= grid.FULL_SCALE))
    if share > grid.MAX_CLIPPED_SHARE:
        raise UnmarkableAudio(f"{share:.0%} of the samples stand at full scale: the sound is clipped")


def _fitted(wave: Wave, length: int) -> Wave:
    return wave[:length] if len(wave) >= length else np.pad(wave, (0, length - len(wave)))
