"""A found recording as a picture: its outline, and over it where each match lies. Numbers only, for an SVG."""

from typing import Any, Final

WIDTH: Final = 800
HEIGHT: Final = 120


def of(trace: dict[str, Any]) -> dict[str, Any] | None:
    """``{"width", "height", "path", "matches": [{"x", "width", "output", "n"}], "seconds"}``; None when the outline is
    forgotten."""
    recording = trace["recording"]
    outline, seconds = recording.get("outline"), float(recording.get("seconds") or 0)
    if not outline or seconds <= 0:
        return None
    step, middle = WIDTH / len(outline), HEIGHT / 2
    bars = [
        f"M{(i + 0.5) * step:.1f} {middle - peak * middle / 100:.1f}V{middle + peak * middle / 100:.1f}"
        for i, peak in enumerate(outline)
    ]
    matches = [
        {
            "n": n,
            "x": round(WIDTH * max(hit["start_s"], 0) / seconds, 1),
            "width": round(WIDTH * max(min(hit["end_s"], seconds) - max(hit["start_s"], 0), 0) / seconds, 1),
            "output": hit["output"],
        }
        for n, hit in enumerate(trace["hits"], start=1)
    ]
    return {"width": WIDTH, "height": HEIGHT, "path": "".join(bars), "matches": matches, "seconds": seconds}
