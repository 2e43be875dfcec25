"""The shipped pack's card: how many frauds it stops and how many innocent texts it stops with them.

    python -m safety.policy.card            measures and prints
    python -m safety.policy.card --write    and writes safety/packs/core/card.json and docs/policy-card.md

A text counts as stopped where the verdict is to hold it, to refuse it, or to ask the voice's owner. Precision, recall
and false alarm are given with 95 % Wilson intervals (Wilson 1927), for the fit half, both held-out halves (of the first
set, and of the wide one, which was written before this pack and looked at less), each language and each ploy, and for
the held-out frauds written evasively.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from math import sqrt
from pathlib import Path
from typing import Any, Final

from safety.policy import CORE, bench, evaluate, labelled, live_pack
from safety.policy.labelled import Labelled

CARD: Final = CORE / "card.json"
PASSES: Final = ("allow", "allow_with_label")
PAGE: Final = Path(__file__).parents[2] / "docs" / "policy-card.md"
LOOK_ALIKES: Final = str.maketrans("aeopcx", "\u0430\u0435\u043e\u0440\u0441\u0445")
_FIRST: Final = {
    "recall": 0.697,
    "false_alarm": 0.041,
    "what": "115 of 165 frauds, 7 of 170 innocent texts: the first rules, written from the fit half, measured once",
}
"""The first measurement of the held-out half, kept as it was."""
_BEFORE: Final = {
    "recall": 0.736,
    "false_alarm": 0.044,
    "what": "64 of 87 frauds, 4 of 90 innocent texts: the pack of before, when the wide set had just been written",
}
_LOOKS: Final = (
    "While this pack was fitted, the totals of both held-out halves were printed six times, their sentences and the "
    "names of what was missed never; two versions were kept back for more false alarms than wanted. Their author wrote "
    "the lists too, and so has their words in mind: a stranger's frauds will be caught less often than these figures "
    "say. Of 82 frauds of unusual kinds, written for fitting when the rest was done, half were caught at first sight."
)
HALVES: Final = {
    "fit": lambda one: one.half == "fit",
    "held_out": lambda one: one.half == "held_out" and one.file == labelled.FIRST,
    "held_out_wide": lambda one: one.half == "held_out" and one.file == labelled.WIDE,
}


def evasive(text: str) -> dict[str, str]:
    """The text as somebody would write it who knows that words are looked for, by trick."""
    return {
        "look-alikes": text.translate(LOOK_ALIKES),
        "zero-width": "\u200b".join(text),
        "spaced": " ".join(text.replace(" ", "  ")),
        "digits": text.translate(str.maketrans("eoi", "301")),
        "full-width": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        "pinyin": _pinyin(text),
    }


def stopped(one: Labelled, text: str | None = None) -> bool:
    """Whether the shipped pack lets this not simply pass."""
    return evaluate(one.text if text is None else text, language=one.language).outcome not in PASSES


def measure() -> dict[str, Any]:
    """The whole card, JSON-safe."""
    everything = labelled.sentences()
    halves: dict[str, Any] = {}
    for half, belongs in HALVES.items():
        part = [one for one in everything if belongs(one)]
        halves[half] = {
            "all": _figures(part),
            **{language: _figures([one for one in part if one.language == language]) for language in ("en", "zh")},
            "by_ploy": {
                ploy: _share([one for one in part if one.fraud and _ploy(one) == ploy], stopped)
                for ploy in ("family", "bank", "boss", "police", "code", "other")
            },
        }
    frauds = [one for one in everything if HALVES["held_out"](one) and one.fraud]
    tricks = {
        trick: _of(sum(stopped(one, evasive(one.text)[trick]) for one in part), len(part))
        for trick in evasive("")
        if (part := _fitting(trick, frauds))
    }
    return {
        "pack": live_pack().label,
        "sha256": live_pack().sha256,
        "seed": labelled.SEED,
        "sentences": len(everything),
        "halves": halves,
        "held_out_evasive": tricks,
        "first_held_out": _FIRST,
        "wide_before": _BEFORE,
        "milliseconds": {
            kind: {"p50": round(median, 2), "p95": round(p95, 2), "processor_p95": round(processor, 2)}
            for kind, (median, p95, processor) in bench.measure().items()
        },
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
    }


def _ploy(one: Labelled) -> str:
    """The families of the first set are named after their ploys; a wide one may be of another kind."""
    name = one.family.split(".")[-1 if one.file == labelled.FITTING_ONLY else 0]
    return name if name in ("family", "bank", "boss", "police", "code") else "other"


def _figures(part: list[Labelled]) -> dict[str, Any]:
    frauds = [one for one in part if one.fraud]
    innocent = [one for one in part if not one.fraud]
    caught, alarms = sum(map(stopped, frauds)), sum(map(stopped, innocent))
    return {
        "recall": _of(caught, len(frauds)),
        "false_alarm": _of(alarms, len(innocent)),
        "precision": _of(caught, caught + alarms),
    }


def _share(part: Iterable[Labelled], test: Callable[[Labelled], bool]) -> dict[str, Any]:
    found = [test(one) for one in part]
    return _of(sum(found), len(found))


def _of(count: int, total: int) -> dict[str, Any]:
    """A share with its Wilson interval at 95 %."""
    if not total:
        return {"count": 0, "of": 0, "share": None, "low": None, "high": None}
    z, p = 1.96, count / total
    centre, spread = p + z * z / (2 * total), z * sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return {"count": count, "of": total, "share": round(p, 4), "low": round(low, 4), "high": round(high, 4)}


def _fitting(trick: str, frauds: list[Labelled]) -> list[Labelled]:
    if trick == "pinyin":
        return [one for one in frauds if one.language == "zh"]
    if trick in ("look-alikes", "digits", "full-width"):
        return [one for one in frauds if one.language == "en"]
    return frauds


def _pinyin(text: str) -> str:
    from pypinyin import lazy_pinyin

    return " ".join(lazy_pinyin(text))


def page(card: dict[str, Any]) -> str:
    """The card as a page in Markdown."""
    lines = [
        f"# Card of the shipped pack {card['pack']}",
        "",
        f"Written by `python -m safety.policy.card --write`. Pack `{card['sha256']}`, {card['sentences']} sentences,",
        f"split by the seeded hash `{card['seed']}` of their families.",
        "",
        "A text counts as stopped where it is held, refused, or needs the owner. Intervals are Wilson's at 95 %.",
        "",
        "| half | texts | recall | false alarm | precision |",
        "|---|---|---|---|---|",
    ]
    for half, parts in card["halves"].items():
        for name in ("all", "en", "zh"):
            figures = parts[name]
            cells = " | ".join(_cell(figures[one]) for one in ("recall", "false_alarm", "precision"))
            lines.append(f"| {half.replace('_', ' ')} | {name} | {cells} |")
    lines += ["", "| ploy | recall, held out | recall, held out wide |", "|---|---|---|"]
    narrow, wide = (card["halves"][half]["by_ploy"] for half in ("held_out", "held_out_wide"))
    lines += [f"| {ploy} | {_cell(share)} | {_cell(wide[ploy])} |" for ploy, share in narrow.items()]
    lines += ["", "| held-out frauds written evasively | recall |", "|---|---|"]
    lines += [f"| {trick} | {_cell(share)} |" for trick, share in card["held_out_evasive"].items()]
    first, before, speed = card["first_held_out"], card["wide_before"], card["milliseconds"]
    machine = card["machine"]
    lines += [
        "",
        f"The first measurement of the held-out half: recall {first['recall']:.1%}, false alarm "
        f"{first['false_alarm']:.1%} ({first['what']}).",
        f"The first measurement of the wide one: recall {before['recall']:.1%}, false alarm "
        f"{before['false_alarm']:.1%} ({before['what']}).",
        "",
        _LOOKS,
        "",
        "One verdict took so many milliseconds (`safety.policy.bench`) on the machine that wrote this page, where "
        f"{machine['load']} programs on average wanted its {machine['cores']} cores: the last column is what the "
        "verdict itself takes. Sentences are the labelled ones; longer texts are put together from them.",
        "",
        "| text | median | 95 % | 95 %, processor time |",
        "|---|---|---|---|",
        *(f"| {kind} | {one['p50']} | {one['p95']} | {one['processor_p95']} |" for kind, one in speed.items()),
        "",
    ]
    return "\n".join(lines)


def _cell(share: dict[str, Any]) -> str:
    if share["share"] is None:
        return "none"
    return f"{share['share']:.1%} ({share['count']} of {share['of']}; {share['low']:.1%} to {share['high']:.1%})"


def main() -> None:
    card = measure()
    sys.stdout.write(page(card))
    if "--write" in sys.argv[1:]:
        CARD.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(card), encoding="utf-8")


if __name__ == "__main__":
    main()
