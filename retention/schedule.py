"""The retention schedule, as data: what is kept, why, how long, on what ground, and how it ends.

``schedule.json`` is the one place; the public page, the API and the tests read it. ``hours`` is the longest time in
hours where the code keeps one, and the tests hold it against the code; None where another act ends it.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("schedule.json")
LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of data. The texts are keyed by language, ``en`` and ``zh``."""

    id: str
    kind: dict[str, str]
    purpose: dict[str, str]
    hours: int | None
    period: dict[str, str]
    basis: dict[str, str]
    end: dict[str, str]


@cache
def version() -> str:
    """The schedule's version; it changes with any change of a row."""
    return str(_file()["version"])


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order of the page."""
    return tuple(Row(**row) for row in _file()["rows"])


def row(row_id: str) -> Row:
    """One row. Raises KeyError."""
    return {one.id: one for one in rows()}[row_id]


def in_language(language: str) -> list[dict[str, Any]]:
    """The rows in one language (``en`` or ``zh``), ready to be shown."""
    return [
        {
            "id": one.id,
            "kind": one.kind[language],
            "purpose": one.purpose[language],
            "hours": one.hours,
            "period": one.period[language],
            "basis": one.basis[language],
            "end": one.end[language],
        }
        for one in rows()
    ]


def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
