"""Reading: every place where a block may begin gives a candidate message. Whether one is ours the caller's table says.

Unmarked sound gives candidates too. A message of 128 random bits is accepted when it stands in a table of issued ones
(or carries its own tag, see ids.py): the chance of a wrong answer is at most candidates x issued / 2**128.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import soxr
from numpy.typing import NDArray

from watermark.codec.audiowmark import convolution
from watermark.codec.audiowmark.embed import checked
from watermark.codec.audiowmark.keys import Key
from watermark.codec.audiowmark.layout import BINS, BLOCK_FRAMES, FRAME, PAIRS_PER_BIT, RATE, Layout, layout_of
from watermark.codec.audiowmark.sync import BLOCK_SAMPLES, Start, SyncSearch, levels

#: Blocks under which the ends of a sound are read as clips too: they may hold most of what there is.
CLIP_BELOW = 3.1
#: Frames by which the distance of two blocks may be off a whole number of blocks and they still belong together.
CHAIN_SLACK = 0.5
#: Seconds of sound that are searched at once, and by how much the parts overlap.
PART_SECONDS, OVERLAP_SAMPLES = 1_800, 2 * BLOCK_SAMPLES


@dataclass(frozen=True)
class Candidate:
    """A message read at ``start_s`` (seconds): sync quality (about 1 and more for a real one), decoding error (0.03 to
    0.3 real, 0.35 and more chance), the kind of pattern in the stock tool's words, its message's summed quality."""

    message: bytes
    start_s: float
    quality: float
    error: float
    kind: str
    rating: float = 0.0


def read(wave: NDArray[np.floating], rate: int, key: Key) -> list[Candidate]:
    """Candidates in ``wave`` ((samples,) or (channels, samples), -1..1), those of the best rated message first.

    Raises UnmarkableAudio.
    """
    sound = checked(wave, rate)
    if rate != RATE:
        sound = np.stack([soxr.resample(channel, rate, RATE) for channel in sound])
    layout = layout_of(key)
    found: list[Candidate] = []
    step = PART_SECONDS * RATE - OVERLAP_SAMPLES
    for begin in range(0, max(sound.shape[1] - OVERLAP_SAMPLES, 1), step):
        part = sound[:, begin : begin + PART_SECONDS * RATE]
        found += [replace(one, start_s=one.start_s + begin / RATE) for one in _read_part(part, layout)]
    return rated(found)


def rated(candidates: list[Candidate]) -> list[Candidate]:
    """Candidates with their messages' ratings: qualities summed, the merged pattern counted twice; best first."""
    sums: dict[bytes, float] = defaultdict(float)
    for one in candidates:
        sums[one.message] += one.quality * (2 if one.kind == "ALL" else 1)
    whole = [replace(one, rating=sums[one.message]) for one in candidates]
    return sorted(whole, key=lambda one: (-one.rating, one.message, one.kind == "ALL", one.start_s, len(one.kind)))


def _read_part(sound: NDArray[np.float64], layout: Layout) -> list[Candidate]:
    found = _whole_blocks(sound, layout)
    if sound.shape[1] < CLIP_BELOW * BLOCK_SAMPLES:
        found += _clip(sound, layout, 0)
        if sound.shape[1] > BLOCK_SAMPLES:
            found += _clip(sound, layout, sound.shape[1] - BLOCK_SAMPLES)
    return found


