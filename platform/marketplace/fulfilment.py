"""Writes: what an order brings when its money is there: a licence, a membership, or a month's revenue settled.

For a locked order, in the caller's transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cloning import membership
from consent import licence_classes
from consent.licences import Signatures, grant_licence
from foundation.audit import log
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace import charging, states
from marketplace.errors import BadTerms
from marketplace.models import MAX_ORDER_CHARACTERS, MAX_QUANTITY, Listing, Order
from marketplace.pricing import MONTH_DAYS, PER, Unit
from marketplace.statements import sources as statements
from marketplace.states import OrderKind, OrderState
from marketplace.telling import tell_order


@dataclass(frozen=True, slots=True)
class Wanted:
    """``quantity`` and ``free`` in what the unit counts; ``characters``: what the licence allows in all."""

    quantity: int
    free: int
    characters: int


def wanted(listing: Listing, customer_id: UUID, count: int) -> Wanted:
    """What an order of ``count`` characters, seconds, outputs or months is for; 1 for a share.

    Raises BadTerms when that is nothing, or too much.
    """
    if listing.unit == Unit.SHARE:
        if count != 1:
            raise BadTerms("A licence for a share of revenue is ordered once: revenue is declared later.")
        return Wanted(0, 0, MAX_ORDER_CHARACTERS)
    had = Order.objects.filter(listing=listing, customer_id=customer_id, free__gt=0)
    free = 0 if had.exclude(state=OrderState.CANCELLED).exists() else listing.free_units
    if count + free == 0:
        raise BadTerms("An order is for at least one; what was free here you have had.")
    if listing.unit == Unit.CHARACTER:
        return Wanted(count, free, count + free)
    if listing.unit == Unit.MONTH:
        most = listing.scope["days"] // MONTH_DAYS
        if count + free > most:
            raise BadTerms(f"At most {most} months of this licence are ordered at once, the free ones included.")
        return Wanted(count, free, MAX_ORDER_CHARACTERS)
    each = PER[Unit.SECOND] if listing.unit == Unit.SECOND else 1
    if count * each > MAX_QUANTITY:
        raise BadTerms(f"An order is for at most {MAX_QUANTITY // each}.")
    return Wanted(count * each, free * each, MAX_ORDER_CHARACTERS)


def term(listing: Listing, wanted: Wanted) -> timedelta:
    """How long the licence of such an order lasts."""
    months = wanted.quantity + wanted.free if listing.unit == Unit.MONTH else 0
    return timedelta(days=months * MONTH_DAYS or listing.scope["days"])


def starts_at(order: Order) -> datetime:
    """When the term of an order begins: now, or where the one it follows is over."""
    former = order.follows
    if former is None or former.ends_at is None or former.state != OrderState.FULFILLED:
        return now()
    return max(now(), charging.over_at(former, former.licence))


def fulfil(order: Order, actor: Actor) -> None:
    """Raises WrongState, and what granting a licence raises."""
    states.require(states.ORDER, order.state, OrderState.FULFILLED)
    match order.kind:
        case OrderKind.MEMBERSHIP:
            _membership(order, actor)
        case OrderKind.BILL:
            _done(order)
            charging.collect(order, None)
        case _:
            _licence(order, actor)
    tell_order(order, "order.fulfilled")


def _done(order: Order, *more: str) -> None:
    order.state, order.fulfilled_at = OrderState.FULFILLED, now()
    order.save(update_fields=["state", "fulfilled_at", *more])


def _membership(order: Order, actor: Actor) -> None:
    made = membership.grant(person_id=order.customer_id, days=charging.term(order).days, actor=actor)
    charging.begin(order, made.begins_at)
    order.membership = made
    _done(order, "membership", "starts_at", "ends_at", "charge_at")


def _licence(order: Order, actor: Actor) -> None:
    """The grant itself. The term never passes the consent's own end (days may have gone by since an operator's order
    was placed); `consent` checks the scope once more.

    The customer (or operator) acts, but the licence is given by the owner's standing offer: its leaf names the
    marketplace, and the leaf of the order names who acted.
    """
    if order.listing is None:
        raise RuntimeError("a licence without a listing")
    scope = order.listing.scope
    consent = order.listing.voice.consent
    begins = starts_at(order)
    if order.unit == Unit.MONTH:
        charging.begin(order, begins)
        until = begins + charging.term(order)
    else:
        until = begins + timedelta(days=scope["days"])
    licence = grant_licence(
        actor=Actor.system("marketplace"),
        consent=consent,
        licensee=order.customer,
        scope=_capped({**scope.get("terms", {}), "languages": scope["languages"]}, order),
        text=scope.get("text", licence_classes.STANDARD),
        signatures=Signatures(licensor=order.listing.act, licensee=order.act),
        characters_cap=order.characters,
        valid_until=min(until, consent.valid_until),
    )
    order.licence = licence
    _done(order, "licence", "starts_at", "ends_at", "charge_at")
    order.leaf_index = log.append(
        kind="order.fulfilled",
        subject=f"order:{order.id}",
        actor=actor,
        data={
            "listing": str(order.listing_id),
            "licence": str(licence.id),
            "terms": statements.sheet_of(order, licence).sha256(),
            "characters": order.characters,
            "amount_minor": order.amount_minor,
            "currency": order.currency,
            "payment": commit_for(order.payment_ref, person_id=order.customer_id) if order.payment_ref else None,
        },
        rehearsal=order.rehearsal,
    ).index
    order.save(update_fields=["leaf_index"])


def _capped(scope: dict[str, Any], order: Order) -> dict[str, Any]:
    """The licence's scope with the cap that the order paid for; a tighter one of the listing stays."""
    name = {Unit.SECOND.value: "seconds", Unit.OUTPUT.value: "outputs"}.get(order.unit)
    if name is None:
        return scope
    cap = (order.quantity + order.free) // (PER[Unit.SECOND] if order.unit == Unit.SECOND else 1)
    caps = dict(scope.get("caps", {}))
    return {**scope, "caps": {**caps, name: min(cap, caps.get(name, cap))}}
