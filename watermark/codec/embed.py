"""Putting a mark into sound.

Every chip's band is turned up or down by a decibel or so, following the codeword of the payload; phase is untouched.
Only the difference is computed at 32 kHz and added to the original at its own rate, so the sound is neither
resampled nor low-passed. Embedding ends by reading its own mark: a mark that cannot be read is made stronger, and
when that does not help nothing comes back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.codec import grid, soft
from watermark.codec.codeword import check_key, check_payload, codewords
from watermark.codec.detect import Detector
from watermark.codec.errors import MarkTooWeak, UnmarkableAudio
from watermark.codec.grid import CHIPS, HOPS_PER_CHIP, RATE, Wave
from watermark.codec.loudness import MAX_STRENGTH, check_strength
from watermark.codec.stream import MarkSignal, MarkStream

#: Strength in dB with which embedding starts: turned bands change by 0.5 to 1.8 times as much, as the sound hides it,
#: times loudness.SHARES. A mean noise-to-mask ratio of about -2.8 dB on speech.
DEFAULT_STRENGTH = 2.0
#: Factor from one attempt to the next.
STRENGTH_STEP = 1.32
#: Score that must be read back from the marked sound. 10.5 would name one payload out of all 2**48 with a bound of
#: 1e-6 and 25 600 alignments; a little is added for what happens to the file later.
READ_BACK_SCORE = 12.0

#: A passage of the marked sound through what will happen to it, e.g. encode and decode: (wave, rate) to (wave, rate).
Channel = Callable[[Wave, int], tuple[Wave, int]]


@dataclass(frozen=True)
class Marked:
    """A marked sound, the strength in dB that it took and the score that was read back."""

    wave: Wave
    strength: float
    score: float


def embed(wave: object, rate: int, payload: int, key: bytes, strength: float = DEFAULT_STRENGTH) -> Wave:
    """Return ``wave`` (float, (samples,) or (channels, samples), -1..1, rate one of grid.EMBED_RATES) carrying
    ``payload`` in every channel; same shape and rate. No sample rises over 0.98 or over what it was.

    Raises UnmarkableAudio, MarkTooWeak, BadKey, BadPayload.
    """
    return embed_checked(wave, rate, payload, key, strength=strength).wave


def embed_batch(
    waves: Sequence[object], rate: int, payloads: Sequence[int], key: bytes, strength: float = DEFAULT_STRENGTH
) -> list[Wave]:
    """embed() for several sounds, each with its payload, on all cores; in order. Raises ValueError as well, when
    there are not as many payloads as sounds; the first refusal ends the batch."""
    if len(waves) != len(payloads):
        raise ValueError(f"{len(waves)} sounds and {len(payloads)} payloads")
    if not waves:
        return []
    with ThreadPoolExecutor(min(len(waves), os.cpu_count() or 1)) as pool:
        return list(
            pool.map(lambda pair: embed(pair[0], rate, pair[1], key, strength), zip(waves, payloads, strict=True))
        )


def embed_stream(
    rate: int, payload: int, key: bytes, strength: float = DEFAULT_STRENGTH, *, channels: int = 1
) -> MarkStream:
    """A stream that marks chunks as they come, sample for sample what embed() gives at that strength."""
    return MarkStream(rate, payload, key, strength=strength, channels=channels)


def embed_checked(
    wave: object, rate: int, payload: int, key: bytes, *, strength: float = DEFAULT_STRENGTH,
    channel: Channel | None = None,
) -> Marked:  # fmt: skip
    """Like embed(), and tell what it took. With ``channel`` the mark is read back after that passage.

    Without one it is read where it was put, so the score is that of a single alignment.
    """
    check_strength(strength)
    check_key(key)
    check_payload(payload)
    sound = grid.checked_wave(wave, rate, rates=grid.EMBED_RATES)
    _refuse_clipped(sound)
    grid.require_sound(_energies(sound, rate))
    while True:
        result = marked_once(sound, rate, payload, key, strength)
        if channel:
            score = Detector(key).score(*channel(result, rate), payload)
        else:
            score = aligned_score(result, rate, payload, key)
        if score >= READ_BACK_SCORE:
            return Marked(result, strength, score)
        if strength >= MAX_STRENGTH:
            raise MarkTooWeak(f"read back {score:.1f} at {strength:.1f} dB; {READ_BACK_SCORE} is needed")
        strength = min(strength * STRENGTH_STEP, MAX_STRENGTH)


def marked_once(sound: Wave, rate: int, payload: int, key: bytes, strength: float) -> Wave:
    """``sound`` with a mark of exactly ``strength`` dB, not read back."""
    stream = MarkStream(rate, payload, key, strength=strength, channels=1 if sound.ndim == 1 else len(sound))
    return np.concatenate([stream.push(sound), stream.flush()], axis=-1)


def aligned_score(wave: Wave, rate: int, payload: int, key: bytes) -> float:
    """tau of ``payload`` in a sound that still begins where the mark does: chip j is centred at hop 8 j + 4."""
    sound = grid.resampled(wave, rate, RATE)
    peak = float(np.abs(sound).max())
    seen = soft.planes(soft.log_energies(sound * np.float32(0.5 / peak)))
    values = soft.network()(seen, first=HOPS_PER_CHIP // 2, step=HOPS_PER_CHIP)
    folded = np.pad(values, ((0, -len(values) % CHIPS), (0, 0))).reshape(-1, CHIPS, grid.BANDS).sum(axis=0)
    code = codewords(key, [payload])[0]
    return float((folded * code).sum() / max(float(np.sqrt((folded**2).sum())), 1e-12))


def mark_signal(host: Wave, code: NDArray[np.float32], strength: float) -> Wave:
    """The difference that marks ``host`` (32 kHz, (samples,)) with signs ``code`` (CHIPS, BANDS) at ``strength`` dB.

    Raises UnmarkableAudio for silence.
    """
    grid.require_sound(_energies(host, RATE))
    return MarkSignal(code, strength, channels=1)(host[None], last=True)[0, : len(host)]


def _energies(sound: Wave, rate: int) -> NDArray[np.float32]:
    energies = grid.band_energies(grid.spectra(grid.resampled(sound, rate, RATE), pad=grid.HOP * 2))
    return np.asarray(energies.sum(axis=0) if sound.ndim == 2 else energies)


def _refuse_clipped(sound: Wave) -> None:
    magnitude = np.abs(sound)
    if float(magnitude.max()) > 1.0:
        raise UnmarkableAudio("samples lie outside -1..1")
    share = float(np.mean(magnitude >= grid.FULL_SCALE))
    if share > grid.MAX_CLIPPED_SHARE:
        raise UnmarkableAudio(f"{share:.0%} of the samples stand at full scale: the sound is clipped")
