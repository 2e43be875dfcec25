"""``python -m watermark.codec.bench.speed [--ids 1000000]``: how long a ten-second query against many ids takes.

Each line gives seconds by the clock, seconds of processor, and the most memory the process has held until then. Run it
on a quiet machine: the clock is what is promised, the processor's seconds what a busy machine can still compare.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

from watermark.codec.bench import measure
from watermark.codec.detect import Detector
from watermark.codec.embed import embed
from watermark.codec.grid import RATE, Wave, resampled
from watermark.codec.index import IssuedIndex

SECONDS = 10
#: Rate in Hz of the narrow recording, which is read in two ways.
NARROW = 8_000


@dataclass(frozen=True)
class Took:
    """Seconds by the clock and of processor, and the process's greatest resident memory in MB so far."""

    clock_s: float
    processor_s: float
    peak_mb: float


class _Laps:
    def __init__(self) -> None:
        self.done: dict[str, Took] = {}
        self._at = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        """What was done since the last lap."""
        now = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.done[name] = Took(now[0] - self._at[0], now[1] - self._at[1], peak)
        self._at = time.perf_counter(), time.process_time()


def timed(ids: int = measure.IDS) -> dict[str, Took]:
    """Embedding, codewords, and queries of ten seconds against ``ids`` payloads. Raises RuntimeError when the mark is
    not found, or a mark is found where there is none: then a time says nothing."""
    rng = np.random.default_rng(3)
    wave: Wave = (0.1 * rng.standard_normal(SECONDS * RATE)).astype(np.float32)
    payload, detector, laps = max(1, ids // 2), Detector(measure.KEY), _Laps()
    marked = embed(wave, RATE, payload, measure.KEY)
    laps.lap("embedding, read back")
    index = IssuedIndex(range(1, ids + 1))
    index.warm(measure.KEY)
    laps.lap("codewords of all ids, once a process")
    found = detector.search(marked, RATE, index)
    laps.lap("query, found as it stands")
    nothing = detector.examine(wave, RATE, index, scales=False)
    laps.lap("query, nothing found, no other scales")
    narrow = detector.search(resampled(marked, RATE, NARROW), NARROW, index)
    laps.lap("query through 8 kHz, found")
    if [match.payload for match in (*found, *narrow)] != [payload] * 2 or nothing.matches:
        raise RuntimeError("the queries that were timed gave wrong answers")
    return laps.done


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m watermark.codec.bench.speed", description=__doc__)
    parser.add_argument("--ids", type=int, default=measure.IDS)
    arguments = parser.parse_args()
    sys.stdout.write(f"{SECONDS} s, {arguments.ids} ids: clock s, processor s, peak MB\n")
    for name, took in timed(arguments.ids).items():
        sys.stdout.write(f"{name}: {took.clock_s:.2f}, {took.processor_s:.2f}, {took.peak_mb:.0f}\n")


if __name__ == "__main__":
    main()
