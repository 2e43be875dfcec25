"""The statement itself: uses in, priced lines and a summary out. Pure, and the same for whoever makes and who checks.

One pass over an owner's uses of a month, in the order of their numbers: prices each (`marketplace.pricing`), moves the
account's head on, and grows a Merkle sum tree over the priced lines; the month's charges (`charges`) come after them.
A million lines take seconds and O(log n) memory.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cloning import usage_leaf
from foundation.audit import canonical
from marketplace.pricing import GRANTED, MAX_MINOR, PriceProblem, Rates, Terms, Unit
from marketplace.statements import charges
from marketplace.statements.charges import BadCharge, Charge
from marketplace.statements.sheets import Sheet
from marketplace.statements.sumtree import Builder

VERSION: Final = 2
"""1 knew no charges."""


class Use(NamedTuple):
    """A use's line (`cloning.usage_leaf`) and the fields of it that are priced. ``licence`` is None for own use."""

    line: bytes
    licence: str | None
    uses_before: int
    characters_before: int
    milliseconds_before: int
    characters: int
    milliseconds: int


class NoTerms(ValueError):
    """A use names a licence without a terms sheet: pricing it as free would hide it."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose month. ``before``: the last head of the owner's account before, or 32 zero bytes."""

    owner: str
    period: str
    before: bytes

    @property
    def name(self) -> bytes:
        return usage_leaf.account(self.owner, self.period)

    @property
    def opened(self) -> bytes:
        return usage_leaf.opening(self.name, self.before)


@dataclass(frozen=True, slots=True)
class Total:
    """Of one currency, in minor units. ``reversed``: earned before and taken back, after a dispute that was lost."""

    gross: int
    fee: int
    reversed: int

    @property
    def net(self) -> int:
        """What the owner has from the month; below zero when more was taken back than earned."""
        return self.gross - self.fee - self.reversed

    def data(self) -> dict[str, int]:
        return {"gross": self.gross, "fee": self.fee, "reversed": self.reversed, "net": self.net}


@dataclass(frozen=True, slots=True)
class Charged:
    """The owner's charges before the month's: how many, and the head after them."""

    first: int
    before: bytes


