"""Plots as SVG text, drawn with the page's own colours (CSS classes `voice`, `source`, `axis`). No scripts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

#: Width of every plot in its own units; the page scales it.
WIDTH = 640
LEFT, RIGHT = 230, 20


def intervals(title: str, rows: Sequence[tuple[str, Any, Any]], most: float | None = None) -> str:
    """Rows of (name, voice's figure, source's figure), figures as `Figure.to_dict` or None: points with their 95 %
    intervals on one scale from 0 to `most`."""
    given = [figure for _, *pair in rows for figure in pair if figure]
    top = most or max([0.1, *((figure["high"] or figure["value"]) for figure in given)])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(value / top, 0.0), 1.0)

    out, y = [], 14
    for name, voice, source in rows:
        out.append(_text(LEFT - 10, y + 11, name, "end"))
        for figure, style, at in ((source, "source", y + 2), (voice, "voice", y + 12)):
            if figure:
                low, high = (figure["value"] if end is None else end for end in (figure["low"], figure["high"]))
                out.append(f'<line class="{style}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{at}" y2="{at}"/>')
                out.append(f'<circle class="{style}" cx="{x(figure["value"]):.1f}" cy="{at}" r="4"/>')
        y += 30
    ticks = [(x(value), f"{value:g}") for value in _ticks(0.0, top)]
    return _svg(title, y + 18, [_axis(ticks, y), *out])


def strip(title: str, rows: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    """Rows of (name, class, values): every value as a faint stroke, the mean as a point; the scale ends at 1."""
    values = [value for _, _, row in rows for value in row]
    low, high = min([0.5, *values]) - 0.02, max([1.0, *values])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    out, y = [], 14
    for name, style, row in rows:
        out.append(_text(LEFT - 10, y + 11, name, "end"))
        out += [f'<line class="{style} faint" x1="{x(v):.1f}" x2="{x(v):.1f}" y1="{y}" y2="{y + 14}"/>' for v in row]
        if row:
            out.append(f'<circle class="{style}" cx="{x(sum(row) / len(row)):.1f}" cy="{y + 7}" r="4.5"/>')
        y += 26
    return _svg(title, y + 20, [_axis([(x(value), f"{value:g}") for value in _ticks(low, high)], y), *out])


def contours(title: str, rows: Sequence[tuple[str, Sequence[float | None]]], rate: float) -> str:
    """Lines over time, (class, values) with `rate` values a second; a None is a gap."""
    known = [value for _, row in rows for value in row if value is not None]
    low, high = min([-6.0, *known]), max([6.0, *known])
    longest = max(len(row) for _, row in rows)
    height, left = 150, 40

    def x(place: float) -> float:
        return left + (WIDTH - left - RIGHT) * place / max(1, longest - 1)

    def y(value: float) -> float:
        return 8 + (height - 16) * (high - value) / (high - low)

    out = [
        f'<polyline class="{style}" points="{" ".join(f"{x(p):.1f},{y(v):.1f}" for p, v in piece)}"/>'
        for style, row in rows
        for piece in _unbroken(row)
    ]
    out += [_text(left - 6, y(value) + 4, f"{value:g}", "end") for value in _ticks(low, high, 4)]
    seconds = [(x(second * rate), f"{second:g} s") for second in _ticks(0, (longest - 1) / rate)]
    return _svg(title, height + 22, [_axis(seconds, height, left), *out])


def scatter(title: str, pairs: Sequence[Sequence[float]], names: tuple[str, str]) -> str:
    """Pairs of seconds (across, up) on logarithmic axes, with the line where both are equal."""
    values = [value for pair in pairs for value in pair]
    low, high = math.log(min([0.05, *values])), math.log(max([1.0, *values]))
    side, left = 300, 60

    def place(value: float) -> float:
        return side * (math.log(value) - low) / (high - low)

    marks = [value for value in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if low <= math.log(value) <= high]
    out = [f'<line class="limit" x1="{left}" y1="{side + 8}" x2="{left + side}" y2="8"/>']
    out += [
        f'<circle class="voice faint" cx="{left + place(a):.1f}" cy="{8 + side - place(b):.1f}" r="3"/>'
        for a, b in pairs
    ]
    out += [_text(left - 6, 12 + side - place(value), f"{value:g} s", "end") for value in marks]
    out.append(_text(left + side + 16, side / 2, f"up: {names[1]}", "start"))
    out.append(_text(left + side + 16, side / 2 + 20, f"across: {names[0]}", "start"))
    across = [(left + place(value), f"{value:g} s") for value in marks]
    return _svg(title, side + 32, [_axis(across, side + 8, left, left + side), *out])


def _svg(title: str, height: float, parts: Iterable[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {height:.0f}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _axis(ticks: Sequence[tuple[float, str]], y: float, left: float = LEFT, right: float = WIDTH - RIGHT) -> str:
    lines = f'<line class="axis" x1="{left}" x2="{right}" y1="{y:.0f}" y2="{y:.0f}"/>'
    for x, name in ticks:
        lines += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{y:.0f}"/>' + _text(
            x, y + 15, name, "middle"
        )
    return lines


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers within low..high, about as many as wanted."""
    rough = (high - low) / wanted
    unit: float = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _unbroken(row: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    pieces: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(row):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((place, value))
    return [piece for piece in pieces if len(piece) > 1]
