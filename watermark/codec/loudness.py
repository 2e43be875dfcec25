"""How strongly each band may be turned at each moment, by what the sound itself hides.

Turning a band by g dB adds an error 20 log10(10^(g/20) - 1) dB under the band. What may be added without being heard
is the masked threshold of the moment: two-slope spreading over Bark and an offset halfway between tonal and noise-like
(the noise-to-mask ratio of ``watermark.codec.quality`` measures against the same). Bands that a louder neighbour hides
are turned more, bands that stand alone less, and the mean error against the threshold stays where ``strength`` put it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watermark.codec.grid import EDGES, RATE, WINDOW

#: Greatest strength in dB; above it the mark begins to be heard as a flutter.
MAX_STRENGTH = 4.0
#: Factors on the strength of bands that begin below these bins (906 and 1406 Hz). GSM keeps the wave form only below
#: 1.33 kHz, and what is added there costs the mean noise-to-mask ratio least; below 906 Hz the ear separates levels
#: best, and intelligibility (STOI) suffers first. Against 0.7 below 906 Hz and 2.1 dB elsewhere, at the same ratio,
#: GSM leaves a tenth more of the mark in ten seconds and other codecs as much as before (ten clips, five voices).
SHARES = ((29, 0.95), (45, 1.4))
#: Frames this many dB under the loudest one so far are left alone: a change there is heard or thrown away, never read.
GATE_DB = 50.0
#: Spread of masking in dB a Bark towards higher and towards lower bands.
SLOPES = (12.0, 27.0)
#: How far the strength follows the threshold: 0 is one strength for all, 1 fills every band up to it. Against one
#: strength for all at the same noise-to-mask ratio, 0.8 reads back 21 % more as it stands and 12 % more after Opus at
#: 16 kbit/s (five clips of 5 s by five synthetic voices).
FOLLOW = 0.8
#: Least and greatest factor by which masking changes a band's strength.
LIMITS = (0.5, 1.8)
#: Energy that counts as nothing: keeps the ratio of two empty bands at one.
FLOOR = 1e-4


def check_strength(strength: float) -> float:
    """Return ``strength``; raise ValueError unless it lies in 0..MAX_STRENGTH dB."""
    if not 0 < strength <= MAX_STRENGTH:
        raise ValueError(f"a strength lies in 0..{MAX_STRENGTH} dB")
    return strength


def bark(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Critical-band rate (Zwicker and Terhardt 1980)."""
    return np.asarray(13 * np.arctan(0.00076 * hertz) + 3.5 * np.arctan((hertz / 7_500) ** 2))


def _spread() -> NDArray[np.float32]:
    """Weights (BANDS from, BANDS to) with which energy in one band masks another, offset included."""
    middle = bark((EDGES[:-1] + EDGES[1:]) / 2 * RATE / WINDOW)
    above = middle[None, :] - middle[:, None]
    slope = np.where(above > 0, SLOPES[0] * above, -SLOPES[1] * above)
    return np.asarray(10 ** (-(slope + 10 + middle[None, :] / 2) / 10), np.float32)


_SPREAD = _spread()
_SHARE = np.select([EDGES[:-1] < end for end, _ in SHARES], [share for _, share in SHARES], 1.0).astype(np.float32)


def gains(
    energies: NDArray[np.float32], strength: float, loudest: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unsigned gains in dB (channels, frames, BANDS) for band energies of that shape, and the loudest level so far
    (channels, 1), which goes into the next call."""
    level = 10 * np.log10(energies.sum(axis=-1) + 1e-12)
    so_far = np.maximum(np.maximum.accumulate(level, axis=-1), loudest)
    # The threshold against that of the band alone: 1 where nothing else masks it.
    room = (energies @ _SPREAD + FLOOR) / (energies + FLOOR) / np.diag(_SPREAD)
    out = strength * _SHARE * LIMITS[0] * np.clip(room ** (FOLLOW / 2), 1.0, LIMITS[1] / LIMITS[0])
    out[level < so_far - GATE_DB] = 0
    return out, so_far[..., -1:]
