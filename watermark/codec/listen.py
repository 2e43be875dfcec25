"""From sound to the vectors that are scored: soft values on a scale, folded over the period, window by window.

Nothing here knows a key or a payload; the bound of ``watermark.codec.detect`` rests on that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from watermark.codec import grid, soft
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.grid import BANDS, CHIPS, HOP, HOPS_PER_CHIP, RATE

Floats = NDArray[np.float32]

#: Seconds of the sliding windows that are scored besides the whole sound.
WINDOWS = (3.0, 5.0, 10.0, 20.0)
#: Hops from one window to the next: 0.512 s, a whole number of chips.
WINDOW_STEP = 64
#: Starts within a chip that are tried, in hops: every 16 ms, so that no mark is more than 8 ms off.
OFFSETS = (0, 2, 4, 6)
#: What the first pass over a long list tries: every other start, and windows a quarter of their length apart.
COARSE_OFFSETS = (0, 4)
COARSE_OVERLAP = 4
#: GSM 06.10 sends the wave form below 1.33 kHz alone and makes up the rest from it. A sound with nothing above 4 kHz
#: is therefore read in a second way as well: bands that begin above these Hz count less, down to BASEBAND_LEAST. On
#: twelve training voices the higher bands of that codec agree at less than a fifth of the lower ones' rate.
BASEBAND_HZ = (1_400.0, 2_000.0)
BASEBAND_LEAST = 0.2
#: A sound is narrow when bands that begin above this many Hz are this many dB under those of the telephone.
NARROW_HZ = 4_250.0
NARROW_DB = 45.0


@dataclass(frozen=True)
class Scale:
    """A change of the sound: ``pitch`` is what its frequencies, ``time`` what its durations were multiplied by."""

    pitch: float = 1.0
    time: float = 1.0


def _grid() -> tuple[Scale, ...]:
    """Resampled speed and tempo with pitch kept, both -10 to +10 % by 1 %; pitch with tempo kept, -100 to +100 cents
    by a sixth of a semitone. A step of 1 % drifts by 8 ms at the ends of 3 s."""
    rates = [1 + step / 100 for step in range(-10, 11) if step]
    cents = [step * 100 / 6 for step in range(-6, 7) if step]
    speeds = [Scale(rate, 1 / rate) for rate in rates]
    tempos = [Scale(1.0, 1 / rate) for rate in rates]
    return (*speeds, *tempos, *(Scale(2 ** (cent / 1_200), 1.0) for cent in cents))


def _baseband() -> Floats:
    """Weights (BANDS,) of the second way of reading a narrow sound."""
    begin = grid.EDGES[:-1] * (RATE / grid.WINDOW)
    return np.interp(begin, BASEBAND_HZ, (1.0, BASEBAND_LEAST)).astype(np.float32)


_BASEBAND = _baseband()
_ABOVE = grid.EDGES[:-1] * (RATE / grid.WINDOW) > NARROW_HZ
SAME = Scale()
GRID = _grid()
#: Neighbours of a grid point that are tried when it shows something, as factors on its time (and pitch, for speeds).
NEAR = (1.0, 0.995, 1.005)


def near(scale: Scale) -> list[Scale]:
    """``scale`` and its neighbours at half a grid step."""
    out = []
    for factor in NEAR:
        if scale.time == 1.0:
            out.append(Scale(scale.pitch * factor, 1.0))
        elif scale.pitch == 1.0:
            out.append(Scale(1.0, scale.time * factor))
        else:
            out.append(Scale(scale.pitch / factor, scale.time * factor))
    return out


@dataclass(frozen=True)
class Folded:
    """Unit vectors (vectors, CHIPS, BANDS), and of each its window (first, last hop on its scale) and offset."""

    vectors: Floats
    windows: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def alignments(self) -> int:
        """K: every rotation of every vector is scored."""
        return len(self.vectors) * CHIPS


@dataclass
class Heard:
    """A recording made ready: its power bin by bin, and soft values on each scale asked for. Raises UnmarkableAudio."""

    seconds: float
    _power: Floats
    _plain: Floats
    _values: dict[tuple[Scale, int], Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, wave: object, rate: int) -> Heard:
        """From a wave, (samples,) or (channels, samples), at one of grid.ACCEPTED_RATES."""
        sound = grid.checked_wave(wave, rate, rates=grid.ACCEPTED_RATES)
        peak = float(np.abs(sound).max())
        if peak == 0:
            raise UnmarkableAudio("the sound is silent")
        # The level is no evidence; a file turned down by 40 dB must not count as silence.
        sound = grid.resampled(sound, rate, RATE) * np.float32(0.5 / peak)
        spectra = grid.spectra(sound, pad=HOP * 2)
        energies = grid.band_energies(spectra)
        if sound.ndim == 2:
            energies = energies.sum(axis=0)
            # Other scales are looked for in the loudest channel only: they want finer bands than are kept of a sum.
            spectra = spectra[int(np.argmax(np.sum(np.square(sound), axis=1)))]
        grid.require_sound(energies)
        return cls(sound.shape[-1] / RATE, spectra.real**2 + spectra.imag**2, soft.decibels(energies))

    @property
    def weightings(self) -> Floats:
        """Weights of the bands in each way this sound is read, (ways, BANDS): one, or two where it is narrow."""
        energy = (10 ** (self._plain / 10)).mean(axis=0)
        narrow = energy[_ABOVE].sum() < 10 ** (-NARROW_DB / 10) * energy[~_ABOVE].sum()
        return np.stack([np.ones(BANDS, np.float32), _BASEBAND][: 1 + int(narrow)])

    @property
    def between(self) -> Floats:
        """Weights (1, BANDS) halfway between the ways this sound is read, for a pass that only chooses candidates."""
        return np.exp(np.log(self.weightings).mean(axis=0, keepdims=True))

    def hops(self, scale: Scale) -> int:
        """Number of hops of the recording on ``scale``: a sound made longer is read in longer strides."""
        return int((len(self._plain) - 1) / scale.time) + 1

    def levels(self, scale: Scale = SAME) -> Floats:
        """Band levels in dB (hops, BANDS)."""
        plain = self._plain
        if scale.pitch != 1.0:
            plain = soft.decibels(grid.stretched_energies(self._power, scale.pitch))
        if scale.time == 1.0:
            return plain
        place = np.arange(self.hops(scale)) * scale.time
        low = np.minimum(place.astype(int), len(plain) - 2)
        share = (place - low).astype(np.float32)[:, None]
        return np.asarray(plain[low] * (1 - share) + plain[low + 1] * share, np.float32)

    def chips(self, scale: Scale, offset: int) -> Floats:
        """Soft values (chips, BANDS) of chips centred at hops offset, offset + 8, and so on."""
        if (scale, offset) not in self._values:
            seen = soft.planes(self.levels(scale))
            for start in OFFSETS if scale == SAME else {offset, *COARSE_OFFSETS}:
                if (scale, start) not in self._values:
                    self._values[scale, start] = soft.network()(seen, first=start, step=HOPS_PER_CHIP)
        return self._values[scale, offset]

    def windows(self, scale: Scale, *, coarse: bool) -> list[tuple[int, int]]:
        """Sliding windows shorter than the whole, as (first, last) hops."""
        hops, windows = self.hops(scale), []
        for seconds in WINDOWS:
            size = round(seconds * RATE / HOP)
            if size < hops:
                step = (
                    max(WINDOW_STEP, size // COARSE_OVERLAP // HOPS_PER_CHIP * HOPS_PER_CHIP) if coarse else WINDOW_STEP
                )
                starts = list(range(0, hops - size, step))
                windows += [(start, start + size) for start in [*starts, hops - size]]
        return windows

    def whole(self, scale: Scale = SAME) -> list[tuple[int, int]]:
        """The one window that is everything."""
        return [(0, self.hops(scale))]

    def folded(
        self,
        scale: Scale,
        windows: list[tuple[int, int]],
        offsets: tuple[int, ...] = OFFSETS,
        ways: Floats | None = None,
    ) -> Folded:
        """The periods of each window and offset added up in each way of reading (``weightings``, or ``ways``), every
        vector brought to unit length.

        A chip is counted at its own place in the sound, not in the window: a rotation tells them apart anyway.
        """
        vectors = np.zeros((len(windows), len(offsets), CHIPS, BANDS), np.float32)
        for column, offset in enumerate(offsets):
            chips = self.chips(scale, offset)
            for row, (first, last) in enumerate(windows):
                low = max(0, -(-(first - offset) // HOPS_PER_CHIP))
                high = max(low, -(-(last - offset) // HOPS_PER_CHIP))
                vectors[row, column] = _period(chips[low:high], low)
        ways = self.weightings if ways is None else ways
        flat = (vectors * ways[:, None, None, None]).reshape(-1, CHIPS, BANDS)
        norms = np.sqrt((flat**2).sum(axis=(1, 2), keepdims=True))
        spans = np.repeat(np.array(windows, np.int64).reshape(-1, 2), len(offsets), axis=0)
        starts = np.tile(np.array(offsets, np.int64), len(windows))
        return Folded(flat / np.maximum(norms, 1e-12), np.tile(spans, (len(ways), 1)), np.tile(starts, len(ways)))


def _period(chips: Floats, first: int) -> Floats:
    """Chips (chips, BANDS), of which the first is number ``first``, added up over the period: (CHIPS, BANDS)."""
    lead = first % CHIPS
    padded = np.zeros((-(-(lead + len(chips)) // CHIPS) * CHIPS, BANDS), np.float32)
    padded[lead : lead + len(chips)] = chips
    return np.asarray(padded.reshape(-1, CHIPS, BANDS).sum(axis=0))
