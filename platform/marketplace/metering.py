"""What was used, priced: a statement is a pure function of usage rows and terms, so anybody can recompute it.

**The rounding rule.** Money is integer minor units (cents). What ``n`` characters have earned under one licence is
``n * price // 1000``, rounded down. A statement's line is what all characters up to its end have earned, less what
all characters up to its beginning had earned. So nothing is lost or gained by where a period is cut: the statements of
consecutive periods add up exactly to the statement of the whole, and a licence that is used up has earned exactly what
its order cost. A use without a price is a line of zero, never a missing line.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marketplace import pricing

PER_CHARACTERS: Final = 1_000
"""Prices are for this many characters: a cent per character would be too coarse."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One output. ``licence`` is None for the owner's own use. ``milliseconds``: length of the sound."""

    licence: str | None
    characters: int
    milliseconds: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """``price_minor`` for ``PER_CHARACTERS`` characters; 0 with an empty currency where no money is asked.

    ``rule``: an order's own terms, by whatever unit it has; without them the price is for characters.
    """

    price_minor: int
    currency: str
    rule: pricing.Terms | None = None


FREE: Final = Terms(0, "")
"""Own use, and licences the owner granted outside the marketplace."""


@dataclass(frozen=True, slots=True)
class Line:
    licence: str | None
    currency: str
    price_minor: int
    uses: int
    characters: int
    milliseconds: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Statement:
    """``lines`` ordered by licence, own use first; ``totals``: minor units by currency, free lines left out."""

    since: datetime
    until: datetime
    lines: tuple[Line, ...]
    totals: dict[str, int]


@dataclass(slots=True)
class Meter:
    """What was used under one licence, before the period and in it; ``charged``: minor units by the month or of
    revenue, which uses do not count."""

    before: int = 0
    before_ms: int = 0
    before_uses: int = 0
    characters: int = 0
    milliseconds: int = 0
    uses: int = 0
    charged: int = 0


class UnknownTerms(ValueError):
    """A usage row names a licence without terms: pricing it as free would hide it."""


def earned(characters: int, price_minor: int) -> int:
    """Whole minor units for so many characters under one licence, rounded down. Raises ValueError below zero."""
    if characters < 0 or price_minor < 0:
        raise ValueError("characters and prices are not negative")
    return characters * price_minor // PER_CHARACTERS


def price(
    rows: Iterable[UsageRow], terms: Mapping[str | None, Terms], *, since: datetime, until: datetime
) -> Statement:
    """The statement for ``since <= at < until``.

    ``rows``: every use from the beginning up to ``until``, in any order (later ones are ignored): the earlier ones are
    needed for exact rounding. Raises UnknownTerms, ValueError unless ``since < until``.
    """
    meters: dict[str | None, Meter] = defaultdict(Meter)
    for row in rows:
        if row.at >= until:
            continue
        if row.at < since:
            early = meters[row.licence]
            early.before += row.characters
            early.before_ms += row.milliseconds
            early.before_uses += 1
            continue
        meter = meters[row.licence]
        meter.characters += row.characters
        meter.milliseconds += row.milliseconds
        meter.uses += 1
    return price_meters(meters, terms, since=since, until=until)


def price_meters(
    meters: Mapping[str | None, Meter], terms: Mapping[str | None, Terms], *, since: datetime, until: datetime
) -> Statement:
    """As ``price``, of what is added up already. Raises UnknownTerms, ValueError unless ``since < until``."""
    if since >= until:
        raise ValueError("a statement's period begins before it ends")
    for licence in meters:
        if licence not in terms:
            raise UnknownTerms(f"no terms for licence {licence}")
    lines = tuple(
        _line(licence, meter, terms[licence])
        for licence, meter in sorted(meters.items(), key=lambda item: item[0] or "")
        if meter.uses or meter.charged
    )
    totals: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.currency:
            totals[line.currency] += line.amount_minor
    return Statement(since, until, lines, dict(sorted(totals.items())))


def _line(licence: str | None, meter: Meter, terms: Terms) -> Line:
    if terms.rule is None:
        amount = earned(meter.before + meter.characters, terms.price_minor) - earned(meter.before, terms.price_minor)
    elif terms.rule.unit not in pricing.BY_USE:
        amount = meter.charged
    else:
        before, used = _counted(terms.rule.unit, meter)
        amount = terms.rule.gross(before + used) - terms.rule.gross(before)
    return Line(licence, terms.currency, terms.price_minor, meter.uses, meter.characters, meter.milliseconds, amount)


def _counted(unit: pricing.Unit, meter: Meter) -> tuple[int, int]:
    """Before the period and in it, in what the unit counts."""
    if unit == pricing.Unit.SECOND:
        return meter.before_ms, meter.milliseconds
    if unit == pricing.Unit.OUTPUT:
        return meter.before_uses, meter.uses
    return meter.before, meter.characters
