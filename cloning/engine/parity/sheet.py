"""One file's comparison: what was expected, what came out, how far apart they are, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Status = Literal["passed", "failed", "advisory", "not implemented"]


@dataclass(frozen=True)
class Row:
    """The verdict on one file. `worst`: the difference of the quantity nearest to (or farthest beyond) its tolerance;
    `where`: its name. `details`: everything else worth knowing, as plain JSON."""

    file: str
    group: str
    status: Status
    worst: float
    tolerance: str
    where: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The row as printed."""
        place = f"  {self.where}" if self.where else ""
        verdict = f"{self.status:15} {self.group:12} {self.file:34}"
        return f"{verdict} worst {self.worst:<9.3g} tolerance {self.tolerance}{place}"


class Sheet:
    """Collects the comparisons of one file.

    `golden`: the file's arrays or values by name. Every one must be taken (`take`) as an input or compared: what nobody
    looked at is a failure.
    """

    def __init__(self, golden: Mapping[str, Any]) -> None:
        self.golden = golden
        self._seen: set[str] = set()
        self._excess = -1.0
        self._worst: tuple[float, str, str] = (0.0, "exact", "")
        self.first_failure = ""

    def take(self, *names: str) -> Any:
        """Golden values used as inputs: one, or a tuple of several."""
        self._seen.update(names)
        values = tuple(self.golden[name] for name in names)
        return values[0] if len(values) == 1 else values

    def ignore(self, names: Iterable[str]) -> None:
        """Values that describe the file and are neither inputs nor results."""
        self._seen.update(names)

    def close(self, name: str, got: Tensor, *, atol: float, rtol: float = 0.0) -> None:
        """|got - golden| <= atol + rtol * |golden| for every element, in float64."""
        self.close_to(name, got, self.take(name), atol=atol, rtol=rtol)

    def close_to(self, name: str, got: Tensor, golden: Tensor, *, atol: float, rtol: float = 0.0) -> None:
        """Like `close`, against a value that is not stored under this very name."""
        tolerance = f"{atol:g}" + (f" + {rtol:g}|x|" if rtol else "")
        if tuple(got.shape) != tuple(golden.shape):
            self._note(name, float("inf"), float("inf"), f"shape {tuple(golden.shape)}, got {tuple(got.shape)}")
            return
        if golden.numel() == 0:
            self._note(name, 0.0, 0.0, tolerance)
            return
        got, golden = got.detach().double().cpu(), golden.double()
        difference = (got - golden).abs()
        excess = (difference / (atol + rtol * golden.abs())).max()
        self._note(name, float(difference.max()), float(torch.nan_to_num(excess, nan=float("inf"))), tolerance)

    def exact(self, name: str, got: object, golden: object = None) -> None:
        """The same values: tensors element by element, everything else by ==."""
        golden = self.take(name) if golden is None else golden
        if isinstance(golden, Tensor):
            same_shape = isinstance(got, Tensor) and got.shape == golden.shape
            wrong = int((got.cpu() != golden).sum()) if same_shape and isinstance(got, Tensor) else golden.numel() or 1
            self._note(name, float(wrong), float(wrong) * 1e9, "exact")
        else:
            self._note(name, float(got != golden), float(got != golden) * 1e9, "exact")

    def share(self, name: str, right: int, of: int, least: float) -> None:
        """At least the share `least` of the rows must be right; the worst difference is the share of wrong ones."""
        wrong = 1.0 - right / of if of else 1.0
        allowed = 1.0 - least
        self._note(name, wrong, wrong / allowed if allowed else wrong * 1e9, f"{allowed:.3g} of rows may differ")

    def _note(self, name: str, difference: float, excess: float, tolerance: str) -> None:
        if not excess <= 1.0 and not self.first_failure:
            self.first_failure = name
        if excess > self._excess:
            self._excess, self._worst = excess, (difference, tolerance, name)

    def row(self, file: str, group: str, details: dict[str, Any] | None = None) -> Row:
        """The verdict, once every golden value has been dealt with."""
        forgotten = sorted(set(self.golden) - self._seen)
        if forgotten:
            return Row(file, group, "failed", float("inf"), "everything is compared", f"not understood: {forgotten[0]}")
        worst, tolerance, where = self._worst
        status: Status = "passed" if 0.0 <= self._excess <= 1.0 else "failed"
        where = self.first_failure or where
        return Row(file, group, status, worst, tolerance, where, details or {})
