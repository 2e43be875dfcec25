"""Writes: listings and orders. Lock order: listing, order, then what `consent` locks, accounts, then the log."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from cloning.models import Voice
from consent import licence_classes
from consent.acts import Act
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace import fulfilment, money, naming, rules, showcase, states
from marketplace.errors import AlreadyListed, BadTerms, BillStands, NotLive, OrderOpen, OwnVoice, PriceChanged
from marketplace.guards import locked_order, require_operator
from marketplace.ledger.entries import MAX_AMOUNT
from marketplace.models import MAX_ORDER_CHARACTERS, Listing, Order
from marketplace.payments.models import Payment
from marketplace.pricing import PER, Unit
from marketplace.sending import after_commit
from marketplace.states import ListingState, OrderKind, OrderState, ReviewState
from marketplace.telling import tell_order


# -- listings ---------------------------------------------------------------------------------------------------------
@transaction.atomic
def create_listing(
    *,
    actor: Actor,
    voice_id: UUID,
    title: str,
    price_minor: int,
    currency: str,
    languages: Sequence[str],
    licence_days: int,
    text: str = licence_classes.STANDARD,
    terms: Mapping[str, Any] | None = None,
    description: str = "",
    conditions: str = "",
    tags: Sequence[str] = (),
    preview_id: UUID | None = None,
    act: Act | None = None,
    unit: str = Unit.CHARACTER.value,
    free_units: int = 0,
) -> Listing:
    """Offers licences of the actor's own, ready voice, on terms inside its consent; ``act`` signs them.

    With ``preview_id`` (a recording of the owner's own) it waits for a moderator, who lets it into the shop; until then
    nobody can order it. ``terms``: a scope (`consent.scopes`) inside ``text`` and the consent.
    ``unit``: what the price is for; ``free_units``: what every customer has once for nothing.
    Raises NotAllowed, NotFound (unknown or foreign voice), VoiceNotReady, NotForOthers, RehearsalNotForSale,
    Restricted, BadTerms, TermTooLong, LicenceInvalid, ConsentScopeExceeded, NameRefused, NoPreview, AlreadyListed.
    """
    actor.require_scope("market:write")
    owner_id = _person(actor)
    voice = Voice.objects.select_related("consent").filter(id=voice_id, owner_id=owner_id).first()
    if voice is None:
        raise NotFound
    rules.check_terms(title, price_minor, currency, languages, licence_days)
    rules.check_unit(unit, free_units, price_minor=price_minor, days=licence_days)
    rules.check_sale(voice, price_minor)
    rules.check_consent(voice.consent, languages)
    rules.check_restrictions(voice, [owner_id])
    scope = rules.check_scope(voice.consent, languages, licence_days, text, terms or {})
    kept = showcase.check_words(title=title.strip(), description=description, conditions=conditions, tags=tags)
    preview = None
    if preview_id is not None:
        preview = showcase.check_preview(preview_id, owner_id=owner_id, voice_id=voice.id)
    try:
        with transaction.atomic():
            listing = Listing.objects.create(
                owner_id=owner_id,
                voice=voice,
                title=title.strip(),
                unit=unit,
                free_units=free_units,
                price_minor=price_minor,
                currency=currency,
                scope=scope,
                description=description.strip(),
                conditions=conditions.strip(),
                tags=kept,
                skeleton=naming.skeleton(title),
                preview=preview,
                review=ReviewState.WAITING if preview else ReviewState.UNLISTED,
                act=act.signed(now()) if act else None,
                rehearsal=voice.rehearsal,
            )
    except IntegrityError as error:
        raise AlreadyListed from error
    listing.leaf_index = log.append(
        kind="listing.made",
        subject=f"listing:{listing.id}",
        actor=actor,
        data={"voice": str(voice.id), "price_minor": price_minor, "currency": currency, "scope": listing.scope},
        rehearsal=listing.rehearsal,
    ).index
    listing.save(update_fields=["leaf_index"])
    return listing


@transaction.atomic
def withdraw_listing(*, actor: Actor, listing_id: UUID) -> Listing:
    """Takes an offer back. Licences granted under it stay. Raises NotAllowed, NotFound, NotLive."""
    actor.require_scope("market:write")
    found = Listing.objects.select_for_update(of=("self",)).filter(id=listing_id, owner_id=_person(actor)).first()
    if found is None:
        raise NotFound
    if found.state != ListingState.LIVE:
        raise NotLive
    states.require(states.LISTING, found.state, ListingState.WITHDRAWN)
    found.state, found.withdrawn_at = ListingState.WITHDRAWN, now()
    found.save(update_fields=["state", "withdrawn_at"])
    showcase.forget_sound(found, reason="withdrawn", actor=actor)
    log.record(
        kind="listing.withdrawn",
        subject=f"listing:{found.id}",
        actor=actor,
        data={"voice": str(found.voice_id)},
        rehearsal=found.rehearsal,
    )
    return found


# -- orders -----------------------------------------------------------------------------------------------------------
@transaction.atomic
def place_order(
    *,
    actor: Actor,
    listing_id: UUID,
    characters: int,
    quoted_minor: int | None = None,
    renews: bool = False,
    act: Act | None = None,
) -> Order:
    """Orders so many ``characters``, or seconds, outputs or months where the listing's price is for those, or 1 licence
    for a share of revenue; ``act`` signs its terms. An order that costs nothing is fulfilled at once. ``renews``: paid
    by the month, it is followed by another order before it ends (`renewals`).

    The listing's free part comes on top of a customer's first order; 0 orders that part alone: a trial.
    ``quoted_minor``: what the customer was told it costs. Raises NotAllowed, NotFound, NotLive, NotReviewed, OwnVoice,
    VoiceNotReady, NotForOthers, TermTooLong, Restricted, BadTerms, PriceChanged, OrderOpen.
    """
    actor.require_scope("market:write")
    customer_id = _person(actor)
    if not 0 <= characters <= MAX_ORDER_CHARACTERS:
        raise BadTerms(f"An order is for 1 to {MAX_ORDER_CHARACTERS} characters.")
    listing = Listing.objects.select_for_update(of=("self",)).filter(id=listing_id).first()
    if listing is None:
        raise NotFound
    if listing.owner_id == customer_id:
        raise OwnVoice
    rules.check_offer(listing, customer_id)
    wanted = fulfilment.wanted(listing, customer_id, characters)
    rules.check_term(listing.voice.consent, fulfilment.term(listing, wanted))
    rules.check_renewal(listing, renews)
    return open_order(
        actor=actor,
        quoted_minor=quoted_minor,
        listing=listing,
        customer_id=customer_id,
        seller_id=listing.owner_id,
        characters=wanted.characters,
        unit=listing.unit,
        quantity=wanted.quantity,
        free=wanted.free,
        price_minor=listing.price_minor,
        currency=listing.currency,
        renews=renews,
        act=act.signed(now()) if act else None,
        rehearsal=listing.rehearsal,
    )


def record_payment(*, actor: Actor, order_id: UUID, reference: str) -> Order:
    """An operator records that the money of an order arrived; the licence is granted.

    The payment stands even when the licence cannot be granted any more (a consent withdrawn in between): the order
    then stays "paid", for a refund or for ``fulfil``. Raises NotAllowed, NotFound, WrongState, and what
    ``fulfil`` raises.
    """
    require_operator(actor)
    reference = reference.strip()
    if not 1 <= len(reference) <= 120:
        raise BadTerms("A payment has a reference of 1 to 120 characters.")
    with transaction.atomic():
        order = locked_order(order_id)
        pay_placed(order, reference=reference, actor=actor)
    return fulfil(actor=actor, order_id=order_id)


@transaction.atomic
def fulfil(*, actor: Actor, order_id: UUID) -> Order:
    """Gives what a paid order is for. Raises NotAllowed, NotFound, WrongState, and what ``place_order`` refuses."""
    require_operator(actor)
    listing_id = Order.objects.filter(id=order_id).values_list("listing_id", flat=True).first()
    listing = Listing.objects.select_for_update(of=("self",)).get(id=listing_id) if listing_id else None
    order = locked_order(order_id)
    states.require(states.ORDER, order.state, OrderState.FULFILLED)
    if listing is not None and order.kind == OrderKind.LICENCE:
        rules.check_voice(listing, order.customer_id)
    fulfilment.fulfil(order, actor)
    return order


@transaction.atomic
def cancel_order(*, actor: Actor, order_id: UUID) -> Order:
    """The customer takes back an order that is not paid. Raises NotAllowed, NotFound, WrongState, BillStands."""
    actor.require_scope("market:write")
    customer_id = _person(actor)
    order = Order.objects.select_for_update(of=("self",)).filter(id=order_id, customer_id=customer_id).first()
    if order is None:
        raise NotFound
    if order.kind == OrderKind.BILL:
        raise BillStands
    cancel_placed(order, actor=actor)
    if Payment.objects.filter(order=order).exists():
        after_commit("marketplace.void_payment", str(order.id))
    return order


# -- for this room's other modules; the order is locked where there is one --------------------------------------------
def open_order(*, actor: Actor, quoted_minor: int | None = None, **fields: Any) -> Order:
    """Places an order of these ``fields``, at the fee of the day, and fulfils it when it costs nothing. Inside the
    caller's transaction. Raises BadTerms, PriceChanged, OrderOpen."""
    amount = fields["quantity"] * fields["price_minor"] // PER[Unit(fields["unit"])]
    if amount > MAX_AMOUNT:
        raise BadTerms("Nobody orders for that much at once.")
    if quoted_minor is not None and quoted_minor != amount:
        raise PriceChanged(amount_minor=amount, currency=fields["currency"])
    try:
        with transaction.atomic():
            order: Order = Order.objects.create(**{"fee_bp": settings.VOUCH_FEE_BP, **fields, "amount_minor": amount})
    except IntegrityError as error:
        raise OrderOpen from error
    tell_order(order, "order.placed")
    if amount == 0:
        _mark_paid(order, reference="")
        fulfilment.fulfil(order, actor)
    else:
        money.hold(order, actor=actor)
    return order


def pay_placed(order: Order, *, reference: str, actor: Actor) -> None:
    """The money of a locked, placed order is there. Raises WrongState."""
    _mark_paid(order, reference=reference)
    money.capture(order, actor=actor)
    tell_order(order, "order.paid")


def cancel_placed(order: Order, *, actor: Actor) -> None:
    """Ends a locked, placed order. Raises WrongState."""
    states.require(states.ORDER, order.state, OrderState.CANCELLED)
    order.state = OrderState.CANCELLED
    order.save(update_fields=["state"])
    money.let_go(order, actor=actor)
    tell_order(order, "order.cancelled")


def check_still_on_offer(order: Order) -> None:
    """Whether what it is for could be given now, for its whole term. Raises TermTooLong, and what ``fulfil`` raises."""
    if order.kind == OrderKind.LICENCE and order.listing is not None:
        rules.check_voice(order.listing, order.customer_id)
        wanted = fulfilment.Wanted(order.quantity, order.free, order.characters)
        until = fulfilment.starts_at(order) + fulfilment.term(order.listing, wanted)
        rules.check_term(order.listing.voice.consent, until - now())


def _mark_paid(order: Order, *, reference: str) -> None:
    states.require(states.ORDER, order.state, OrderState.PAID)
    order.state, order.paid_at, order.payment_ref = OrderState.PAID, now(), reference
    order.save(update_fields=["state", "paid_at", "payment_ref"])


# -- shared -----------------------------------------------------------------------------------------------------------
def _person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotAllowed("Only a person may do this.")
    return actor.person_id
