"""``python -m watermark.codec.bench CLIPS_DIR... [--attacks core|all] [--against audiowmark] [--json FILE]``.

Each CLIPS_DIR holds 32 kHz mono clips and ``other.wav`` (see ``watermark.codec.bench.clips``). Prints recovery by
length and group, how loud the mark is, false positives on the clips before they were marked, boundaries, and speed.
With ``--state FILE`` it may be stopped at any time (SIGTERM) and goes on after the last finished clip when it is
started again; ``python -m watermark.codec.bench.report`` makes the tables of what there is.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from watermark.codec import fingerprint
from watermark.codec.bench import audiowmark, measure, report, speed, state
from watermark.codec.bench.measure import Outcome
from watermark.codec.bench.state import Record, State
from watermark.codec.embed import DEFAULT_STRENGTH
from watermark.codec.grid import RATE


def main() -> None:
    """Run what the arguments ask for and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m watermark.codec.bench", description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--attacks", choices=("core", "all"), default="core")
    parser.add_argument("--against", choices=("audiowmark",))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write what detection reports say of the miss rate (measured.json)")
    parser.add_argument("--state", type=Path, help="keep each finished clip here, and go on from what is here")
    parser.add_argument("--limit", type=int, help="clips a length at most")
    parser.add_argument("--strength", type=float, default=DEFAULT_STRENGTH, help="dB to begin with")
    parser.add_argument("--scales", action="store_true", help="search all scales wherever nothing is found")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further clip after this time")
    parser.add_argument("--speed", action="store_true", help="also time a query against a million ids (400 MB)")
    arguments = parser.parse_args()
    kept: State | None = None
    if arguments.state:
        options = ("attacks", "strength", "scales", "against")
        kept = State(arguments.state, state.header(**{name: getattr(arguments, name) for name in options}))
        # An ordinary exit: what was written to a temporary folder goes, and so do the programs that were started.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    records: list[Record] = []
    began = time.perf_counter()
    for path in _chosen(arguments.clips, arguments.limit):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if kept and sha256 in kept.records:
            records.append(kept.records[sha256])
            continue
        if time.perf_counter() - began > 60 * arguments.minutes:
            continue
        record = _measured(path, sha256, arguments)
        records.append(record)
        if kept:
            kept.add(record)
        sys.stderr.write(f"{path.stem} after {time.perf_counter() - began:.0f} s\n")
    if not records:
        parser.error("no clip")
    report.print_all(records)
    laps = speed.timed() if arguments.speed else {}
    for name, took in laps.items():
        report.say(
            f"{name}: {took.clock_s:.2f} s, {took.processor_s:.2f} s of processor, {took.peak_mb:.0f} MB at most"
        )
    if arguments.table:
        report.write_table(records, arguments.attacks, arguments.table)
    if arguments.json:
        timed = {"speed": {name: asdict(took) for name, took in laps.items()}}
        arguments.json.write_text(json.dumps({**report.as_json(records), **timed}, indent=1))


def _measured(path: Path, sha256: str, arguments: argparse.Namespace) -> Record:
    wave, rate = soundfile.read(path, dtype="float32")
    if rate != RATE or wave.ndim != 1:
        raise SystemExit(f"{path} is not mono at {RATE} Hz")
    other, stranger = _others(path.with_name("other.wav"))
    attacks = measure.chosen(arguments.attacks)
    clip, result = measure.marked(path.stem, wave, arguments.strength)
    if result is None:
        outcomes = [Outcome(clip.name, clip.seconds, attack.name, attack.group) for attack in attacks]
    else:
        outcomes = measure.attack_all(clip, result, other, attacks, stranger, scales=arguments.scales)
    record = Record(sha256, clip, outcomes, measure.unmarked(path.stem, wave))
    if arguments.against and result is not None:
        record.rivals, record.ratio = audiowmark.outcomes(
            path.stem, wave, other, attacks, ratio_db=clip.quality["nmr_db"]
        )
    return record


@functools.lru_cache
def _others(path: Path) -> tuple[NDArray[np.float64], bytes]:
    """The unrelated speech of a folder, and the fingerprint of its first half minute."""
    other, _ = soundfile.read(path)
    return other, fingerprint.fingerprint(np.asarray(other[: 30 * RATE], np.float32), RATE)


def _chosen(folders: Sequence[Path], limit: int | None) -> list[Path]:
    """Clips in turns over the lengths, so that stopping early leaves as many of each."""
    seen: Counter[str] = Counter()
    paths = []
    for path in sorted(path for folder in folders for path in folder.glob("*s_*.wav")):
        length = path.name.split("_")[0]
        seen[length] += 1
        if limit is None or seen[length] <= limit:
            paths.append((seen[length], path.name, path))
    return [path for _, _, path in sorted(paths)]


if __name__ == "__main__":
    main()
