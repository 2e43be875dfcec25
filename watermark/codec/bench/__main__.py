"""``python -m watermark.codec.bench CLIPS_DIR [--attacks core|all] [--against audiowmark] [--json FILE]``.

CLIPS_DIR holds 32 kHz mono clips and ``other.wav`` (see ``watermark.codec.bench.clips``). Prints recovery by length and
group, how loud the mark is, false positives on the clips before they were marked, boundaries, and speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from watermark.codec import fingerprint, measured
from watermark.codec.bench import audiowmark, measure, speed
from watermark.codec.bench.measure import Clip, Outcome, Unmarked
from watermark.codec.detect import FALSE_POSITIVE
from watermark.codec.embed import DEFAULT_STRENGTH
from watermark.codec.grid import RATE

GROUPS = ("benign", "social", "hard", "extreme", "gsm")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Run what the arguments ask for and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m watermark.codec.bench", description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--attacks", choices=("core", "all"), default="core")
    parser.add_argument("--against", choices=("audiowmark",))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write what detection reports say of the miss rate (measured.json)")
    parser.add_argument("--limit", type=int, help="clips a length at most")
    parser.add_argument("--strength", type=float, default=DEFAULT_STRENGTH, help="dB to begin with")
    parser.add_argument("--scales", action="store_true", help="search all scales wherever nothing is found")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further clip after this time")
    parser.add_argument("--speed", action="store_true", help="also time a query against a million ids (400 MB)")
    arguments = parser.parse_args()
    other, _ = soundfile.read(arguments.clips / "other.wav")
    clips: list[Clip] = []
    outcomes: list[Outcome] = []
    plain: list[Unmarked] = []
    rivals: list[Outcome] = []
    ratios: list[float] = []
    stranger = fingerprint.fingerprint(np.asarray(other[: 30 * RATE], np.float32), RATE)
    began = time.perf_counter()
    for path in _chosen(arguments.clips, arguments.limit):
        if time.perf_counter() - began > 60 * arguments.minutes:
            break
        wave, rate = soundfile.read(path, dtype="float32")
        if rate != RATE or wave.ndim != 1:
            parser.error(f"{path} is not mono at {RATE} Hz")
        attacks = measure.chosen(arguments.attacks)
        clip, result = measure.marked(path.stem, wave, arguments.strength)
        clips.append(clip)
        if result is None:
            outcomes += [Outcome(clip.name, clip.seconds, attack.name, attack.group) for attack in attacks]
        else:
            outcomes += measure.attack_all(clip, result, other, attacks, stranger, scales=arguments.scales)
        plain.append(measure.unmarked(path.stem, wave))
        if arguments.against and result is not None:
            theirs, ratio = audiowmark.outcomes(path.stem, wave, other, attacks, ratio_db=clip.quality["nmr_db"])
            rivals += theirs
            ratios.append(ratio)
        sys.stderr.write(f"{path.stem} after {time.perf_counter() - began:.0f} s\n")
    _print_recovery("ours", outcomes)
    if rivals:
        _print_recovery("audiowmark at the same noise-to-mask ratio", rivals)
        _say(f"its noise-to-mask ratio in dB: {_range(ratios)}")
        _say(compared(outcomes, rivals))
    _print_rest(clips, outcomes, plain)
    laps = speed.timed() if arguments.speed else {}
    for name, took in laps.items():
        _say(f"{name}: {took.clock_s:.2f} s, {took.processor_s:.2f} s of processor, {took.peak_mb:.0f} MB at most")
    if arguments.table:
        ran = [(float(one.seconds), one.group, one.found, one.wrong) for one in outcomes if not one.not_run]
        command = f"python -m watermark.codec.bench CLIPS --attacks {arguments.attacks} --table FILE"
        arguments.table.write_text(json.dumps(measured.table_of(ran, command), indent=1) + "\n")
    if arguments.json:
        parts: dict[str, list[Any]] = {"clips": clips, "outcomes": outcomes, "unmarked": plain, "rival": rivals}
        data = {name: [asdict(item) for item in items] for name, items in parts.items()}
        arguments.json.write_text(
            json.dumps({**data, "speed": {name: asdict(took) for name, took in laps.items()}}, indent=1)
        )


def _chosen(folder: Path, limit: int | None) -> list[Path]:
    """Clips in turns over the lengths, so that stopping early leaves some of each."""
    seen: Counter[str] = Counter()
    paths = []
    for path in sorted(folder.glob("*s_*.wav")):
        length = path.name.split("_")[0]
        seen[length] += 1
        if limit is None or seen[length] <= limit:
            paths.append((seen[length], path))
    return [path for _, path in sorted(paths)]


def _share(part: list[Outcome]) -> str:
    found = sum(outcome.found for outcome in part)
    return f"{100 * found / len(part):.0f} % ({found}/{len(part)})" if part else "-"


def _print_recovery(title: str, outcomes: list[Outcome]) -> None:
    done = [outcome for outcome in outcomes if not outcome.not_run]
    lengths = sorted({outcome.seconds for outcome in done})
    _say(f"\nRecovered ({title}): the right id, bound <= {FALSE_POSITIVE:g} for {measure.IDS} ids\n")
    _say("| | " + " | ".join(f"{seconds} s" for seconds in lengths) + " |")
    _say("|---|" + "---|" * len(lengths))
    rows = [(f"**{group}**", [each for each in done if each.group == group]) for group in GROUPS]
    rows += [(name, [each for each in done if each.attack == name]) for name in dict.fromkeys(o.attack for o in done)]
    for name, row in rows:
        _say(f"| {name} | " + " | ".join(_share([o for o in row if o.seconds == s]) for s in lengths) + " |")
    for name in sorted({f"{outcome.attack}: {outcome.not_run}" for outcome in outcomes if outcome.not_run}):
        _say(f"not run: {name}")


def compared(ours: list[Outcome], theirs: list[Outcome]) -> str:
    """In how many cells of attack and length each finds more; those where the other does are named."""
    both = [Counter((o.attack, o.seconds) for o in part if o.found) for part in (ours, theirs)]
    cells = sorted({(o.attack, o.seconds) for o in theirs if not o.not_run})
    more, less = ([cell for cell in cells if sign * (both[0][cell] - both[1][cell]) > 0] for sign in (1, -1))
    named = ", ".join(f"{attack} {seconds} s" for attack, seconds in less) or "none"
    nothing = sum(not both[0][cell] and not both[1][cell] for cell in cells)
    return (
        f"cells of attack and length: {len(cells)}; ours finds more in {len(more)}, as many in "
        f"{len(cells) - len(more) - len(less)} (in {nothing} of them neither anything), fewer in {len(less)}: {named}"
    )


def _print_rest(clips: list[Clip], outcomes: list[Outcome], plain: list[Unmarked]) -> None:
    done = [clip for clip in clips if not clip.refused]
    for clip in clips:
        if clip.refused:
            _say(f"refused: {clip.name}: {clip.refused}")
    _say(f"\n{len(done)} clips marked; strength {_range([clip.strength for clip in done])} dB")
    for name in ("nmr_db", "stoi", "snr_db", "pesq", "pesq_level"):
        values = [clip.quality[name] for clip in done if clip.quality[name] is not None]
        _say(f"{name}: {_range(values) if values else 'not measured: the package is not installed'}")
    found = [outcome for outcome in outcomes if outcome.found]
    _say(f"wrong ids: {sum(outcome.wrong for outcome in outcomes)} of {len(outcomes)}")
    _say(f"fingerprint of the right output: {dict(Counter(outcome.sound for outcome in found))}")
    _say(f"fingerprint of another: {dict(Counter(outcome.stranger for outcome in found))}")
    lost = [outcome for outcome in outcomes if not outcome.found and outcome.verdict]
    _say(f"verdicts where the mark was lost: {dict(Counter(outcome.verdict for outcome in lost))}")
    edges = [outcome.edge_error_s for outcome in found if outcome.edge_error_s is not None]
    if edges:
        within = sum(edge <= 0.25 for edge in edges)
        _say(f"start and end inside other speech within 0.25 s: {within} of {len(edges)}; worst {max(edges):.2f} s")
    _say(
        f"unmarked: {len(plain)} clips, {sum(clip.tests for clip in plain):.3g} tests, mean square "
        f"{np.mean([clip.mean_square for clip in plain]):.4f}, top score {max(clip.top for clip in plain):.2f}, "
        f"accepted {sum(clip.bound <= FALSE_POSITIVE for clip in plain)}, "
        f"verdicts {dict(Counter(clip.verdict for clip in plain))}"
    )
    rate = sum(clip.seconds for clip in done) / max(sum(clip.embed_s for clip in done), 1e-9)
    _say(f"embedding with its own check: {rate:.0f} x real time")


def _range(values: list[float]) -> str:
    return f"mean {np.mean(values):.3f}, {min(values):.3f} to {max(values):.3f}"


if __name__ == "__main__":
    main()
