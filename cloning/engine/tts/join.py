"""Joining pieces of sound: cross-fades between packets, pauses between sentences, and whole numbers at the end.

Waves are float32 (samples,) in -1..1 unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

Wave = npt.NDArray[np.float32]

#: How far a packet may be moved to meet the one before it, in samples (upstream: 10 ms at 32 kHz).
SEARCH = 320
#: Largest 16-bit value: multiplied and rounded, so that full scale cannot wrap.
FULL_SCALE = 32767


def best_shift(tail: Wave, head: Wave) -> int:
    """Where in `head` the wave `tail` fits best: the shift with the largest normalised cross-correlation.

    len(head) >= len(tail) >= 1; the result is in 0..len(head) - len(tail). The same sums in the same precision as
    upstream's SOLA (synchronous overlap and add, Roucos and Wilgus 1985), so that ties fall alike.
    """
    t, h = torch.from_numpy(tail)[None, None], torch.from_numpy(head)[None, None]
    product = F.conv1d(h, t).flatten()
    energy = F.conv1d(h.square(), torch.ones_like(t)).flatten() + 1e-8
    return int((product / energy.sqrt()).argmax())


def faded(tail: Wave, body: Wave) -> Wave:
    """`body` with its first len(tail) samples cross-faded from `tail` (two halves of a Hann window)."""
    window = torch.hann_window(2 * len(tail)).numpy()
    out = body.copy()
    out[: len(tail)] = window[: len(tail)] * body[: len(tail)] + window[len(tail) :] * tail
    return out


class Joiner:
    """Packets in, continuous sound out: every packet's first `overlap` samples say again what the last one's end said.

    `compat` keeps an upstream quirk: the last packet is neither moved nor cross-faded, so that the shared part is heard
    twice.
    """

    def __init__(self, overlap: int, *, search: int = SEARCH, compat: bool = False) -> None:
        if overlap < 1 or search < 0:
            raise ValueError("the overlap must be at least one sample")
        self.overlap, self.search, self.compat = overlap, search, compat
        self._tail: Wave | None = None

    def add(self, packet: Wave, *, final: bool = False) -> Wave:
        """The sound that is settled now: all of it when `final`, else all but the last `overlap` samples."""
        body = packet
        if self._tail is not None and not (final and self.compat):
            body = self._joined(self._tail, packet)
        if final:
            self._tail = None
            return body
        kept = min(self.overlap, len(body))
        self._tail = body[len(body) - kept :]
        return body[: len(body) - kept]

    def flush(self) -> Wave:
        """The part held back, when nothing follows after all."""
        tail, self._tail = self._tail, None
        return np.zeros(0, np.float32) if tail is None else tail

    def _joined(self, tail: Wave, packet: Wave) -> Wave:
        if len(packet) < len(tail):
            # Too short to be searched in; it says again the end of what the tail says.
            tail = tail[: len(packet)] if not len(packet) else tail[-len(packet) :]
        if not len(tail):
            return packet
        shift = best_shift(tail, packet[: len(tail) + self.search])
        return faded(tail, packet[shift:])


def sola(packets: Sequence[Wave], overlap: int, *, search: int = SEARCH) -> Wave:
    """All packets joined with `overlap` shared samples (upstream's sola_algorithm)."""
    joiner = Joiner(overlap, search=search)
    parts = [joiner.add(packet, final=index == len(packets) - 1) for index, packet in enumerate(packets)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def to_int16(wave: Wave, *, compat: bool = False) -> npt.NDArray[np.int16]:
    """-1..1 -> 16-bit. Values beyond are cut, and +1 is 32767.

    `compat`: upstream's trunc(x * 32768), in which +1 wraps to -32768.
    """
    if compat:
        wide: npt.NDArray[np.int64] = np.trunc(wave.astype(np.float32) * np.float32(32768)).astype(np.int64)
        return wide.astype(np.int16)
    return np.rint(np.clip(wave, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def restored(batches: Sequence[Sequence[Wave]], order: Sequence[Sequence[int]]) -> list[Wave]:
    """Fragments as they were decoded, with the batches of sentence indices -> fragments in the order of the text."""
    placed = {
        index: wave for waves, row in zip(batches, order, strict=True) for wave, index in zip(waves, row, strict=True)
    }
    return [placed[index] for index in sorted(placed)]


def pause(rate: int, seconds: float) -> Wave:
    """Silence of int(rate * seconds) samples, as upstream counts them."""
    return np.zeros(int(rate * seconds), np.float32)


def laid_out(fragments: Iterable[Wave], rate: int, interval: float, *, compat: bool = False) -> Wave:
    """Fragments one after the other, `interval` seconds of silence between them.

    One gain for the whole when any sample is beyond full scale, so that neighbouring sentences keep their loudness.
    `compat`: every fragment is divided by its own peak when that is above 1, and silence follows the last one too.
    """
    gap = pause(rate, interval)
    parts: list[Wave] = []
    for fragment in fragments:
        if compat:
            parts += [at_most_full_scale(fragment), gap]
        else:
            parts += [gap, fragment] if parts else [fragment]
    return at_most_full_scale(np.concatenate(parts)) if parts else np.zeros(0, np.float32)


def at_most_full_scale(wave: Wave) -> Wave:
    """Divided by its peak if that is above 1."""
    peak = np.abs(wave).max(initial=np.float32(0))
    return wave / peak if peak > 1 else wave


def postprocess(
    batches: Sequence[Sequence[Wave]],
    rate: int,
    order: Sequence[Sequence[int]] | None,
    interval: float,
    *,
    compat: bool = False,
) -> npt.NDArray[np.int16]:
    """Batches of fragments -> 16-bit sound in the order of the text (upstream's audio_postprocess with `compat`).

    order: the batches of sentence indices, None when they are in order already.
    """
    fragments = [wave for row in batches for wave in row] if order is None else restored(batches, order)
    return to_int16(laid_out(fragments, rate, interval, compat=compat), compat=compat)
