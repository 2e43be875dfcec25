"""Double entry in integer minor units: what an entry is and which legs each kind has. Pure.

A positive leg is a debit, a negative one a credit; the legs of an entry sum to zero in its one currency. An account's
balance is the sum of its legs, so what Vouch has (money at the provider) stands above zero, and what it owes stands
below. Nothing is ever changed: a mistake is mended by an entry the other way round.

    order placed     reserve   authorised(order)  +a   reserved(order)  -a     the provider holds a; nothing is ours
    order cancelled  void      reserved(order)    +a   authorised(order)-a
    money arrived    capture   the two of void, and    clearing +a   prepaid(order) -a
    a use, a month   earn      prepaid(order)     +e   holdback(owner)  -(e-f) fees -f; by the rule of `pricing`
    membership       earn      prepaid(order)     +e   fees -e
    time has passed  release   holdback(owner)    +e   payable(owner)   -e     no dispute can take it back any more
    dispute lost     reverse   an earn, the other way round, its fee included
    refunded         refund    prepaid(order)     +r   clearing -r
    paid out         payout    payable(owner)     +p   clearing -p
    converted        exchange  payable(owner)     +x   exchange -x    and, an entry of its own in the other currency,
                               exchange           +y   payable(owner)   -y     y by a dated rate table
    money changed    exchange  exchange +x  clearing -x    and    clearing +y  exchange -y    what the bank did
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models

MAX_AMOUNT = 10**12
"""Minor units one leg may move: ten thousand million of the larger unit. Above the price of any order, and so far below
64 bits that no sum of legs comes near their end."""


class AccountKind(models.TextChoices):
    CLEARING = "clearing", "Money at the payment provider"
    AUTHORISED = "authorised", "Money a provider holds for an order"
    RESERVED = "reserved", "Owed to a customer until their order is captured or voided"
    PREPAID = "prepaid", "Paid for characters that are not used yet"
    HOLDBACK = "holdback", "Earned by an owner, held while a dispute is possible"
    PAYABLE = "payable", "Earned by an owner, to be paid out"
    FEES = "fees", "Kept by the platform"
    EXCHANGE = "exchange", "Bought and sold to convert what is payable"


OWED = frozenset(
    {AccountKind.RESERVED, AccountKind.PREPAID, AccountKind.HOLDBACK, AccountKind.PAYABLE, AccountKind.FEES}
)
"""Accounts that never rise above zero; the others never fall below. The database holds it."""
EITHER = frozenset({AccountKind.EXCHANGE})
"""A position: what was bought in one currency and sold in another stands on either side."""


class EntryKind(models.TextChoices):
    RESERVE = "reserve", "Reserve"
    VOID = "void", "Void"
    CAPTURE = "capture", "Capture"
    EARN = "earn", "Earn"
    RELEASE = "release", "Release"
    REVERSE = "reverse", "Reverse"
    REFUND = "refund", "Refund"
    PAYOUT = "payout", "Payout"
    EXCHANGE = "exchange", "Exchange"


@dataclass(frozen=True, order=True, slots=True)
class AccountRef:
    """``holder``: ``order:<uuid>``, ``person:<uuid>`` or ``vouch``."""

    kind: str
    holder: str
    currency: str


Legs = Mapping[AccountRef, int]

OF_NO_ORDER = (EntryKind.PAYOUT, EntryKind.EXCHANGE)
"""Kinds that concern what an owner has earned by many orders."""
SETTLING = (EntryKind.RELEASE, EntryKind.REVERSE)
"""Kinds that settle an `earn`. Each earn is settled once: what was released cannot be reversed any more."""


class Unbalanced(ValueError):
    """Legs that do not sum to zero, mix currencies, or move nothing."""


def check(legs: Legs) -> None:
    """Raises Unbalanced unless at least two legs, in one currency, none of them zero or too large, sum to zero."""
    if len(legs) < 2 or len({account.currency for account in legs}) != 1:
        raise Unbalanced("an entry has two legs or more, in one currency")
    if any(type(amount) is not int or not 0 < abs(amount) <= MAX_AMOUNT for amount in legs.values()):
        raise Unbalanced(f"a leg moves 1 to {MAX_AMOUNT} minor units")
    if sum(legs.values()) != 0:
        raise Unbalanced("the legs of an entry sum to zero")


# -- the legs of each kind --------------------------------------------------------------------------------------------
def reserve(order: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return {_of(AccountKind.AUTHORISED, order, currency): amount, _of(AccountKind.RESERVED, order, currency): -amount}


def void(order: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return {account: -leg for account, leg in reserve(order, currency, amount).items()}


def capture(order: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return void(order, currency, amount) | {
        clearing(currency): amount,
        _of(AccountKind.PREPAID, order, currency): -amount,
    }


def earn(order: str, owner: str, currency: str, amount: int, fee: int = 0) -> dict[AccountRef, int]:
    """``amount`` leaves the order; ``fee`` of it is the platform's: less than all, but for the platform's own sales."""
    legs = {_of(AccountKind.PREPAID, order, currency): amount}
    legs |= {_of(AccountKind.HOLDBACK, owner, currency): fee - amount} if fee != amount else {}
    return legs | ({_of(AccountKind.FEES, "vouch", currency): -fee} if fee else {})


def release(owner: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return {_of(AccountKind.HOLDBACK, owner, currency): amount, _of(AccountKind.PAYABLE, owner, currency): -amount}


def reverse(order: str, owner: str, currency: str, amount: int, fee: int = 0) -> dict[AccountRef, int]:
    return {account: -leg for account, leg in earn(order, owner, currency, amount, fee).items()}


def refund(order: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return {_of(AccountKind.PREPAID, order, currency): amount, clearing(currency): -amount}


def payout(owner: str, currency: str, amount: int) -> dict[AccountRef, int]:
    return {_of(AccountKind.PAYABLE, owner, currency): amount, clearing(currency): -amount}


def sell(owner: str, currency: str, amount: int) -> dict[AccountRef, int]:
    """The first half of an exchange: what is payable is given up in this currency."""
    return {_of(AccountKind.PAYABLE, owner, currency): amount, _of(AccountKind.EXCHANGE, "vouch", currency): -amount}


def buy(owner: str, currency: str, amount: int) -> dict[AccountRef, int]:
    """The second half: it becomes payable in this one."""
    return {account: -leg for account, leg in sell(owner, currency, amount).items()}


def send(currency: str, amount: int) -> dict[AccountRef, int]:
    """Our own money goes to be changed."""
    return {_of(AccountKind.EXCHANGE, "vouch", currency): amount, clearing(currency): -amount}


def receive(currency: str, amount: int) -> dict[AccountRef, int]:
    """What came of it."""
    return {account: -leg for account, leg in send(currency, amount).items()}


def clearing(currency: str) -> AccountRef:
    return _of(AccountKind.CLEARING, "vouch", currency)


def _of(kind: AccountKind, holder: str, currency: str) -> AccountRef:
    return AccountRef(kind.value, holder, currency)
