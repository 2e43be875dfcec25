"""The bench's tables from what it measured: ``python -m watermark.codec.bench.report STATE... [--table FILE]``.

STATE are files that ``python -m watermark.codec.bench CLIPS --state STATE`` wrote, finished or stopped; several are
added up, every clip once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from watermark.codec import measured
from watermark.codec.bench import measure
from watermark.codec.bench.measure import Clip, Outcome, Unmarked
from watermark.codec.bench.state import Record, merged
from watermark.codec.detect import FALSE_POSITIVE

#: The goals for a clip. Where PESQ of a sound that carries no mark (quality.level_alone) is below, PESQ says nothing.
LEAST_PESQ, LEAST_STOI = 4.3, 0.995
GROUPS = ("benign", "social", "hard", "extreme", "gsm")


def say(line: str) -> None:
    """A line to stdout."""
    sys.stdout.write(line + "\n")


def print_all(records: Sequence[Record]) -> None:
    """Every table, of one clip or more."""
    outcomes = [outcome for record in records for outcome in record.outcomes]
    rivals = [outcome for record in records for outcome in record.rivals]
    _print_recovery("ours", outcomes)
    if rivals:
        _print_recovery("audiowmark at the same noise-to-mask ratio", rivals)
        say(
            f"its noise-to-mask ratio in dB: {_range([record.ratio for record in records if record.ratio is not None])}"
        )
        say(compared(outcomes, rivals))
    _print_rest([record.clip for record in records], outcomes, [record.unmarked for record in records])


def write_table(records: Sequence[Record], attacks: str, path: Path) -> None:
    """What detection reports say of the miss rate (measured.json)."""
    ran = [
        (float(one.seconds), one.group, one.found, one.wrong)
        for record in records for one in record.outcomes if not one.not_run
    ]  # fmt: skip
    command = f"python -m watermark.codec.bench CLIPS --attacks {attacks} --table FILE"
    path.write_text(json.dumps(measured.table_of(ran, command), indent=1) + "\n")


def as_json(records: Sequence[Record]) -> dict[str, Any]:
    """Everything, flat."""
    return {
        "clips": [asdict(record.clip) for record in records],
        "outcomes": [asdict(outcome) for record in records for outcome in record.outcomes],
        "unmarked": [asdict(record.unmarked) for record in records],
        "rival": [asdict(outcome) for record in records for outcome in record.rivals],
    }


def _share(part: list[Outcome]) -> str:
    found = sum(outcome.found for outcome in part)
    return f"{100 * found / len(part):.0f} % ({found}/{len(part)})" if part else "-"


def _print_recovery(title: str, outcomes: list[Outcome]) -> None:
    done = [outcome for outcome in outcomes if not outcome.not_run]
    lengths = sorted({outcome.seconds for outcome in done})
    say(f"\nRecovered ({title}): the right id, bound <= {FALSE_POSITIVE:g} for {measure.IDS} ids\n")
    say("| | " + " | ".join(f"{seconds} s" for seconds in lengths) + " |")
    say("|---|" + "---|" * len(lengths))
    rows = [(f"**{group}**", [each for each in done if each.group == group]) for group in GROUPS]
    rows += [(name, [each for each in done if each.attack == name]) for name in dict.fromkeys(o.attack for o in done)]
    for name, row in rows:
        say(f"| {name} | " + " | ".join(_share([o for o in row if o.seconds == s]) for s in lengths) + " |")
    for name in sorted({f"{outcome.attack}: {outcome.not_run}" for outcome in outcomes if outcome.not_run}):
        say(f"not run: {name}")


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
            say(f"refused: {clip.name}: {clip.refused}")
    say(f"\n{len(done)} clips marked; strength {_range([clip.strength for clip in done])} dB")
    for name in ("nmr_db", "stoi", "snr_db", "pesq", "pesq_level"):
        values = [clip.quality[name] for clip in done if clip.quality[name] is not None]
        say(f"{name}: {_range(values) if values else 'not measured: the package is not installed'}")
    heard = [clip.quality for clip in done if (clip.quality["pesq_level"] or 0) >= LEAST_PESQ]
    if len(heard) < len(done) and heard:
        least = min(values["pesq"] for values in heard)
        say(f"pesq at least {least:.3f} in the {len(heard)} clips whose pesq_level is {LEAST_PESQ} or more")
    clear = sum(clip.quality["stoi"] >= LEAST_STOI for clip in done)
    say(f"stoi at least {LEAST_STOI} in {clear} of {len(done)}")
    found = [outcome for outcome in outcomes if outcome.found]
    say(f"wrong ids: {sum(outcome.wrong for outcome in outcomes)} of {len(outcomes)}")
    say(f"fingerprint of the right output: {dict(Counter(outcome.sound for outcome in found))}")
    say(f"fingerprint of another: {dict(Counter(outcome.stranger for outcome in found))}")
    lost = [outcome for outcome in outcomes if not outcome.found and outcome.verdict]
    say(f"verdicts where the mark was lost: {dict(Counter(outcome.verdict for outcome in lost))}")
    edges = [outcome.edge_error_s for outcome in found if outcome.edge_error_s is not None]
    if edges:
        within = sum(edge <= 0.25 for edge in edges)
        say(f"start and end inside other speech within 0.25 s: {within} of {len(edges)}; worst {max(edges):.2f} s")
    say(
        f"unmarked: {len(plain)} clips, {sum(clip.tests for clip in plain):.3g} tests, mean square "
        f"{np.mean([clip.mean_square for clip in plain]):.4f}, top score {max(clip.top for clip in plain):.2f}, "
        f"accepted {sum(clip.bound <= FALSE_POSITIVE for clip in plain)}, "
        f"verdicts {dict(Counter(clip.verdict for clip in plain))}"
    )
    rate = sum(clip.seconds for clip in done) / max(sum(clip.embed_s for clip in done), 1e-9)
    say(f"embedding with its own check: {rate:.0f} x real time")


def _range(values: list[float]) -> str:
    return f"mean {np.mean(values):.3f}, {min(values):.3f} to {max(values):.3f}"


def main() -> None:
    """Add up the states and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m watermark.codec.bench.report", description=__doc__)
    parser.add_argument("states", type=Path, nargs="+")
    parser.add_argument("--table", type=Path, help="write what detection reports say of the miss rate (measured.json)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    head, records = merged(arguments.states)
    print_all(records)
    if arguments.table:
        write_table(records, head["attacks"], arguments.table)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(records), indent=1))


if __name__ == "__main__":
    main()