def _whole_blocks(sound: NDArray[np.float64], layout: Layout) -> list[Candidate]:
    last = sound.shape[1] - BLOCK_SAMPLES
    if last < 0:
        return []
    starts = SyncSearch(layout).find(sound, first=0, last=last)
    blocks = [(start, _raw_bits(sound, layout, start.sample)) for start in starts]
    found = [_decoded(raw, "A" if s.quality > 0 else "B", s.sample, abs(s.quality)) for s, raw in blocks]
    chained = [block for block in blocks if _follows(blocks[0][0], block[0])]
    chained.sort(key=lambda block: block[0].sample)
    for (one, raw), (other, other_raw) in pairwise(chained):
        if one.quality * other.quality < 0 and other.sample - one.sample < 1.5 * BLOCK_SAMPLES:
            pair = (raw, other_raw) if one.quality > 0 else (other_raw, raw)
            quality = (abs(one.quality) + abs(other.quality)) / 2
            found.append(_decoded(_interleaved(*pair), "AB", other.sample, quality))
    if len(chained) > 1:
        found.append(_merged(chained))
    return found


def _merged(blocks: list[tuple[Start, NDArray[np.float64]]]) -> Candidate:
    """All blocks of one chain, averaged by kind."""
    means = [
        np.mean([raw for start, raw in blocks if (start.quality > 0) is is_a] or [np.zeros(convolution.BLOCK_BITS)], 0)
        for is_a in (True, False)
    ]
    quality = float(np.mean([abs(start.quality) for start, _ in blocks]))
    return replace(_decoded(_interleaved(*means), "AB", 0, quality), kind="ALL")


def _follows(first: Start, other: Start) -> bool:
    """Whether ``other`` lies a whole number of blocks from ``first``, and is of the kind that should stand there."""
    blocks = (other.sample - first.sample) / BLOCK_SAMPLES
    whole = round(blocks)
    same_kind = first.quality * other.quality > 0
    return abs(blocks - whole) * BLOCK_FRAMES <= CHAIN_SLACK and same_kind is (whole % 2 == 0)


def _clip(sound: NDArray[np.float64], layout: Layout, at: int) -> list[Candidate]:
    """Candidates from one block's length of sound that begins anywhere in a pair of blocks."""
    piece = sound[:, at : at + BLOCK_SAMPLES]
    found = []
    # A pair that begins up to a block before the piece covers it, whichever kind of block it begins with.
    for start in SyncSearch(layout, pair=True).find(piece, first=-BLOCK_SAMPLES, last=0):
        raw = [_raw_bits(piece, layout, start.sample + block * BLOCK_SAMPLES) for block in (0, 1)]
        is_a = start.quality > 0
        pair = _interleaved(*(raw if is_a else raw[::-1]))
        found.append(replace(_decoded(pair, "AB", at, abs(start.quality)), kind="CLIP-A" if is_a else "CLIP-B"))
    return found


def _raw_bits(sound: NDArray[np.float64], layout: Layout, start: int) -> NDArray[np.float64]:
    """Soft values (858,) of a block's coded bits, in code order: positive for 1, zero where nothing is there.

    Each bin's level is taken against its mean in the frames before and after, which takes the speech off the mark.
    """
    at = start + FRAME * np.arange(-1, BLOCK_FRAMES + 1)
    there = (at >= 0) & (at + FRAME <= sound.shape[1])
    decibel = levels(sound, at)
    around = (decibel[:-2] + decibel[2:]) / np.maximum(there[:-2].astype(np.float32) + there[2:], 1)[:, None]
    lone = ~(there[:-2] | there[2:])
    change = np.where((there[1:-1] & ~lone)[:, None], decibel[1:-1] - around, 0)
    frame, up, down = layout.mix.T
    pairs = change[frame, up - BINS[0]] - change[frame, down - BINS[0]]
    raw = np.empty(convolution.BLOCK_BITS)
    raw[layout.bit_order] = pairs.reshape(-1, PAIRS_PER_BIT).sum(axis=1)
    return raw


def _interleaved(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([a, b], axis=1).ravel()


def _decoded(raw: NDArray[np.float64], kind: str, sample: int, quality: float) -> Candidate:
    scale = np.abs(raw).mean() or 1.0
    message, error = convolution.decode(0.5 * (raw / scale + 1), kind)
    return Candidate(message, max(sample, 0) / RATE, quality, error, kind)
