"""Where the bits of a block lie: which frame and which pairs of bins carry what, for a key.

A block is 2226 frames of 1024 samples at 44.1 kHz (51.69 s): 510 sync frames and 1716 data frames, scattered. Blocks of
type A and B alternate; a file begins with the last 250 frames of a B block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from watermark.codec.audiowmark import keys
from watermark.codec.audiowmark.convolution import BLOCK_BITS
from watermark.codec.audiowmark.keys import Key

#: Rate in Hz at which the mark is made and read.
RATE = 44_100
#: Samples in a frame; frames do not overlap.
FRAME = 1_024
#: FFT bins that may carry the mark: 861 to 4307 Hz.
BINS = range(20, 101)
#: Bins raised, and bins lowered, in each frame.
PAIRS = 30
#: Bits of the pattern that shows where a block begins, and frames that carry each.
SYNC_BITS, SYNC_FRAMES_PER_BIT = 6, 85
SYNC_FRAMES = SYNC_BITS * SYNC_FRAMES_PER_BIT
DATA_FRAMES = 2 * BLOCK_BITS
BLOCK_FRAMES = SYNC_FRAMES + DATA_FRAMES
#: Up/down pairs that carry one code bit, spread over the block.
PAIRS_PER_BIT = DATA_FRAMES * PAIRS // BLOCK_BITS
#: Frames of a B block with which a file begins.
LEAD_IN = 250


@dataclass(frozen=True)
class Layout:
    """All tables of one key. Bins are counted from BINS[0]: 0 .. 80."""

    key: Key

    def up_down(self, frame: int, stream: int) -> tuple[list[int], list[int]]:
        """Bins (20 .. 100) that a logical frame raises and lowers for a bit of 1."""
        order = keys.shuffled(self.key, frame, stream, BINS)
        return order[:PAIRS], order[PAIRS : 2 * PAIRS]

    @cached_property
    def bit_order(self) -> NDArray[np.intp]:
        """(858,): transmitted bit i is coded bit bit_order[i]."""
        return np.array(keys.shuffled(self.key, 0, keys.BIT_ORDER, range(BLOCK_BITS)))

    @cached_property
    def positions(self) -> NDArray[np.intp]:
        """(2226,): the frame of the block in which each logical frame lies; sync frames first, then data."""
        return np.array(keys.shuffled(self.key, 0, keys.FRAME_POSITION, range(BLOCK_FRAMES)))

    @cached_property
    def mix(self) -> NDArray[np.intp]:
        """(51480, 3) of (frame in the block, up bin, down bin), 60 in a row to each transmitted bit."""
        triples = [
            (int(self.positions[SYNC_FRAMES + frame]), up, down)
            for frame in range(DATA_FRAMES)
            for up, down in zip(*self.up_down(frame, keys.DATA_BINS), strict=True)
        ]
        order = keys.shuffled(self.key, 0, keys.MIX, range(len(triples)))
        return np.array(triples)[order]

    @cached_property
    def sync_signs(self) -> NDArray[np.int8]:
        """(6, 2226, 81): +1 where a sync bit of 1 raises a bin of the block, -1 where it lowers it."""
        signs = np.zeros((SYNC_BITS, BLOCK_FRAMES, len(BINS)), np.int8)
        for frame in range(SYNC_FRAMES):
            up, down = self.up_down(frame, keys.SYNC_BINS)
            row = signs[frame // SYNC_FRAMES_PER_BIT, self.positions[frame]]
            row[np.array(up) - BINS[0]], row[np.array(down) - BINS[0]] = 1, -1
        return signs

    def block_signs(self, coded: NDArray[np.uint8], *, is_b: bool) -> NDArray[np.int8]:
        """(2226, 81): which bins of a block rise (+1) and fall (-1), for its coded bits (858,)."""
        expected = sync_bits(is_b=is_b).astype(np.int8) * 2 - 1
        signs = np.tensordot(expected, self.sync_signs, axes=1).astype(np.int8)
        bit = np.repeat(coded[self.bit_order].astype(np.int8) * 2 - 1, PAIRS_PER_BIT)
        frame, up, down = self.mix.T
        signs[frame, up - BINS[0]] = bit
        signs[frame, down - BINS[0]] = -bit
        return signs


def sync_bits(*, is_b: bool) -> NDArray[np.uint8]:
    """The six sync bits of a block: 010101 for A, 101010 for B."""
    return ((np.arange(SYNC_BITS) + is_b) % 2).astype(np.uint8)


@lru_cache(maxsize=8)
def layout_of(key: Key) -> Layout:
    """The tables of ``key``, made once: they take about a third of a second."""
    return Layout(key)
