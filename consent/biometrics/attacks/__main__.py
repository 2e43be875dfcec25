"""Measure every attack: ``python -m consent.biometrics.attacks --speech FOLDER --out FILE``.

Writes what ``python -m consent.biometrics.calibrate --attacks FILE`` prints into the card. Only voices that the spoof
detector was not trained on take part; the speaker calibration's own held-out figures are in the card's tables.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from consent.biometrics import spoof
from consent.biometrics.attacks import SPECIES, run
from consent.biometrics.attacks.outcomes import Outcomes
from consent.biometrics.calibrate.corpus import CorpusMissing, load
from consent.biometrics.train_spoof import GENUINE, measured_only

ATTACKERS: Final = "demo.attack_voices:attackers"


def row(found: Outcomes) -> dict[str, Any]:
    """One line of the card's table."""
    return {
        "species": found.species,
        "steps": list(found.steps),
        "n": len(found.made),
        "accepted": found.accepted,
        "apcer_bound": round(found.apcer_bound, 4),
        "stopped_by": found.stopped_by,
        "refused_by": {step: round(found.refused_by(step), 4) for step in found.steps},
    }


def notes() -> list[str]:
    """The spoof detector's own figures, and what none of this can show."""
    judge = spoof.detector()
    lines = [
        f"Spoof detector `{judge.version}`: {judge.trained_on}. Pieces of {spoof.PIECE_SECONDS:g} s; passed: share let "
        "through (APCER for attacks; 1 - BPCER for genuine speech, inconclusive counted as refused).",
        "",
        "| synthesis | processing afterwards | clips | passed % | inconclusive % | refused % |",
        "|---|---|---|---|---|---|",
    ]
    for line in judge.measured:
        name = "none (genuine speech)" if line["attack"] == GENUINE else line["attack"]
        shares = " | ".join(f"{100 * line[key]:.1f}" for key in ("passed", "inconclusive", "refused"))
        lines.append(f"| {name} | {line['processed']} | {line['clips']} | {shares} |")
    return [
        *lines,
        "",
        "Presentations of one voice are not independent, so the bounds are too narrow. No loudspeaker, no other "
        "vendor's clone and no trained official generator was at hand: nothing is claimed about them. The voice mask "
        "is a source-filter stand-in.",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="python -m consent.biometrics.attacks", description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the unpacked packages, or /")
    parser.add_argument("--attackers", default=ATTACKERS, help="module:callable that gives the Attackers")
    parser.add_argument("--only", nargs="+", choices=SPECIES, default=list(SPECIES), metavar="SPECIES")
    parser.add_argument("--most", type=int, default=400, help="presentations of a species at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        corpus = [voice for voice in load(options.speech) if measured_only(voice.family)]
    except CorpusMissing as error:
        parser.error(str(error))
    brought = pkgutil.resolve_name(options.attackers)()
    rows = []
    for species in options.only:
        rows.append(row(run(species, corpus=corpus, seed=options.seed, attackers=brought, most=options.most)))
        # After every species: the last ones take long, and what is measured should not be lost.
        options.out.write_text(json.dumps({"species": rows, "notes": notes()}, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
