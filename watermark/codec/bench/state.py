"""What a bench has measured so far, clip by clip, in a file that it can go on from.

A file of JSON lines: first what was run (a state is only gone on with, or added to another, by the same code, weights
and options), then a line a finished clip. A clip is known by the SHA-256 of its file. A line that was cut off when the
bench was stopped is no line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from watermark import codec
from watermark.codec import measured
from watermark.codec.bench.measure import Clip, Outcome, Unmarked

FORMAT = 1


@dataclass
class Record:
    """All that one clip gave. ``rivals`` and ``ratio`` (dB): audiowmark on the same clip, where it was asked for."""

    sha256: str
    clip: Clip
    outcomes: list[Outcome]
    unmarked: Unmarked
    rivals: list[Outcome] = field(default_factory=list)
    ratio: float | None = None


def header(*, attacks: str, strength: float, scales: bool, against: str | None) -> dict[str, Any]:
    """What was run, as the first line of a state has it."""
    sources = sorted(Path(codec.__file__).parent.rglob("*.py"))
    code = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in sources)).hexdigest()
    return {
        "format": FORMAT, "code_sha256": code, "weights_sha256": measured.weights_sha256(), "attacks": attacks,
        "strength": strength, "scales": scales, "against": against,
    }  # fmt: skip


def _lines(path: Path) -> list[bytes]:
    """Whole lines."""
    return path.read_bytes().split(b"\n")[:-1]


def _record(line: bytes) -> Record:
    kept = json.loads(line)
    kept["clip"], kept["unmarked"] = Clip(**kept["clip"]), Unmarked(**kept["unmarked"])
    for name in ("outcomes", "rivals"):
        kept[name] = [Outcome(**outcome) for outcome in kept[name]]
    return Record(**kept)


class State:
    """The state in the file ``path``, made with ``head`` when there is none; ``records`` by clip.

    Raises ValueError when the file was made by something else.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.records: dict[str, Record] = {}
        lines = _lines(path) if path.exists() else []
        if lines:
            _same(path, json.loads(lines[0]), head)
            self.records = {record.sha256: record for record in map(_record, lines[1:])}
            os.truncate(path, sum(len(line) + 1 for line in lines))
        else:
            path.write_text(json.dumps(head) + "\n")
        self._path = path

    def add(self, record: Record) -> None:
        """Keep a finished clip."""
        self.records[record.sha256] = record
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def merged(paths: Sequence[Path]) -> tuple[dict[str, Any], list[Record]]:
    """What was run and the records of several states, every clip once. Raises ValueError when they do not belong
    together, or hold nothing."""
    records: dict[str, Record] = {}
    head: dict[str, Any] = {}
    for path in paths:
        lines = _lines(path)
        if not lines:
            raise ValueError(f"{path} is no state of a bench")
        head = head or json.loads(lines[0])
        _same(path, json.loads(lines[0]), head)
        records |= {record.sha256: record for record in map(_record, lines[1:])}
    if not records:
        raise ValueError("no clip is finished")
    return head, list(records.values())


def _same(path: Path, head: dict[str, Any], wanted: dict[str, Any]) -> None:
    if differing := sorted(name for name in head.keys() | wanted.keys() if head.get(name) != wanted.get(name)):
        raise ValueError(f"{path} was measured with another {', '.join(differing)}")
