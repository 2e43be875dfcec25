"""What the bench measured of this detector: how often a mark was missed, by length and by what befell the recording.

``measured.json`` is written by ``python -m watermark.codec.bench CLIPS --attacks all --table FILE`` and holds for one
set of weights only: with others it counts as nothing. "Missed" is as the bench counts it: the right id was not returned
with a bound of at most 1e-6 for a million issued ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scipy.special import betaincinv

from watermark.codec import soft

TABLE: Final = Path(__file__).with_name("measured.json")
#: Least bit rates in kbit/s at which a codec belongs to a group of the bench's attacks; below the last: "extreme".
RATES: Final[Mapping[str, tuple[tuple[float, str], ...]]] = {
    "mp3": ((60, "benign"), (30, "social"), (22, "hard")),
    "m4a": ((60, "benign"), (22, "social")),
    "opus": ((22, "social"), (15, "hard")),
    "webm": ((22, "social"), (15, "hard")),
    "vorbis": ((40, "social"),),
}


@dataclass(frozen=True)
class Row:
    """``missed`` of ``of`` recordings of ``seconds`` that an attack of ``group`` befell; ``wrong``: named wrongly."""

    seconds: float
    group: str
    missed: int
    wrong: int
    of: int

    @property
    def miss_rate_at_most(self) -> float:
        """Upper end of the one-sided 95 % interval of the miss rate (Clopper and Pearson, 1934)."""
        return 1.0 if self.missed == self.of else float(betaincinv(self.missed + 1, self.of - self.missed, 0.95))


def weights_sha256() -> str:
    """Of the weights that are in use."""
    return hashlib.sha256(soft.WEIGHTS.read_bytes()).hexdigest()


def rows(path: Path = TABLE) -> list[Row]:
    """The table, by length; empty when there is none for the weights in use."""
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    return [Row(**row) for row in table["rows"]] if table["weights_sha256"] == weights_sha256() else []


def group_of(form: str, kbit_s: float | None) -> str | None:
    """The group of attacks that a file of this form belongs to by its own coding; None where that is not known.

    What befell the sound before it came into this file cannot be seen.
    """
    if form in ("wav", "flac"):
        return "benign"
    if form not in RATES or not kbit_s:
        return None
    return next((group for least, group in RATES[form] if kbit_s >= least), "extreme")


def row_for(seconds: float, group: str, table: Iterable[Row]) -> Row | None:
    """The row of the greatest measured length that ``seconds`` reach."""
    fitting = [row for row in table if row.group == group and row.seconds <= seconds]
    return max(fitting, key=lambda row: row.seconds, default=None)


def table_of(outcomes: Iterable[tuple[float, str, bool, bool]], command: str) -> dict[str, Any]:
    """What ``measured.json`` holds, from (seconds, group, found, wrong) of each recording."""
    counts: dict[tuple[float, str], list[int]] = {}
    for seconds, group, found, wrong in outcomes:
        count = counts.setdefault((seconds, group), [0, 0, 0])
        for place, one in enumerate((not found, wrong, True)):
            count[place] += one
    made = [
        {"seconds": seconds, "group": group, "missed": missed, "wrong": wrong, "of": of}
        for (seconds, group), (missed, wrong, of) in sorted(counts.items())
    ]
    return {"command": command, "weights_sha256": weights_sha256(), "rows": made}
