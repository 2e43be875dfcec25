"""The spoken label: a fixed sentence in a synthetic voice, and finding it again.

GB 45438-2025, 5.3 b asks for the AI word and the generated word, 5.3 e for a normal speaking rate; the sentence and the
allowed rates stand in the profile. A fixed recording needs no speech recogniser to be found: its band envelopes are
compared at many tempos, which names the language and measures the rate at which the words were really spoken. Another
voice, or another sentence, is not recognised.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from watermark.codec.grid import Wave
from watermark.labels.profile import SpokenLine

RATE = 16_000
#: Samples from one envelope frame to the next (10 ms) and in one frame.
HOP, FRAME = 160, 512
#: Edges in Hz of the bands: what even a telephone leaves.
EDGES_HZ = np.geomspace(220, 3_400, 21)
#: Frames this many dB under the loudest count as silence.
RANGE_DB = 50.0
#: Tempos that are tried, as factors of the rate at which the sentence was recorded.
TEMPOS = 1.03 ** np.arange(-24, 26)
#: Correlation of the envelopes from which the sentence counts as heard. Measured: 0.95 after every encoder of this
#: package, 0.85 in noise 20 dB down, 0.89 at half the tempo; 0.45 at most for other speech, the same voice included,
#: and for the same sentence in another voice.
HEARD = 0.60


@dataclass(frozen=True)
class Spoken:
    """A spoken label found: which language, begin and end in seconds, units a minute, and the correlation."""

    line: SpokenLine
    start_s: float
    end_s: float
    per_minute: float
    correlation: float

    @property
    def rate_is_legal(self) -> bool:
        """Whether the words are spoken at a rate that the profile allows (half a tempo step is forgiven)."""
        low, high = self.line.per_minute
        slack = float(np.sqrt(TEMPOS[1] / TEMPOS[0]))
        return low / slack <= self.per_minute <= high * slack


def words(line: SpokenLine, rate: int) -> Wave:
    """The sentence (samples,) at ``rate`` Hz, peak 0.9. Raises BadProfile when the asset is not the pinned one."""
    return np.asarray(soxr.resample(_recorded(line), RATE, rate), np.float32)


def detect_spoken(part: Wave, rate: int, lines: tuple[SpokenLine, ...]) -> Spoken | None:
    """The sentence of ``lines`` that is heard best in ``part`` (samples,), or None."""
    heard = _Heard.of(_envelopes(np.asarray(soxr.resample(part, rate, RATE), np.float32)))
    best: Spoken | None = None
    for line in lines:
        template = _envelopes(_recorded(line))
        for tempo in TEMPOS:
            stretched = _stretched(template, float(tempo))
            if len(stretched) > len(heard.levels):
                continue
            scores = _correlations(heard, stretched)
            at = int(scores.argmax())
            score = float(scores[at])
            if score >= HEARD and (best is None or score > best.correlation):
                seconds = len(stretched) * HOP / RATE
                start = at * HOP / RATE
                best = Spoken(line, start, start + seconds, line.count / seconds * 60, score)
    return best


@functools.cache
def _recorded(line: SpokenLine) -> Wave:
    wave, rate = soundfile.read(io.BytesIO(line.asset()), dtype="float32")
    return np.asarray(soxr.resample(wave, rate, RATE), np.float32)


def _envelopes(wave: Wave) -> NDArray[np.float32]:
    """Levels in dB over the floor, (frames, bands)."""
    count = max(0, (len(wave) - FRAME) // HOP + 1)
    if not count:
        return np.zeros((0, len(EDGES_HZ) - 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), axis=1)) ** 2
    edges = np.round(EDGES_HZ * FRAME / RATE).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    level = 10 * np.log10(bands + 1e-12)
    return np.maximum(level - level.max() + RANGE_DB, 0).astype(np.float32)


def _stretched(template: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    count = max(2, round(len(template) / tempo))
    at = np.linspace(0, len(template) - 1, count)
    low = np.minimum(at.astype(int), len(template) - 2)
    share = (at - low)[:, None].astype(np.float32)
    return template[low] * (1 - share) + template[low + 1] * share


@dataclass(frozen=True)
class _Heard:
    """Envelopes (frames, bands), and what every comparison with them needs: their spectrum and running sums."""

    levels: NDArray[np.float32]
    length: int
    spectrum: NDArray[np.complex64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, levels: NDArray[np.float32]) -> _Heard:
        length = next_fast_len(2 * max(1, len(levels)), real=True)  # room for a template as long as the sound
        sums = np.cumsum(np.vstack([np.zeros(levels.shape[1]), levels]), axis=0, dtype=np.float64)
        squares = np.cumsum(np.concatenate([[0.0], (levels.astype(np.float64) ** 2).sum(axis=1)]))
        return cls(levels, length, rfft(levels, length, axis=0), sums, squares)


def _correlations(heard: _Heard, template: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pearson's correlation, band means taken out, at every start: (frames - template frames + 1,)."""
    size = len(template)
    wanted = template - template.mean(axis=0)
    cross = (heard.spectrum * rfft(wanted, heard.length, axis=0).conj()).sum(axis=1)
    product = irfft(cross, heard.length)[: len(heard.levels) - size + 1]
    sums = heard.sums[size:] - heard.sums[:-size]
    energy = heard.squares[size:] - heard.squares[:-size] - (sums**2).sum(axis=1) / size
    floor = float(template.size)  # a decibel a cell: less than that is no speech
    return np.asarray(product / np.sqrt(np.maximum(energy, floor) * max(float((wanted**2).sum()), 1e-9)))
