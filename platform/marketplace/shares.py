"""Writes: licences paid by a share of revenue. The customer declares each calendar month (UTC), and pays a bill for it.

**The rule.** A share is basis points of the revenue that the customer declares of what they made with the voice, before
costs, in minor units of the licence's currency, for every calendar month in which the licence was in force for a
moment; also of nothing. A declaration is an act of the customer's account, stands in the log, and is a bill at once:
``revenue * share // 10 000``. Whoever declares later than 15 days after the month, or pays later than 14 days after
that, loses the licence. Lock order: order, licence.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from cloning.usage_leaf import period_of
from consent import licences
from consent.acts import Act
from consent.models import Licence
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace import services
from marketplace.errors import AlreadyDeclared, BadTerms, NotAShare, OrderOpen
from marketplace.guards import locked_order
from marketplace.models import MAX_QUANTITY, Order
from marketplace.pricing import Unit
from marketplace.statements.calculation import digest
from marketplace.statements.errors import BadPeriod
from marketplace.states import OrderKind, OrderState

ACTOR: Final = Actor.system("marketplace")
DECLARE_WITHIN: Final = timedelta(days=15)
"""Of the end of the month."""
PAY_WITHIN: Final = timedelta(days=14)
"""Of the declaration."""
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a licence that is to be declared by ``due_at``; ``bill``: that it was."""

    period: str
    due_at: datetime
    bill: Order | None


def months(order: Order) -> list[Month]:
    """The months of a share's licence that can be declared: over, or the last one of a licence that has ended."""
    if order.licence is None or order.fulfilled_at is None:
        return []
    bills = {bill.period: bill for bill in order.followers.filter(kind=OrderKind.BILL)}
    end = _end(order.licence)
    found, begin = [], _first(order.fulfilled_at)
    while begin < end:
        after = _first(begin + timedelta(days=32))
        if min(after, end) <= now():
            period = period_of(begin)
            found.append(Month(period, min(after, end) + DECLARE_WITHIN, bills.get(period)))
        begin = after
    return found


@transaction.atomic
def declare(*, actor: Actor, order_id: UUID, period: str, revenue_minor: int, act: Act | None = None) -> Order:
    """The customer declares a month's revenue; the bill, which is paid like any order, or settled when it is nothing.

    Raises NotAllowed, NotFound, NotAShare, BadPeriod, BadTerms, AlreadyDeclared.
    """
    actor.require_scope("market:write")
    order = Order.objects.select_for_update(of=("self",)).filter(id=order_id, customer_id=actor.person_id).first()
    if order is None or actor.person_id is None:
        raise NotFound
    if order.unit != Unit.SHARE or order.kind != OrderKind.LICENCE or order.licence is None:
        raise NotAShare
    if not 0 <= revenue_minor <= MAX_QUANTITY:
        raise BadTerms(f"A month's revenue is 0 to {MAX_QUANTITY} minor units.")
    month = next((one for one in months(order) if one.period == period), None)
    if month is None:
        raise BadPeriod("A month is declared when it is over, or the licence is, and only if it was in force then.")
    if month.bill is not None:
        raise AlreadyDeclared
    signed = act.signed(now()) if act else None
    log.record(
        kind="revenue.declared",
        subject=f"order:{order.id}",
        actor=actor,
        data={
            "order": str(order.id),
            "licence": str(order.licence_id),
            "period": period,
            "revenue_minor": revenue_minor,
            "currency": order.currency,
            "act": digest(signed) if signed else None,
        },
        rehearsal=order.rehearsal,
    )
    try:
        return services.open_order(
            actor=actor,
            kind=OrderKind.BILL,
            listing=order.listing,
            follows=order,
            period=period,
            customer_id=order.customer_id,
            seller_id=order.seller_id,
            characters=0,
            unit=order.unit,
            quantity=revenue_minor,
            fee_bp=order.fee_bp,
            price_minor=order.price_minor,
            currency=order.currency,
            due_at=now() + PAY_WITHIN,
            act=signed,
            rehearsal=order.rehearsal,
        )
    except OrderOpen as error:
        raise AlreadyDeclared from error


def enforce_due() -> int:
    """Ends licences whose revenue was not declared, or whose bill was not paid, in time. Returns how many. Safe to run
    twice."""
    shared = Order.objects.filter(unit=Unit.SHARE.value, kind=OrderKind.LICENCE, state=OrderState.FULFILLED)
    running = shared.filter(licence__state="active", fulfilled_at__lt=now() - DECLARE_WITHIN)
    return sum(_enforce(order_id) for order_id in list(running.values_list("id", flat=True)))


@transaction.atomic
def _enforce(order_id: UUID) -> bool:
    order = locked_order(order_id)
    held = Licence.objects.select_for_update(of=("self",))
    licence = held.get(id=order.licence_id) if order.licence_id else None
    reason = _broken(order)
    if licence is None or licence.state != "active" or not reason:
        return False
    licences.end(licence=licence, reason=reason, actor=ACTOR)
    return True


def _broken(order: Order) -> str:
    for month in months(order):
        if month.bill is None and month.due_at <= now():
            return "undeclared"
        if month.bill is not None and month.bill.state == OrderState.PLACED and (month.bill.due_at or now()) <= now():
            return "unpaid"
    return ""


def _end(licence: Licence) -> datetime:
    return min(licence.valid_until, licence.ended_at) if licence.ended_at else licence.valid_until


def _first(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
