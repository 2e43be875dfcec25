"""Writes: listings and orders. Lock order: listing, order, then what `consent` locks, accounts, then the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from cloning.models import Voice
from consent import licence_classes, licences
from consent.acts import Act
from consent.licences import Signatures, grant_licence
from consent.models import Consent
from foundation.audit import log
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace import money, naming, showcase, states
from marketplace.errors import (
    AlreadyListed,
    BadTerms,
    NotForOthers,
    NotLive,
    OrderOpen,
    OwnVoice,
    PriceChanged,
    RehearsalNotForSale,
    Restricted,
    VoiceNotReady,
)
from marketplace.guards import locked_order, require_operator
from marketplace.ledger.entries import MAX_AMOUNT
from marketplace.models import (
    MAX_FREE_UNITS,
    MAX_LICENCE_DAYS,
    MAX_ORDER_CHARACTERS,
    MAX_PRICE_MINOR,
    MAX_QUANTITY,
    TITLE_CHARS,
    Listing,
    Order,
)
from marketplace.payments.models import Payment
from marketplace.pricing import BY_USE, PER, Unit
from marketplace.sending import after_commit
from marketplace.statements import sources as statements
from marketplace.states import Currency, ListingState, OrderState, ReviewState
from marketplace.telling import tell_order
from safety.selectors import active_restrictions

USE = "licence_to_others"
"""The use a speaker must have agreed to before anybody else can get a licence."""
READY = "ready"
"""The state of a voice that can speak."""


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

    Whoever has its address can order it at once; with ``preview_id`` (a recording of the owner's own) it waits for a
    moderator, who lets it into the shop. ``terms``: a scope (`consent.scopes`) inside ``text`` and the consent.
    ``unit``: what the price is for; ``free_units``: what every customer has once for nothing.
    Raises NotAllowed, NotFound (unknown or foreign voice), VoiceNotReady, NotForOthers, RehearsalNotForSale,
    Restricted, BadTerms, LicenceInvalid, ConsentScopeExceeded, NameRefused, NoPreview, AlreadyListed.
    """
    actor.require_scope("market:write")
    owner_id = _person(actor)
    voice = Voice.objects.select_related("consent").filter(id=voice_id, owner_id=owner_id).first()
    if voice is None:
        raise NotFound
    _check_terms(title, price_minor, currency, languages, licence_days)
    _check_unit(unit, free_units)
    _check_sale(voice, price_minor)
    _check_consent(voice.consent, languages)
    _check_restrictions(voice, [owner_id])
    scope = _check_scope(voice.consent, languages, licence_days, text, terms or {})
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
    ``quoted_minor``: what the customer was told it costs. Raises NotAllowed, NotFound, NotLive, OwnVoice,
    VoiceNotReady, NotForOthers, Restricted, BadTerms, PriceChanged, OrderOpen.
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
    _check_offer(listing, customer_id)
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
    _check_voice(listing, order.customer_id)
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
    """Whether its licence could be granted now. Raises what ``fulfil`` raises."""
    _check_voice(order.listing, order.customer_id)


def _mark_paid(order: Order, *, reference: str) -> None:
    states.require(states.ORDER, order.state, OrderState.PAID)
    order.state, order.paid_at, order.payment_ref = OrderState.PAID, now(), reference
    order.save(update_fields=["state", "paid_at", "payment_ref"])


def _fulfil(order: Order, actor: Actor) -> None:
    """The grant itself. The term never passes the consent's own end; `consent` checks the scope once more.

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


# -- rules: each raises its refusal -----------------------------------------------------------------------------------
def _check_terms(title: str, price_minor: int, currency: str, languages: Sequence[str], licence_days: int) -> None:
    if not 1 <= len(title.strip()) <= TITLE_CHARS:
        raise BadTerms(f"A title has 1 to {TITLE_CHARS} characters.")
    if not 0 <= price_minor <= MAX_PRICE_MINOR:
        raise BadTerms(f"A price is 0 to {MAX_PRICE_MINOR} minor units for 1,000 characters.")
    if currency not in Currency.values:
        raise BadTerms(f"Currencies: {', '.join(Currency.values)}.")
    if not languages:
        raise BadTerms("A licence covers at least one language.")
    if not 1 <= licence_days <= MAX_LICENCE_DAYS:
        raise BadTerms(f"A licence lasts 1 to {MAX_LICENCE_DAYS} days.")


def _check_unit(unit: str, free_units: int) -> None:
    if unit not in BY_USE:
        raise BadTerms(f"Prices are for: {', '.join(sorted(BY_USE))}.")
    if not 0 <= free_units <= MAX_FREE_UNITS:
        raise BadTerms(f"At most {MAX_FREE_UNITS} are free.")


def _check_scope(
    consent: Consent, languages: Sequence[str], days: int, text: str, terms: Mapping[str, Any]
) -> dict[str, Any]:
    """The listing's scope as it is kept. Raises LicenceInvalid, ConsentScopeExceeded (by clause), NotForOthers."""
    until = now() + timedelta(days=days)
    wanted = {**terms, "languages": sorted(set(languages))}
    # The term is cut at the consent's own end when the licence is granted; a listing outlives many a consent's month.
    until = min(until, consent.valid_until)
    chosen = licence_classes.named(text)
    narrowed = licences.checked_scope(consent, wanted, text=chosen, until=until).as_json()
    languages_kept = narrowed.pop("languages")
    kept: dict[str, Any] = {"languages": languages_kept, "days": days}
    if text != licence_classes.STANDARD or narrowed:
        kept |= {"text": text, "terms": narrowed}
    return kept


def _check_sale(voice: Voice, price_minor: int) -> None:
    if voice.rehearsal and (price_minor != 0 or not settings.REHEARSAL):
        raise RehearsalNotForSale
    if voice.state != READY:
        raise VoiceNotReady


def _check_consent(consent: Consent, languages: Sequence[str]) -> None:
    if consent.state != "active" or consent.valid_until <= now():
        raise NotForOthers("The consent is not in force.")
    if consent.uses.get(USE) is not True:
        raise NotForOthers("The speaker's consent does not cover licences to others.")
    beyond = sorted(set(languages) - set(consent.languages))
    if beyond:
        raise NotForOthers(f"The speaker's consent does not cover: {', '.join(beyond)}.")


def _check_restrictions(voice: Voice, people: Sequence[UUID]) -> None:
    found = active_restrictions(subjects=[("voice", str(voice.id)), *(("person", str(person)) for person in people)])
    if found:
        raise Restricted(clause=found[0].clause)


def _check_offer(listing: Listing, customer_id: UUID) -> None:
    if listing.state != ListingState.LIVE:
        raise NotLive
    _check_voice(listing, customer_id)


def _check_voice(listing: Listing, customer_id: UUID) -> None:
    """What must hold whenever a licence is granted, however long ago the offer was made."""
    voice = listing.voice
    _check_sale(voice, listing.price_minor)
    _check_consent(voice.consent, listing.scope["languages"])
    _check_restrictions(voice, [listing.owner_id, customer_id])


# -- shared -----------------------------------------------------------------------------------------------------------
def _person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotAllowed("Only a person may do this.")
    return actor.person_id
