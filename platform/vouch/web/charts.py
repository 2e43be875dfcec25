"""Charts as numbers for an SVG drawn by the template: no script draws, so they print and read anywhere."""

from collections.abc import Sequence
from typing import Any, Final

WIDTH: Final = 720
HEIGHT: Final = 160
GAP: Final = 0.2
"""Share of a column's place that stays empty."""


def columns(values: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Columns side by side: the picture's size, the highest value, and each bar's place, size, label and value."""
    most = max((value for _, value in values), default=0)
    step = WIDTH / max(len(values), 1)
    bars = []
    for place, (label, value) in enumerate(values):
        height = HEIGHT * value / most if most else 0.0
        bars.append(
            {
                "x": f"{(place + GAP / 2) * step:.1f}",
                "y": f"{HEIGHT - height:.1f}",
                "width": f"{step * (1 - GAP):.1f}",
                "height": f"{height:.1f}",
                "label": label,
                "value": value,
            }
        )
    return {"width": WIDTH, "height": HEIGHT, "most": most, "bars": bars}


def rows(values: Sequence[tuple[str, float]], *, whole: float | None = None) -> list[dict[str, Any]]:
    """Bars one below the other: each with its share of the longest (or of ``whole``), 0 to 100."""
    most = whole if whole is not None else max((value for _, value in values), default=0)
    shares = [f"{100 * value / most:.1f}" if most else "0" for _, value in values]
    return [
        {"label": label, "value": value, "share": share} for (label, value), share in zip(values, shares, strict=True)
    ]
