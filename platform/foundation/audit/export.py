"""The log as static files, and reading them back: a format for auditors, mirrors and archives. Reading is pure.

``entries.jsonl``     one line per leaf, in order: ``{"body": text, "hash": hex, "index": n}``
``checkpoints.jsonl`` one line per signed checkpoint, oldest first: ``{"note": text}``
``checkpoint``        the newest signed note as it is
``public-key``        the log's key in C2SP form, for comparison with the one the reader already trusts
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundation.audit import canonical
from foundation.audit.rebuild import ExportedLeaf

ENTRIES = "entries.jsonl"
CHECKPOINTS = "checkpoints.jsonl"
CHECKPOINT = "checkpoint"
PUBLIC_KEY = "public-key"

MAX_LINE = 64 * 1024
"""Bytes of a line: a leaf's body is at most about 10 KiB, and JSON escapes at worst double it."""


class BadExport(ValueError):
    """The files are not an export of a log."""


def read_leaves(folder: Path) -> Iterator[ExportedLeaf]:
    """The leaves in file order. Raises BadExport, naming the line."""
    for number, line, found in _lines(folder / ENTRIES):
        # One spelling only: else a bit could change (a hash in capitals, a body under another name) and mean the same.
        if not line.endswith(b"\n") or not _is_canonical(line[:-1]):
            raise BadExport(f"{ENTRIES} line {number}: not the spelling of an export")
        if "body" not in found:
            raise BadExport(f"{ENTRIES} line {number}: no body")
        yield leaf_from(found, f"{ENTRIES} line {number}")


def read_checkpoints(folder: Path) -> Iterator[str]:
    """Every signed note, oldest first, the newest also from its own file. Raises BadExport."""
    for number, _, found in _lines(folder / CHECKPOINTS):
        if not isinstance(found.get("note"), str):
            raise BadExport(f"{CHECKPOINTS} line {number}: no note")
        yield found["note"]
    newest = folder / CHECKPOINT
    if newest.stat().st_size > MAX_LINE:
        raise BadExport(f"{CHECKPOINT} is too large")
    yield newest.read_text()


def leaf_from(found: dict[str, Any], place: str) -> ExportedLeaf:
    """A leaf from one line, or one row of the API (whose body may be left out). Raises BadExport."""
    index, body, hashed = found.get("index"), found.get("body"), found.get("hash")
    if type(index) is not int or index < 0 or not isinstance(hashed, str) or not isinstance(body, str | None):
        raise BadExport(f"{place}: not a leaf")
    if not found.keys() <= {"index", "body", "hash"}:
        raise BadExport(f"{place}: more than a leaf")
    try:
        leaf = ExportedLeaf(index, None if body is None else body.encode(), bytes.fromhex(hashed))
    except ValueError as error:
        raise BadExport(f"{place}: {error}") from error
    if leaf.leaf_hash.hex() != hashed:
        raise BadExport(f"{place}: a hash has one spelling")
    return leaf


def _is_canonical(line: bytes) -> bool:
    try:
        canonical.decode(line)
    except canonical.NotCanonical:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise BadExport(f"{path.name} line {number}: too long")
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadExport(f"{path.name} line {number}: not JSON") from error
            if not isinstance(found, dict):
                raise BadExport(f"{path.name} line {number}: not an object")
            yield number, line, found
