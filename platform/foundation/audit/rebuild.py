"""Building the whole log again from its leaves, and saying where it differs from what was signed. Pure.

Each exported leaf carries its hash, so a changed body is named by its index. A leaf whose body and hash were both
replaced is caught by the signed roots, and the checkpoints signed along the way narrow it down to a range.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from foundation.audit import events, merkle, notes

MAX_FINDINGS = 100
"""A report names this many findings; a log with more is not worth a longer list."""

What = Literal["missing", "changed", "reordered", "beyond", "root", "schema"]


@dataclass(frozen=True, slots=True)
class ExportedLeaf:
    """A leaf as exported. ``body`` is None where only its hash may be seen."""

    index: int
    body: bytes | None
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with leaves ``first`` to ``last`` (both included)."""

    what: What
    first: int
    last: int

    def __str__(self) -> str:
        where = f"leaf {self.first}" if self.first == self.last else f"leaves {self.first} to {self.last}"
        return {
            "missing": f"{where}: missing",
            "changed": f"{where}: the body does not have the hash that stands beside it",
            "reordered": f"{where}: out of its place",
            "beyond": f"{where}: after the end of the last signed checkpoint",
            "schema": f"{where}: not an event of a known kind and version with what it must state",
            "root": f"{where}: something here is not what was signed",
        }[self.what]


@dataclass(slots=True)
class Report:
    """``size`` leaves of ``origin``, of which ``bodies`` could be read, against ``checkpoints`` signed statements."""

    origin: str
    size: int
    checkpoints: int
    findings: list[Finding] = field(default_factory=list)
    bodies: int = 0

    @property
    def intact(self) -> bool:
        return not self.findings

    def add(self, what: What, first: int, last: int | None = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(what, first, first if last is None else last))


def rebuild(leaves: Iterable[ExportedLeaf], signed: Iterable[str], public_key: bytes) -> Report:
    """Compares the leaves, in the order they come, with the signed checkpoints (notes; at least one).

    Memory is O(log n) and one bit of state per leaf out of place. Raises notes.BadNote when a checkpoint is not
    signed by ``public_key`` (32 raw bytes), when they name different logs, or when there is none.
    """
    statements = sorted(
        (notes.verify(note, public_key) for note in dict.fromkeys(signed)), key=lambda found: found.size
    )
    if not statements:
        raise notes.BadNote("no checkpoint: nothing says what the log should be")
    if len({found.origin for found in statements}) > 1:
        raise notes.BadNote("checkpoints of different logs")
    report = Report(origin=statements[-1].origin, size=statements[-1].size, checkpoints=len(statements))
    frontier, displaced, good, broken = merkle.Frontier(), set[int](), 0, False
    expected = 0

    def compare() -> None:
        nonlocal good, broken
        while statements and statements[0].size <= frontier.size:
            stated = statements.pop(0)
            # Once a root differs all later ones do; the range before the first difference is what is worth naming.
            if not broken and stated.root != frontier.root():
                broken = True
                report.add("root", good, max(stated.size - 1, 0))
            good = stated.size

    compare()
    for leaf in leaves:
        if leaf.body is not None:
            report.bodies += 1
            if merkle.leaf_hash(leaf.body) != leaf.leaf_hash:
                report.add("changed", leaf.index)
            elif not events.conforms(leaf.body):
                report.add("schema", leaf.index)
        if leaf.index > expected:
            # Ahead of its place: those between are missing unless they turn up later.
            displaced.update(range(expected, min(leaf.index, expected + MAX_FINDINGS)))
        elif leaf.index < expected:
            report.add("reordered", leaf.index)
            displaced.discard(leaf.index)
        if leaf.index >= report.size:
            report.add("beyond", leaf.index)
        expected = max(expected, leaf.index + 1)
        frontier.append(leaf.leaf_hash)
        compare()
    for index in sorted(displaced):
        report.add("missing", index)
    if expected < report.size:
        report.add("missing", expected, report.size - 1)
    return report
