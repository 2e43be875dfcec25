"""One use as a leaf: what is priced, in one spelling, and the chain that ties an owner's uses of a month. Pure.

Each owner has one **account** a calendar month (UTC). Its uses are numbered from 0 without gaps; each moves the
account's **head** on by one hash, and `output.sealed`, the log's leaf of the output, carries the use's hash, its
number and the head after it. So every use, in the moment it happened, committed to all uses before it: a statement
that leaves one out, changes one or swaps two has another head than the log. A month's first head hangs on the last
head of the owner's month before, so that the end of a month cannot be cut off either (docs/statements.md).

    line    ["<number>" ... ]         canonical JSON: see ``UsageLeaf``
    hash    SHA-256(0x00 || line)
    account SHA-256("vouch usage account v1" 0x00 owner 0x00 period)
    head    before the first use:  SHA-256(0x03 || account || head of the month before, or 32 zero bytes)
            after each use:        SHA-256(0x02 || head || hash)
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

NO_HEAD: Final = bytes(32)
"""Stands for the month before in an owner's first account."""
MAX_COUNT: Final = 2**53 - 1
"""No counter passes what a double holds exactly: canonical JSON has no larger numbers."""

_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_WHOLE = r"(0|[1-9][0-9]{0,15})"
_LINE = re.compile(
    rf'\[{_WHOLE},"({_UUID})",(?:null|"({_UUID})"),"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:'
    rf'[0-9]{{2}}\.[0-9]{{6}}\+00:00)",{_WHOLE},{_WHOLE},{_WHOLE},{_WHOLE},{_WHOLE}\]'
)


class BadUsage(ValueError):
    """These bytes are no use, or a use that cannot be."""


@dataclass(frozen=True, slots=True)
class UsageLeaf:
    """One output. ``licence`` is None for the owner's own use. ``at``: ISO 8601, microseconds, UTC.

    ``uses_before``, ``characters_before``, ``milliseconds_before`` count the earlier uses under the same licence, of
    all months; 0 for own use. ``milliseconds`` is the length of the speech, without the label.
    """

    number: int
    output: str
    licence: str | None
    at: str
    uses_before: int
    characters_before: int
    milliseconds_before: int
    characters: int
    milliseconds: int

    def line(self) -> bytes:
        """The canonical JSON of the fields in their order."""
        licence = f'"{self.licence}"' if self.licence else "null"
        return (
            f'[{self.number},"{self.output}",{licence},"{self.at}",{self.uses_before},{self.characters_before},'
            f"{self.milliseconds_before},{self.characters},{self.milliseconds}]"
        ).encode()


def parse(line: bytes) -> UsageLeaf:
    """The use behind a line. Raises BadUsage for any other spelling."""
    try:
        found = _LINE.fullmatch(line.decode("ascii"))
    except UnicodeDecodeError as error:
        raise BadUsage("not a use") from error
    if found is None:
        raise BadUsage("not a use")
    number, output, licence, at, *counts = found.groups()
    return UsageLeaf(int(number), output, licence, at, *map(int, counts))


def leaf_hash(line: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + line).digest()


def account(owner: str, period: str) -> bytes:
    """The account's name in the log: says nothing to whoever does not know the owner's random id."""
    if not _PERIOD.fullmatch(period):
        raise BadUsage("a period is YYYY-MM")
    return hashlib.sha256(b"\x00".join([b"vouch usage account v1", owner.encode(), period.encode()])).digest()


def opening(named: bytes, before: bytes) -> bytes:
    """The head of an account without uses. ``before``: the last head of the owner's account before, or NO_HEAD."""
    return hashlib.sha256(b"\x03" + named + before).digest()


def advance(head: bytes, use: bytes) -> bytes:
    """The head after one more use, given by its hash."""
    return hashlib.sha256(b"\x02" + head + use).digest()


def follow(head: bytes, line: bytes) -> bytes:
    """``advance`` by a use's line."""
    return hashlib.sha256(b"\x02" + head + hashlib.sha256(b"\x00" + line).digest()).digest()


def period_of(at: datetime) -> str:
    """The calendar month (UTC) of an aware time."""
    return at.astimezone(UTC).strftime("%Y-%m")


def moment(at: datetime) -> str:
    """An aware time as leaves spell it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
