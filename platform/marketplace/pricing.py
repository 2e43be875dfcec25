"""What a use costs, what the platform keeps, and what another currency makes of it. Pure: integers only.

**The rounding rule.** Money is integer minor units. Every amount is the difference of two running totals, each rounded
down: what a use earns is what all uses under its licence up to it have earned, less what those before it had. So
nothing is lost or gained by where a line or a month is cut, and a licence that is used up has earned exactly what its
order cost. The platform's fee is taken from the running total in the same way, so every fraction of it stays with the
owner. A conversion is rounded down once per currency and statement.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

BASIS_POINTS: Final = 10_000
"""A whole, in the unit of fees and shares."""
MAX_MINOR: Final = 10**15
"""No amount that is priced, converted or added up passes this; far below 2**53, where JSON readers stop counting."""
RATE_SCALE: Final = 10**8
"""Rates have at most eight decimals."""
EXPONENTS: Final[Mapping[str, int]] = {"CNY": 2, "EUR": 2, "GBP": 2, "JPY": 0, "USD": 2}
"""ISO 4217: how many decimals of the larger unit one minor unit is."""

_RATE = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class PriceProblem(ValueError):
    """A price, a quantity or a rate that cannot be."""


class UnknownCurrency(PriceProblem):
    """No such currency here, or none in the rate table."""


class Unit(StrEnum):
    """What a price is for."""

    CHARACTER = "character"
    SECOND = "second"
    OUTPUT = "output"
    MONTH = "month"
    SHARE = "share"


PER: Final[Mapping[Unit, int]] = {
    Unit.CHARACTER: 1_000,
    Unit.SECOND: 1_000,
    Unit.OUTPUT: 1,
    Unit.MONTH: 1,
    Unit.SHARE: BASIS_POINTS,
}
"""How much of what is counted a price is for: 1,000 characters; 1,000 milliseconds; one output; one month of 30 days;
and a share is basis points of the revenue that the customer reports, in minor units."""
BY_USE: Final = frozenset({Unit.CHARACTER, Unit.SECOND, Unit.OUTPUT})
"""Units that outputs count; the others are charged by `marketplace.charging`."""
MONTH_DAYS: Final = 30
"""A month that is paid for, in days."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one licence costs. ``quantity``: how much was ordered, beside the ``free`` part that comes first; both in
    what the unit counts (characters, milliseconds, outputs). ``fee_bp``: the platform's share in basis points."""

    unit: Unit
    price_minor: int
    currency: str
    quantity: int
    free: int
    fee_bp: int

    def __post_init__(self) -> None:
        if not (0 <= self.price_minor <= MAX_MINOR and 0 <= self.quantity <= MAX_MINOR and 0 <= self.free <= MAX_MINOR):
            raise PriceProblem("prices and quantities are 0 or more, and bounded")
        if not 0 <= self.fee_bp <= BASIS_POINTS:
            raise PriceProblem(f"a fee is 0 to {BASIS_POINTS} basis points")
        if self.price_minor and self.currency not in EXPONENTS:
            raise UnknownCurrency(self.currency)

    def gross(self, used: int) -> int:
        """What ``used`` has earned in all: the free part is worth nothing, and more than was ordered earns no more."""
        if used < 0:
            raise PriceProblem("nothing is used less than not at all")
        if self.unit is Unit.SHARE:
            return used * self.price_minor // PER[self.unit]  # of revenue: nothing was ordered beforehand
        return min(max(used - self.free, 0), self.quantity) * self.price_minor // PER[self.unit]

    def fee(self, gross: int) -> int:
        """The platform's part of so much earned in all."""
        return gross * self.fee_bp // BASIS_POINTS


GRANTED: Final = Terms(Unit.CHARACTER, 0, "", 0, 0, 0)
"""A licence the owner gave outside the marketplace, and the owner's own use: a line of zero, never a missing line."""


@dataclass(frozen=True, slots=True)
class Rates:
    """A dated rate table: one unit of ``base`` is ``rates[currency] / RATE_SCALE`` units of the currency."""

    date: str
    base: str
    rates: Mapping[str, int]

    def convert(self, minor: int, source: str, target: str) -> int:
        """``minor`` units of ``source`` in minor units of ``target``, rounded down. Raises PriceProblem."""
        if not 0 <= minor <= MAX_MINOR:
            raise PriceProblem("amounts are 0 or more, and bounded")
        if source == target:
            return minor
        above, below = self._rate(target), self._rate(source)
        shift = EXPONENTS[target] - EXPONENTS[source]
        if shift >= 0:
            above *= 10**shift
        else:
            below *= 10**-shift
        return minor * above // below

    def _rate(self, currency: str) -> int:
        if currency not in EXPONENTS:
            raise UnknownCurrency(currency)
        if currency == self.base:
            return RATE_SCALE
        if currency not in self.rates:
            raise UnknownCurrency(f"the table of {self.date} has no {currency}")
        return self.rates[currency]


def read_rates(table: Any) -> Rates:
    """The table behind ``{"v": 1, "date": "YYYY-MM-DD", "base": "EUR", "rates": {"USD": "1.0853"}}``.

    Raises PriceProblem, UnknownCurrency.
    """
    if not isinstance(table, dict) or table.keys() != {"v", "date", "base", "rates"} or table["v"] != 1:
        raise PriceProblem("a rate table has v, date, base and rates")
    date, base, rates = table["date"], table["base"], table["rates"]
    if not isinstance(date, str) or not _DATE.fullmatch(date):
        raise PriceProblem("a rate table has a date, YYYY-MM-DD")
    if not isinstance(rates, dict) or not rates:
        raise PriceProblem("a rate table has at least one rate")
    for currency in (base, *rates):
        if not isinstance(currency, str) or currency not in EXPONENTS:
            raise UnknownCurrency(str(currency)[:40])
    if base in rates:
        raise PriceProblem("the base has no rate of its own")
    return Rates(date, base, {currency: _rate(text) for currency, text in rates.items()})


def _rate(text: Any) -> int:
    if not isinstance(text, str) or not _RATE.fullmatch(text):
        raise PriceProblem("a rate is a decimal number as text, with at most eight decimals")
    whole, _, part = text.partition(".")
    value = int(whole) * RATE_SCALE + int(part.ljust(8, "0") or "0")
    if value == 0:
        raise PriceProblem("a rate is above zero")
    return value
