"""The report in the repository is of the base that ships, and the card's table says what it measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloning.engine import starter
from cloning.engine.training.base import starter_base

CARD = Path(starter.__file__).with_name("CARD.md")
REPORTS = Path(__file__).parents[4] / "docs" / "starter-report"
#: How the card calls the voices of the English report.
NAMES = {
    "awb-zero-shot": "awb, zero-shot, never trained",
    "slt-zero-shot": "slt, zero-shot",
    "awb": "awb, few-shot",
    "slt": "slt, few-shot",
}


def read(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORTS / language / "report.json").read_text("utf-8"))
    return found


def test_the_card_says_what_the_report_measured() -> None:
    rows = {line.replace("*", "") for line in CARD.read_text("utf-8").splitlines() if line.startswith("| ")}
    for voice in read("english")["voices"]:
        matrix, ordinary = (voice["words"]["sets"][name] for name in ("matrix", "open"))
        own, impostor, nearest, accepted = (
            voice["identity"]["voice"][name]["value"] for name in ("own", "impostor", "nearest", "accepted")
        )
        cells = [
            NAMES[voice["name"]], beside(matrix, "word_error", 3), beside(matrix, "intact", 2),
            beside(ordinary, "word_error", 3), beside(ordinary, "phone_error", 3), beside(ordinary, "followed", 2),
            beside(ordinary, "intact", 2), f"{own:.3f} / {impostor:.3f}", f"{nearest:.2f}", f"{accepted:.2f}",
        ]  # fmt: skip
        assert f"| {' | '.join(cells)} |" in rows


def beside(figures: dict[str, Any], name: str, digits: int) -> str:
    """A voice's figure, and its source's in brackets."""
    voice, source = (figures[name][who]["value"] for who in ("voice", "source"))
    return f"{voice:.{digits}f} ({source:.{digits}f})"


@pytest.mark.parametrize("language", ["english", "mandarin"])
def test_the_report_is_of_the_shipped_base_and_anyone_can_repeat_its_command(language: str) -> None:
    report = read(language)
    assert {voice["about"]["base_digest"] for voice in report["voices"]} == {starter_base().digest}
    assert report["command"].startswith("python -m cloning.engine.evaluate ")
    assert not re.search(r"[ =]/", report["command"])  # no path of anybody's machine
    page = (REPORTS / language / "index.html").read_text("utf-8")
    assert report["command"] in page
    assert "<audio" not in page  # unmarked sound stays out of the repository