class Calculation:
    """Takes the uses one by one with ``add``, then the charges with ``charge``; ``summary`` says what they come to."""

    def __init__(
        self,
        account: Account,
        sheets: Iterable[Sheet],
        adjusted: Sequence[tuple[str, int]] = (),
        charged: Charged | None = None,
    ) -> None:
        """``adjusted``: reversals of the month, (currency, minor units). ``charged``: None before the first charge."""
        self.account = account
        self.charged = charged or Charged(0, charges.opening(account.owner))
        self.charges = 0
        self.charge_head = self.charged.before
        self.sheets = {sheet.licence: sheet for sheet in sheets}
        self.head = account.opened
        priced = {sheet.terms.currency for sheet in self.sheets.values()} | {currency for currency, _ in adjusted}
        self.currencies = sorted(priced - {""})
        self._reversed = dict.fromkeys(self.currencies, 0)
        for currency, minor in adjusted:
            self._reversed[currency] += minor
        width = 2 * len(self.currencies)
        self._tree = Builder(2 + width)
        self._terms: dict[str | None, Terms] = {licence: sheet.terms for licence, sheet in self.sheets.items()}
        self._terms[None] = GRANTED
        # Zeros before and after a currency's own two sums, for each licence; all of them where nothing is paid.
        self._around: dict[str | None, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        for licence, terms in self._terms.items():
            place = 2 * self.currencies.index(terms.currency) if terms.currency else width
            self._around[licence] = ((0,) * place, (0,) * max(width - place - 2, 0))
        self._totals: dict[str | None, tuple[int, int, int]] = {}

    @property
    def uses(self) -> int:
        return self._tree.size - self.charges

    def add(self, use: Use) -> bytes:
        """The priced line: the use's own, with its gross amount and the fee of it. Raises NoTerms, SumProblem."""
        terms = self._terms.get(use.licence)
        if terms is None:
            raise NoTerms(f"no terms for licence {use.licence}")
        left, right = self._around[use.licence]
        if terms.currency:
            gross, fee = self._priced(terms, use)
            sums = (use.characters, use.milliseconds, *left, gross, fee, *right)
        else:
            gross = fee = 0
            sums = (use.characters, use.milliseconds, *left)
        line = b"%b,%d,%d]" % (use.line[:-1], gross, fee)
        self._tree.add(line, sums)
        self.head = usage_leaf.follow(self.head, use.line)
        return line

    def charge(self, charge: Charge) -> tuple[bytes, int, int]:
        """The priced line, its gross amount and its fee. Raises NoTerms, BadCharge, PriceProblem, SumProblem."""
        terms = self._terms.get(charge.licence)
        if terms is None:
            raise NoTerms(f"no terms for licence {charge.licence}")
        if charge.number != self.charged.first + self.charges:
            raise BadCharge(f"charge {charge.number} is not the next one")
        gross, fee = charge.amounts(terms)
        line = charge.line()
        left, right = self._around[charge.licence]
        priced = b"%b,%d,%d]" % (line[:-1], gross, fee)
        self._tree.add(priced, (0, 0, *left, *((gross, fee) if terms.currency else ()), *right))
        self.charges += 1
        self.charge_head = charges.follow(self.charge_head, line)
        return priced, gross, fee

    def _priced(self, terms: Terms, use: Use) -> tuple[int, int]:
        """Gross and fee of one use: what has been earned with it, less what had been before."""
        match terms.unit:
            case Unit.CHARACTER:
                before, now = use.characters_before, use.characters
            case Unit.SECOND:
                before, now = use.milliseconds_before, use.milliseconds
            case Unit.OUTPUT:
                before, now = use.uses_before, 1
            case _:
                return 0, 0
        counted, gross_before, fee_before = self._totals.get(use.licence, (-1, 0, 0))
        if counted != before:
            gross_before = terms.gross(before)
            fee_before = terms.fee(gross_before)
        gross = terms.gross(before + now)
        fee = terms.fee(gross)
        self._totals[use.licence] = (before + now, gross, fee)
        return gross - gross_before, fee - fee_before

    def summary(
        self, *, final: bool, rates: Rates | None, rates_sha256: str | None, payout: str, version: int = VERSION
    ) -> dict[str, Any]:
        """What the log's leaf commits to, JSON-safe.

        ``payout``: the currency everything is converted into by ``rates``; empty for none. Raises PriceProblem.
        """
        if version not in (1, VERSION) or (version == 1 and self.charges):
            raise PriceProblem("a summary of this form holds something else")
        root = self._tree.root()
        characters, milliseconds, *sums = root.sums
        totals = {
            currency: Total(sums[2 * place], sums[2 * place + 1], self._reversed[currency])
            for place, currency in enumerate(self.currencies)
        }
        payable: dict[str, Any] | None = None
        if payout:
            if rates is None:
                raise PriceProblem("a conversion needs a rate table")
            # What a currency lost is set off at the same rate, rounded down as well: the sign is put back afterwards.
            minor = 0
            for currency, total in totals.items():
                part = rates.convert(abs(total.net), currency, payout)
                minor += part if total.net >= 0 else -part
            payable = {"currency": payout, "minor": minor}
        if any(abs(total.net) > MAX_MINOR for total in totals.values()):
            raise PriceProblem("a total is out of bounds")
        charged = {
            "first": self.charged.first,
            "count": self.charges,
            "before": self.charged.before.hex(),
            "head": self.charge_head.hex(),
        }
        return ({} if version == 1 else {"charges": charged}) | {
            "v": version,
            "owner": self.account.owner,
            "period": self.account.period,
            "account": self.account.name.hex(),
            "before": self.account.before.hex(),
            "final": final,
            "uses": self.uses,
            "characters": characters,
            "milliseconds": milliseconds,
            "head": self.head.hex(),
            "root": root.hash.hex(),
            "totals": {currency: total.data() for currency, total in totals.items()},
            "terms_sha256": digest([self.sheets[licence].sha256() for licence in sorted(self.sheets)]),
            "rates_sha256": rates_sha256,
            "payable": payable,
        }


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical form."""
    return hashlib.sha256(canonical.encode(value)).hexdigest()


def use_of(line: bytes) -> Use:
    """Raises usage_leaf.BadUsage."""
    leaf = usage_leaf.parse(line)
    return Use(
        line,
        leaf.licence,
        leaf.uses_before,
        leaf.characters_before,
        leaf.milliseconds_before,
        leaf.characters,
        leaf.milliseconds,
    )


def made(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The data of the leaf `statement.made` for a summary."""
    kept = ("period", "account", "final", "uses", "head", "root")
    return {**{key: summary[key] for key in kept}, "summary": digest(dict(summary))}
