"""Fair timing on a shared machine: variants take turns in random order, and the least time of each counts."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """Least seconds of one call over all rounds: of the process's CPU time (all threads), and of the clock."""

    cpu: float
    wall: float


def interleaved(variants: Mapping[str, Callable[[], object]], *, rounds: int = 5, seed: int = 0) -> dict[str, Timing]:
    """Call every variant once in each round, in a new order each time; one more round before, not counted.

    Taking turns lets a busy moment of the machine hit all alike; the least time is the one least disturbed.
    """
    order = list(variants)
    shuffler = random.Random(seed)  # noqa: S311  only an order of calls
    best = {name: Timing(float("inf"), float("inf")) for name in order}
    for number in range(rounds + 1):
        shuffler.shuffle(order)
        for name in order:
            cpu, wall = time.process_time(), time.perf_counter()
            variants[name]()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if number:
                best[name] = Timing(min(best[name].cpu, cpu), min(best[name].wall, wall))
    return best


def added_memory(work: Callable[[], object]) -> float | None:
    """Megabytes that `work` adds to the process at its peak (resident set); None where the system does not tell."""
    gc.collect()
    _give_back()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's way to start a new high-water mark
        before = _status("VmRSS")
        kept = work()
        peak = _status("VmHWM")
    except OSError:
        return None
    del kept
    return max(0.0, (peak - before) / 1024)


def _give_back() -> None:
    """Return freed memory to the system (glibc), or work would hide in what others left."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _status(field: str) -> int:
    """A field of this process's status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"no {field} in the process status")
