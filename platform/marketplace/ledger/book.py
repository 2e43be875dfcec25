"""The one place that writes entries. Lock order: orders, licences, accounts (by id)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from foundation.audit import log
from foundation.identity.actors import Actor
from marketplace.ledger.entries import AccountRef, EntryKind, Legs, check
from marketplace.ledger.errors import KeyReused, NotEnough
from marketplace.ledger.models import Account, Entry, Leg


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry to be booked. ``key`` names what it is for: the same key is never booked twice."""

    key: str
    kind: EntryKind
    legs: Legs
    order_id: UUID | None = None
    settles: Entry | None = None


def post(movement: Movement, *, actor: Actor) -> Entry:
    """Books one movement, as ``post_all``."""
    return post_all([movement], actor=actor)[0]


@transaction.atomic
def post_all(movements: Sequence[Movement], *, actor: Actor) -> list[Entry]:
    """Books all of them, each with its log leaf, or none. A key booked before gives the entry of then, unchanged.

    All accounts are locked before anything is booked, in one order: whoever books on the same accounts queues.
    Raises NotEnough (an account would be overdrawn), KeyReused (same key, other legs or kind), entries.Unbalanced.
    """
    for movement in movements:
        check(movement.legs)
    accounts = _locked({ref for movement in movements for ref in movement.legs})
    try:
        with transaction.atomic():
            return [_book(movement, accounts, actor) for movement in movements]
    except IntegrityError as error:
        if "account_not_overdrawn" in str(error):
            raise NotEnough from error
        raise


def _locked(refs: set[AccountRef]) -> dict[AccountRef, Account]:
    found = {}
    for ref in sorted(refs):
        found[ref], _ = Account.objects.get_or_create(kind=ref.kind, holder=ref.holder, currency=ref.currency)
    # Under these locks nobody else can book the same key: its accounts are the same.
    list(Account.objects.select_for_update().filter(id__in=[one.id for one in found.values()]).order_by("id"))
    return found


def _book(movement: Movement, accounts: dict[AccountRef, Account], actor: Actor) -> Entry:
    booked = Entry.objects.filter(key=movement.key).first()
    if booked is not None:
        return _same(booked, movement)
    entry = Entry(
        key=movement.key,
        kind=movement.kind,
        order_id=movement.order_id,
        settles=movement.settles,
        leg_count=len(movement.legs),
    )
    data = {
        "entry": movement.kind.value,
        "order": str(movement.order_id) if movement.order_id else None,
        "settles": str(movement.settles.id) if movement.settles else None,
        "legs": [[ref.kind, ref.holder, ref.currency, amount] for ref, amount in sorted(movement.legs.items())],
    }
    subject = f"entry:{entry.id}"
    if movement.kind == EntryKind.REVERSE:
        # A statement shows where this leaf stands; it is rare, and the log's lock is held until the commit.
        entry.leaf_index = log.append(kind="ledger.booked", subject=subject, actor=actor, data=data).index
    else:
        log.record(kind="ledger.booked", subject=subject, actor=actor, data=data)
    entry.save(force_insert=True)
    Leg.objects.bulk_create(
        Leg(entry=entry, account=accounts[ref], amount_minor=amount) for ref, amount in sorted(movement.legs.items())
    )
    return entry


def _same(booked: Entry, movement: Movement) -> Entry:
    legs = {
        AccountRef(leg.account.kind, leg.account.holder, leg.account.currency): leg.amount_minor
        for leg in booked.legs.select_related("account")
    }
    if booked.kind != movement.kind or legs != dict(movement.legs):
        raise KeyReused
    return booked
