"""Measure every attack: ``python -m consent.biometrics.attacks --speech FOLDER --out FILE``.

Writes what ``python -m consent.biometrics.calibrate --attacks FILE`` prints into the card; ``--card CARD`` prints it
into a card that is there already. Only voices that the spoof detector was not trained on take part; the speaker
calibration's own held-out figures are in the card's tables.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from consent.biometrics import background, spoof
from consent.biometrics.attacks import SPECIES, Speak, bona_fide, reading, run
from consent.biometrics.attacks.outcomes import Outcomes, upper_bound
from consent.biometrics.calibrate import card
from consent.biometrics.calibrate.corpus import CorpusMissing, load
from consent.biometrics.train_spoof import GENUINE, measured_only

ATTACKERS: Final = "demo.attack_voices:attackers"


#: What is measured beside the attacks.
GENUINE_SPEECH: Final = "genuine speech"
READINGS: Final = "readings"


def row(found: Outcomes) -> dict[str, Any]:
    """One line of the card's table."""
    return {
        "species": found.species,
        "steps": list(found.steps),
        "n": len(found.made),
        "targets": len({outcome.target for outcome in found.made}),
        "accepted": found.accepted,
        "apcer_bound": round(found.apcer_bound, 4),
        "stopped_by": found.stopped_by,
        "refused_by": {step: round(found.refused_by(step), 4) for step in found.steps},
    }


def readings(voices: Mapping[str, Speak], people: int, seed: int) -> list[dict[str, Any]]:
    """How honest and partly wrong readings fare, a line a condition."""
    found = [reading.measure(voices, condition, people=people, seed=seed) for condition in reading.HEARD_IN]
    return [asdict(one) | {"mistaken_bound": one.mistaken_bound} for one in found]


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
        *_splice_notes(),
        "",
        "Presentations of one voice are not independent, so the bounds are too narrow. Every other presentation of a "
        "clone, and most of the text-to-speech voices, went through a codec, another sample rate, noise or a room. No "
        "loudspeaker, no other vendor's clone and no trained official generator was at hand: nothing is claimed about "
        "them.",
    ]


def _splice_notes() -> list[str]:
    """The splice cue's own figures, and what it cannot see."""
    judge = background.detector()
    lines = [
        "",
        f"Splice cue `{judge.version}` (`python -m consent.biometrics.train_splice --speech FOLDER`): does the "
        "background follow the words? Measured on people it was not fitted on: words of the corpus and of "
        f"text-to-speech voices, every other recording through a codec, noise or a room; held up from "
        f"{judge.threshold:.3f}. *Too few pauses*: fewer than {background.MIN_PAUSES} pauses between words were long "
        "enough to be looked at (0.2 s), so the cue was silent. Genuine readings are words laid into one made "
        "background; the corpus has few recordings with pauses of its own, all of edited prompts and plays. The share "
        "of false alarms aimed at was raised from 1 to 1.5 % after these figures had been seen once. The rows of the "
        "table of attacks are by text-to-speech voices, half of which the cue was fitted on, and count unclear words "
        "too.",
        "",
        "| kind | recordings | held up % (95 % bound) | too few pauses % |",
        "|---|---|---|---|",
    ]
    for line in judge.measured:
        count, held = line["recordings"], line["held up"]
        silent = 100 * line["too few pauses"] / count
        lines.append(f"| {line['kind']} | {count} | {100 * held / count:.1f} ({100 * upper_bound(held, count):.1f}) "
                     f"| {silent:.0f} |")  # fmt: skip
    return [
        *lines,
        "",
        "Words of one recording session bring one background, a louder noise over everything hides the joins, and "
        "words pressed together leave no pause to look at: these the cue does not see, and nothing else in this gate "
        "claims to. What stands against them: a vocabulary that nobody's old recordings are likely to hold, ten "
        "seconds to begin, sound that arrives as fast as it is spoken, and five tries.",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="python -m consent.biometrics.attacks", description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the unpacked packages, or /")
    parser.add_argument("--attackers", default=ATTACKERS, help="module:callable that gives the Attackers")
    what = (*SPECIES, GENUINE_SPEECH, READINGS)
    parser.add_argument("--only", nargs="+", choices=what, default=what, metavar="WHAT", help=", ".join(what))
    parser.add_argument("--most", type=int, default=400, help="presentations of a species at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, default=2, help="readers of each voice and condition, three tries each")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", type=Path, help="a card to print the figures into")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        corpus = [voice for voice in load(options.speech) if measured_only(voice.family)]
    except CorpusMissing as error:
        parser.error(str(error))
    brought = pkgutil.resolve_name(options.attackers)()
    stored: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    rows = {one["species"]: one for one in stored.get("species", [])}
    # After each: the last ones take long, and what is measured should not be lost.
    for name in options.only:
        if name == GENUINE_SPEECH:
            stored["genuine"] = row(bona_fide(corpus))
        elif name == READINGS:
            stored["readings"] = readings(brought.voices, options.people, options.seed)
        else:
            rows[name] = row(run(name, corpus=corpus, seed=options.seed, attackers=brought, most=options.most))
            stored["species"] = [rows[species] for species in SPECIES if species in rows]
            sys.stdout.write(json.dumps(rows[name]) + "\n")
        stored["notes"] = notes()
        options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    if options.card:
        card.print_attacks(options.card, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
