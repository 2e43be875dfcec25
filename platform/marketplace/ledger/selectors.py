"""Reads of the ledger: balances, one person's entries, and the check that everything adds up."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet, Sum

from marketplace.ledger.entries import AccountKind
from marketplace.ledger.models import Account, Entry, Leg


@dataclass(frozen=True, slots=True)
class Earnings:
    """What Vouch owes an owner in one currency, in minor units: ``held`` may still be disputed, ``payable`` not."""

    currency: str
    held: int
    payable: int


def earnings(*, person_id: UUID) -> list[Earnings]:
    """By currency, alphabetical; a currency the person never earned in is left out."""
    found: dict[str, dict[str, int]] = {}
    owed = Account.objects.filter(holder=f"person:{person_id}").order_by("currency")
    for kind, currency, balance in owed.values_list("kind", "currency", "balance_minor"):
        found.setdefault(currency, {})[kind] = -balance
    return [
        Earnings(currency, of.get(AccountKind.HOLDBACK.value, 0), of.get(AccountKind.PAYABLE.value, 0))
        for currency, of in found.items()
    ]


def legs_of(*, person_id: UUID) -> QuerySet[Leg]:
    """Every leg on the person's accounts, newest first."""
    own = Leg.objects.select_related("entry", "account").filter(account__holder=f"person:{person_id}")
    return own.order_by("-entry__at", "-id")


def balance(*, kind: AccountKind, holder: str, currency: str) -> int:
    """The sum of an account's legs, in minor units: debits above zero, credits below; 0 for one that never was."""
    of = Account.objects.filter(kind=kind, holder=holder, currency=currency)
    return of.values_list("balance_minor", flat=True).first() or 0


def faults() -> list[str]:
    """What does not add up, in plain words; empty when all is well. Recounts every leg: minutes at 10^7 legs.

    The triggers make each of these impossible; the check is for a database that somebody changed around them.
    """
    wrong = []
    for entry_id, legs, said in _rows(
        "SELECT e.id, count(l.id), e.leg_count FROM marketplace_entry e LEFT JOIN marketplace_leg l "
        "ON l.entry_id = e.id GROUP BY e.id HAVING count(l.id) <> e.leg_count"
    ):
        wrong.append(f"entry {entry_id} has {legs} legs, and was booked with {said}")
    for entry_id, currency, total in _rows(
        "SELECT l.entry_id, a.currency, sum(l.amount_minor) FROM marketplace_leg l JOIN marketplace_account a "
        "ON a.id = l.account_id GROUP BY l.entry_id, a.currency HAVING sum(l.amount_minor) <> 0"
    ):
        wrong.append(f"entry {entry_id} is out of balance by {total} {currency}")
    recounted = Account.objects.annotate(total=Sum("legs__amount_minor", default=0))
    for account in recounted.exclude(balance_minor=F("total")):
        wrong.append(f"{account} shows {account.balance_minor}, its legs sum to {account.total}")
    return wrong


def owed_earnings() -> QuerySet[Entry]:
    """Entries of kind earn that nothing has settled yet, oldest first."""
    return Entry.objects.filter(kind="earn", settled_by__isnull=True).order_by("at", "id")


def _rows(sql: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
