"""A charge as a leaf: what was earned by the month, or of declared revenue, and the chain of an owner's charges. Pure.

An owner's charges are numbered from 0 without gaps, over all months; each moves the owner's head on by one hash, and
`charge.made`, the log's leaf of the charge, carries its hash, its number and the head after it. So each charge commits
to all before it, as uses do (`cloning.usage_leaf`, whose hashes these are).

    line    [number,"licence","at","about",before,count]      canonical JSON
    account SHA-256("vouch charge account v1" 0x00 owner)
    head    before the first charge:  SHA-256(0x03 || account || 32 zero bytes)
            after each:               SHA-256(0x02 || head || hash)

``about`` of a month paid for is the moment (ISO 8601) it was over; of a share, the month (YYYY-MM) that was declared.
``before`` and ``count`` are in what the unit counts: months; minor units of revenue, of which nothing stands before.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from cloning import usage_leaf
from marketplace.pricing import MAX_MINOR, Terms, Unit

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_AT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00")
_ABOUT: Final = {Unit.MONTH: _AT, Unit.SHARE: re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")}


class BadCharge(ValueError):
    """These values are no charge, or a charge that cannot be."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One line. ``at``: when it was booked, ISO 8601, microseconds, UTC."""

    number: int
    licence: str
    at: str
    about: str
    before: int
    count: int

    def line(self) -> bytes:
        """The canonical JSON of the fields in their order."""
        return (f'[{self.number},"{self.licence}","{self.at}","{self.about}",{self.before},{self.count}]').encode()

    def amounts(self, terms: Terms) -> tuple[int, int]:
        """Gross and fee, minor units: by the rounding rule, what is earned with it less what was before it.

        Raises BadCharge for terms that are counted by use, or another kind of ``about``; PriceProblem.
        """
        form = _ABOUT.get(terms.unit)
        if form is None or not form.fullmatch(self.about) or (terms.unit is Unit.SHARE and self.before):
            raise BadCharge(f"charge {self.number} is not what its licence is paid by")
        before, now = terms.gross(self.before), terms.gross(self.before + self.count)
        return now - before, terms.fee(now) - terms.fee(before)


def read(row: Any) -> tuple[Charge, int, int]:
    """A charge, its gross and its fee out of a statement's header. Raises BadCharge."""
    if not isinstance(row, list) or len(row) != 8:
        raise BadCharge("a charge has eight fields")
    number, licence, at, about, before, count, gross, fee = row
    if not all(isinstance(one, str) for one in (licence, at, about)):
        raise BadCharge("a charge's names are text")
    if not all(type(one) is int and 0 <= one <= MAX_MINOR for one in (number, before, count, gross, fee)):
        raise BadCharge("a charge's numbers are 0 or more, and bounded")
    if not _UUID.fullmatch(licence) or not _AT.fullmatch(at):
        raise BadCharge("a charge names a licence and a time")
    return Charge(number, licence, at, about, before, count), gross, fee


def account(owner: str) -> bytes:
    """The name of an owner's charges in the log."""
    return hashlib.sha256(b"\x00".join([b"vouch charge account v1", owner.encode()])).digest()


def opening(owner: str) -> bytes:
    """The head before the first charge."""
    return usage_leaf.opening(account(owner), usage_leaf.NO_HEAD)


def follow(head: bytes, line: bytes) -> bytes:
    """The head after one more charge."""
    return usage_leaf.follow(head, line)


def commitment(owner: str, charge: Charge, head: bytes) -> dict[str, Any]:
    """What the leaf `charge.made` carries. ``head``: after the charge."""
    return {
        "account": account(owner).hex(),
        "number": charge.number,
        "leaf": usage_leaf.leaf_hash(charge.line()).hex(),
        "head": head.hex(),
    }
