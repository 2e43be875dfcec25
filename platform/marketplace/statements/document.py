"""The statement's file: one line of header, then one line a use. Every byte is read back by ``verify``. Pure.

    header   canonical JSON: {"format", "summary", "owner_salt", "terms", "charges", "rates", "checkpoint", "proofs"}
    use      [number,"output","licence"|null,"at",uses before,characters before,milliseconds before,
              characters,milliseconds,gross,fee]

    charge   [number,"licence","at","about",before,count,gross,fee], in the header

Each line ends in a newline, the last one too. The first form of the file had no charges. A proof is a leaf of the log
with its way to the one checkpoint.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from foundation.audit import canonical
from marketplace.statements.sheets import Sheet

FORMAT: Final = "vouch-statement-2"
FIRST: Final = "vouch-statement-1"
_KEYS: Final = frozenset({"format", "summary", "owner_salt", "terms", "rates", "checkpoint", "proofs"})
_PROOFS: Final = frozenset({"statement", "last", "rates", "terms", "adjustments"})
KEYS: Final = {FIRST: _KEYS, FORMAT: _KEYS | {"charges"}}
PROOFS: Final = {FIRST: _PROOFS, FORMAT: _PROOFS | {"charged"}}
MAX_HEADER: Final = 64 * 1024 * 1024
"""Bytes of a header that are read: some ten thousand licences."""
MAX_LINE: Final = 512
"""Bytes of a use's line that are read."""


class BadFile(ValueError):
    """The file is no statement, or not the one its own parts say."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """Leaves with their proofs, ``{"index", "body", "proof"}`` each, all under one checkpoint.

    ``statement``: the leaf that commits to the summary. ``last``: the leaf of the last use's output, which commits to
    all uses before it; None without uses. ``rates``: of the rate table, where one is used. ``terms``: one for each
    sheet, in their order. ``adjustments``: the ledger's reversals of the month. ``charged``: the leaf of the last
    charge, which commits to all before it; None without charges.
    """

    statement: Mapping[str, Any]
    last: Mapping[str, Any] | None
    rates: Mapping[str, Any] | None
    terms: list[Mapping[str, Any]]
    adjustments: list[Mapping[str, Any]]
    charged: Mapping[str, Any] | None = None


def header(
    *, summary: Mapping[str, Any], owner_salt: bytes, sheets: Iterable[Sheet], rates: Mapping[str, Any] | None,
    checkpoint: str, proofs: Proofs, charges: Iterable[bytes] = (),
) -> bytes:  # fmt: skip
    """The first line, newline included. ``owner_salt``: opens the owner's tags in the leaves (`audit.commitments`);
    ``charges``: their priced lines. The summary's version says which form the file has.

    Raises canonical.NotCanonical.
    """
    first = summary["v"] == 1
    whole: dict[str, Any] = {
        "format": FIRST if first else FORMAT,
        "summary": dict(summary),
        "owner_salt": owner_salt.hex(),
        "terms": [sheet.data() for sheet in sorted(sheets, key=lambda sheet: sheet.licence)],
        "rates": rates,
        "checkpoint": checkpoint,
        "proofs": {
            "statement": proofs.statement,
            "last": proofs.last,
            "rates": proofs.rates,
            "terms": proofs.terms,
            "adjustments": proofs.adjustments,
        },
    }
    if not first:
        whole["charges"] = [canonical.decode(line) for line in charges]
        whole["proofs"]["charged"] = proofs.charged
    return canonical.encode(whole) + b"\n"


def read_header(file: BinaryIO) -> dict[str, Any]:
    """The first line's value. Raises BadFile."""
    line = file.readline(MAX_HEADER)
    if not line.endswith(b"\n"):
        raise BadFile("the header is not there, or too long")
    try:
        found = canonical.decode(line[:-1])
    except canonical.NotCanonical as error:
        raise BadFile(f"the header is {error}") from error
    form = found.get("format") if isinstance(found, dict) else None
    if not isinstance(form, str) or form not in KEYS or found.keys() != KEYS[form]:
        raise BadFile(f"this is no file of the form {FORMAT}")
    proofs = found["proofs"]
    if not isinstance(proofs, dict) or proofs.keys() != PROOFS[form]:
        raise BadFile("the header's proofs have other keys")
    if form == FIRST:
        found["charges"], proofs["charged"] = [], None
    lists = [found["terms"], found["charges"], proofs["terms"], proofs["adjustments"]]
    if not all(isinstance(part, list) for part in lists) or not isinstance(found["checkpoint"], str):
        raise BadFile("the header has another shape")
    if (
        not isinstance(found["summary"], dict)
        or found["summary"].get("v") != (1 if form == FIRST else 2)
        or not isinstance(found["owner_salt"], str)
    ):
        raise BadFile("the header has no summary")
    return found


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The uses' lines without their newlines. Raises BadFile for one that is too long or the file's end without one."""
    while line := file.readline(MAX_LINE):
        if not line.endswith(b"\n"):
            raise BadFile("a line is too long, or the file breaks off")
        yield line[:-1]
