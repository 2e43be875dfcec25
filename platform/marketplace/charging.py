"""Writes: what orders that no use counts have earned: months that are over, and declared revenue that was paid.

A month is earned when it is over; one that is broken off by anybody but the customer is not earned, and goes back. A
bill is earned when it is paid. Each becomes a line of the owner's statement (`statements.charges`), also when it comes
to nothing. A membership's months are the platform's own and in no statement. Lock order: order, the ledger's accounts,
the owner's usage account, the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cloning import metering
from cloning.usage_leaf import moment
from consent.models import Licence
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace.ledger import entries
from marketplace.ledger.book import Movement, post_all
from marketplace.ledger.entries import EntryKind
from marketplace.ledger.models import Entry
from marketplace.models import Order
from marketplace.pricing import MONTH_DAYS, Unit
from marketplace.statements import charges
from marketplace.statements.models import Charge
from marketplace.statements.sources import terms_of
from marketplace.states import OrderKind

ACTOR: Final = Actor.system("marketplace")
MONTH: Final = timedelta(days=MONTH_DAYS)
GIVEN_UP: Final = "given_up"
"""Why a licence ended that its holder gave up: the month under way stays paid."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be booked: what it is about, what was counted before it, what it counts, and what that comes to."""

    about: str
    before: int
    count: int
    gross: int
    fee: int


def term(order: Order) -> timedelta:
    """How long an order by the month lasts, its free months included."""
    return MONTH * (order.quantity + order.free)


def begin(order: Order, starts_at: datetime) -> None:
    """Sets the months of an order that is being fulfilled. The caller saves it."""
    order.starts_at, order.ends_at, order.charge_at = starts_at, starts_at + term(order), starts_at + MONTH


def over_at(order: Order, licence: Licence | None) -> datetime:
    """When an order by the month is over: at its end, or when its licence ended before that, by notice included."""
    end = order.ends_at or now()
    if licence is None:
        return end
    if licence.ended_at is not None and licence.ended_reason != GIVEN_UP:
        end = min(end, licence.ended_at)
    return min(end, licence.valid_until) if licence.notice_given_at is not None else end


def collect(order: Order, licence: Licence | None) -> Entry | None:
    """For a locked, fulfilled order: books what is due and not booked yet; the last entry, None without money."""
    entry, due = earn(order, licence)
    write(order, due)
    return entry


def earn(order: Order, licence: Licence | None) -> tuple[Entry | None, list[Due]]:
    """The money's part of ``collect``. Whoever moves more money does so before ``write``, which asks for the log."""
    due = list(_due(order, min(now(), over_at(order, licence))))
    movements = []
    for one in due:
        if one.gross:
            legs = entries.earn(f"order:{order.id}", f"person:{order.seller_id}", order.currency, one.gross, one.fee)
            movements.append(Movement(f"earn:{order.id}:{one.about}", EntryKind.EARN, legs, order.id))
        order.counted += one.count
    whole = order.quantity + order.free
    order.settled_at, order.fully_earned = now(), order.counted == whole and (bool(due) or order.fully_earned)
    order.charge_at = None if order.fully_earned or order.starts_at is None else order.starts_at + _months(order)
    order.save(update_fields=["counted", "fully_earned", "settled_at", "charge_at"])
    posted = post_all(movements, actor=ACTOR) if movements else []
    return (posted[-1] if posted else None), due


def _months(order: Order) -> timedelta:
    return MONTH * (order.counted + 1)


def _due(order: Order, at: datetime) -> Iterator[Due]:
    if order.kind == OrderKind.BILL:
        if not order.fully_earned:
            yield _priced(order, order.period, 0, order.quantity)
    elif order.unit == Unit.MONTH and order.starts_at is not None:
        for month in range(order.counted, min((at - order.starts_at) // MONTH, order.quantity + order.free)):
            yield _priced(order, moment(order.starts_at + MONTH * (month + 1)), month, 1)


def _priced(order: Order, about: str, before: int, count: int) -> Due:
    terms = terms_of(order)
    earned, whole = terms.gross(before), terms.gross(before + count)
    gross = whole - earned
    return Due(about, before, count, gross, terms.fee(whole) - terms.fee(earned) if order.seller_id else gross)


def write(order: Order, due: list[Due]) -> None:
    """Makes what is earned lines of the owner's statement; a membership's are nobody's."""
    if order.seller_id is None or not due:
        return
    payer = order.follows if order.kind == OrderKind.BILL and order.follows is not None else order
    if payer.licence_id is None:
        raise RuntimeError("a charge without a licence")
    account, at = metering.open_month(order.seller_id)
    owner, licence = str(order.seller_id), str(payer.licence_id)
    last = Charge.objects.filter(owner_id=order.seller_id).order_by("-number").first()
    first, head = (last.number + 1, bytes(last.head)) if last else (0, charges.opening(owner))
    for number, one in enumerate(due, first):
        charge = charges.Charge(number, licence, moment(at), one.about, one.before, one.count)
        head = charges.follow(head, charge.line())
        said = {"order": str(order.id), "licence": licence, "charge": charges.commitment(owner, charge, head)}
        leaf = log.append(
            kind="charge.made", subject=f"order:{order.id}", actor=ACTOR, data=said, rehearsal=order.rehearsal
        )
        Charge.objects.create(
            owner_id=order.seller_id,
            account=account,
            order=order,
            licence_id=payer.licence_id,
            number=number,
            about=one.about,
            before=one.before,
            count=one.count,
            gross=one.gross,
            fee=one.fee,
            head=head,
            leaf_index=leaf.index,
            at=at,
        )
