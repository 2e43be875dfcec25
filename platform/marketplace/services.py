"""Writes: listings and orders. Lock order: listing, order, then what `consent` locks, accounts, then the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from cloning.models import Voice
from consent import licence_classes
from consent.acts import Act
from consent.licences import Signatures, grant_licence
from foundation.audit import log
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace import money, naming, rules, showcase, states
from marketplace.errors import AlreadyListed, BadTerms, NotLive, OrderOpen, OwnVoice, PriceChanged
from marketplace.guards import locked_order, require_operator
from marketplace.ledger.entries import MAX_AMOUNT
from marketplace.models import MAX_ORDER_CHARACTERS, MAX_QUANTITY, Listing, Order
from marketplace.payments.models import Payment
from marketplace.pricing import PER, Unit
from marketplace.sending import after_commit
from marketplace.statements import sources as statements
from marketplace.states import ListingState, OrderState, ReviewState
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
    rules.check_unit(unit, free_units)
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
    *, actor: Actor, listing_id: UUID, characters: int, quoted_minor: int | None = None, act: Act | None = None
) -> Order:
    """Orders so many ``characters``, or seconds or outputs where the listing's price is for those; ``act`` signs its
    terms. An order that costs nothing is fulfilled at once.

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
    rules.check_term(listing.voice.consent, timedelta(days=listing.scope["days"]))
    wanted = _wanted(listing, customer_id, characters)
    amount = wanted.quantity * listing.price_minor // PER[Unit(listing.unit)]
    if amount > MAX_AMOUNT:
        raise BadTerms("Nobody orders for that much at once.")
    if quoted_minor is not None and quoted_minor != amount:
        raise PriceChanged(amount_minor=amount, currency=listing.currency)
    try:
        with transaction.atomic():
            order = Order.objects.create(
                listing=listing,
                customer_id=customer_id,
                seller_id=listing.owner_id,
                characters=wanted.characters,
                unit=listing.unit,
                quantity=wanted.quantity,
                free=wanted.free,
                fee_bp=settings.VOUCH_FEE_BP,
                price_minor=listing.price_minor,
                currency=listing.currency,
                amount_minor=amount,
                act=act.signed(now()) if act else None,
                rehearsal=listing.rehearsal,
            )
    except IntegrityError as error:
        raise OrderOpen from error
    tell_order(order, "order.placed")
    if amount == 0:
        _mark_paid(order, reference="")
        _fulfil(order, actor)
    else:
        money.hold(order, actor=actor)
    return order


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
    """Grants the licence of a paid order. Raises NotAllowed, NotFound, WrongState, and what ``place_order`` refuses."""
    require_operator(actor)
    listing_id = Order.objects.filter(id=order_id).values_list("listing_id", flat=True).first()
    if listing_id is None:
        raise NotFound
    listing = Listing.objects.select_for_update(of=("self",)).get(id=listing_id)
    order = locked_order(order_id)
    states.require(states.ORDER, order.state, OrderState.FULFILLED)
    rules.check_voice(listing, order.customer_id)
    _fulfil(order, actor)
    return order


@transaction.atomic
def cancel_order(*, actor: Actor, order_id: UUID) -> Order:
    """The customer takes back an order that is not paid. Raises NotAllowed, NotFound, WrongState."""
    actor.require_scope("market:write")
    customer_id = _person(actor)
    order = Order.objects.select_for_update(of=("self",)).filter(id=order_id, customer_id=customer_id).first()
    if order is None:
        raise NotFound
    cancel_placed(order, actor=actor)
    if Payment.objects.filter(order=order).exists():
        after_commit("marketplace.void_payment", str(order.id))
    return order


# -- for `payments`, which holds the order's lock ---------------------------------------------------------------------
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
    """Whether its licence could be granted now, for its whole term. Raises TermTooLong, and what ``fulfil`` raises."""
    rules.check_voice(order.listing, order.customer_id)
    rules.check_term(order.listing.voice.consent, timedelta(days=order.listing.scope["days"]))


def _mark_paid(order: Order, *, reference: str) -> None:
    states.require(states.ORDER, order.state, OrderState.PAID)
    order.state, order.paid_at, order.payment_ref = OrderState.PAID, now(), reference
    order.save(update_fields=["state", "paid_at", "payment_ref"])


def _fulfil(order: Order, actor: Actor) -> None:
    """The grant itself. The term never passes the consent's own end (days may have gone by since an operator's order
    was placed); `consent` checks the scope once more.

    The customer (or operator) acts, but the licence is given by the owner's standing offer: its leaf names the
    marketplace, and the leaf of the order names who acted.
    """
    states.require(states.ORDER, order.state, OrderState.FULFILLED)
    scope = order.listing.scope
    consent = order.listing.voice.consent
    signatures = Signatures(licensor=order.listing.act, licensee=order.act)
    moment = now()
    licence = grant_licence(
        actor=Actor.system("marketplace"),
        consent=consent,
        licensee=order.customer,
        scope=_capped({**scope.get("terms", {}), "languages": scope["languages"]}, order),
        text=scope.get("text", licence_classes.STANDARD),
        signatures=signatures,
        characters_cap=order.characters,
        valid_until=min(moment + timedelta(days=scope["days"]), consent.valid_until),
    )
    order.state, order.licence, order.fulfilled_at = OrderState.FULFILLED, licence, moment
    order.save(update_fields=["state", "licence", "fulfilled_at"])
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
    tell_order(order, "order.fulfilled")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """``quantity`` and ``free`` in what the unit counts; ``characters``: what the licence allows in all."""

    quantity: int
    free: int
    characters: int


def _wanted(listing: Listing, customer_id: UUID, count: int) -> _Wanted:
    """What an order of ``count`` characters, seconds or outputs is for. Raises BadTerms when that is nothing."""
    had = Order.objects.filter(listing=listing, customer_id=customer_id, free__gt=0)
    free = 0 if had.exclude(state=OrderState.CANCELLED).exists() else listing.free_units
    if count + free == 0:
        raise BadTerms("An order is for at least one; what was free here you have had.")
    if listing.unit == Unit.CHARACTER:
        return _Wanted(count, free, count + free)
    each = PER[Unit.SECOND] if listing.unit == Unit.SECOND else 1
    if count * each > MAX_QUANTITY:
        raise BadTerms(f"An order is for at most {MAX_QUANTITY // each}.")
    return _Wanted(count * each, free * each, MAX_ORDER_CHARACTERS)


def _capped(scope: dict[str, Any], order: Order) -> dict[str, Any]:
    """The licence's scope with the cap that the order paid for; a tighter one of the listing stays."""
    name = {Unit.SECOND.value: "seconds", Unit.OUTPUT.value: "outputs"}.get(order.unit)
    if name is None:
        return scope
    cap = (order.quantity + order.free) // (PER[Unit.SECOND] if order.unit == Unit.SECOND else 1)
    caps = dict(scope.get("caps", {}))
    return {**scope, "caps": {**caps, name: min(cap, caps.get(name, cap))}}


# -- shared -----------------------------------------------------------------------------------------------------------
def _person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotAllowed("Only a person may do this.")
    return actor.person_id
