"""Terms on their way to a licence: one side proposes and signs, the other signs, counters or declines. Each is a leaf.

A proposal never changes; a counter is a new one that names its former. The second signature grants the licence in the
same transaction. Money is the marketplace's: what is agreed here is the right alone, and costs nothing.
Lock order: consent, offer, licence, then the log.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from consent import compact, licence_classes, licences
from consent.acts import Act
from consent.errors import ConsentNotActive, LicenceInvalid, OfferClosed
from consent.licences import Signatures
from consent.models import MAX_TERM_DAYS, Consent, Licence, LicenceOffer
from consent.selectors import own_id
from consent.states import OFFER, ConsentState, OfferState, move
from foundation.audit import log
from foundation.clock import now
from foundation.errors import Conflict, NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person

OPEN_FOR: Final = timedelta(days=30)
"""How long an offer may be signed."""
MAX_REASON: Final = 200


class OfferOpen(Conflict):
    """There is an open offer between the two of you about this consent."""

    code = "offer_open"
    advice = "Counter, sign or decline it first."


@transaction.atomic
def propose(
    *,
    actor: Actor,
    act: Act,
    consent_id: UUID,
    scope: Mapping[str, Any],
    characters: int,
    days: int,
    text: str = licence_classes.STANDARD,
    licensee_id: UUID | None = None,
) -> LicenceOffer:
    """An offer by the consent's owner to ``licensee_id``, or a request by anybody else for themselves.

    A stranger learns of a consent only while it offers licences. Raises NotFound, ConsentNotActive, LicenceInvalid,
    ConsentScopeExceeded, LicenceTextUnknown, OfferOpen.
    """
    person_id = own_id(actor)
    consent = Consent.objects.select_for_update(of=("self",)).filter(id=consent_id).first()
    if consent is None:
        raise NotFound
    by_owner = consent.person_id == person_id
    if not by_owner and (consent.uses.get("licence_to_others") is not True or licensee_id not in (None, person_id)):
        raise NotFound
    if by_owner and licensee_id in (None, person_id):
        raise LicenceInvalid("Nobody needs a licence for their own voice.")
    licensee = licensee_id if by_owner else person_id
    if licensee is None or not Person.objects.filter(id=licensee, is_active=True).exists():
        raise NotFound
    made = _make(actor, act, consent, licensee, by_owner, scope, characters, days, text, None)
    _leaf("licence.offered", made, actor)
    return made


@transaction.atomic
def counter(
    *, actor: Actor, act: Act, offer_id: UUID, scope: Mapping[str, Any], characters: int, days: int, text: str
) -> LicenceOffer:
    """Other terms in answer to an offer that waits for the actor. Raises as ``propose``, and OfferClosed."""
    consent, former, by_owner = _waiting(actor, offer_id)
    _end(former, OfferState.COUNTERED)
    made = _make(actor, act, consent, former.licensee_id, by_owner, scope, characters, days, text, former)
    _leaf("licence.countered", made, actor, former=str(former.id))
    return made


@transaction.atomic
def sign(*, actor: Actor, act: Act, offer_id: UUID) -> Licence:
    """The second signature: the licence is granted on exactly these terms.

    Raises NotFound, OfferClosed, and what ``licences.grant_licence`` raises: a consent may have changed meanwhile.
    """
    consent, offer, by_owner = _waiting(actor, offer_id)
    moment = now()
    mine, theirs = act.signed(moment), offer.act
    signatures = Signatures(licensor=mine, licensee=theirs) if by_owner else Signatures(theirs, mine)
    licence = licences.grant_licence(
        actor=actor,
        consent=consent,
        licensee=offer.licensee,
        scope=offer.scope,
        characters_cap=offer.characters,
        valid_until=min(moment + timedelta(days=offer.days), consent.valid_until),
        text=offer.text_id,
        signatures=signatures,
    )
    _end(offer, OfferState.SIGNED, licence)
    return licence


@transaction.atomic
def decline(*, actor: Actor, offer_id: UUID, reason: str = "") -> LicenceOffer:
    """Ends an open offer: either side may. Raises NotFound, OfferClosed."""
    _, offer = _locked(actor, offer_id)
    _end(offer, OfferState.DECLINED)
    salted = compact.statement_digest({"salt": offer.salt, "reason": reason.strip()[:MAX_REASON]})
    log.record(
        kind="licence.declined",
        subject=f"offer:{offer.id}",
        actor=actor,
        data={"consent": str(offer.consent_id), "reason": salted},
        rehearsal=offer.consent.rehearsal,
    )
    return offer


def lapse() -> int:
    """Ends offers past their day. Safe to run at any time."""
    due = LicenceOffer.objects.filter(state=OfferState.OPEN.value, expires_at__lte=now())
    return due.update(state=OfferState.LAPSED.value, ended_at=now())


def offers_of(*, actor: Actor) -> QuerySet[LicenceOffer]:
    """Offers the actor made or received, newest first."""
    person_id = own_id(actor)
    mine = LicenceOffer.objects.filter(Q(owner_id=person_id) | Q(licensee_id=person_id))
    return mine.select_related("owner", "licensee").order_by("-made_at", "id")


def terms_digest(offer: LicenceOffer) -> str:
    """SHA-256 (hex) of what was offered, salted: what the log says of it."""
    return compact.statement_digest(
        {
            "text": offer.text_id,
            "scope": offer.scope,
            "characters": offer.characters,
            "days": offer.days,
            "act": offer.act,
            "salt": offer.salt,
        }
    )


def _make(
    actor: Actor,
    act: Act,
    consent: Consent,
    licensee_id: UUID,
    by_owner: bool,
    scope: Mapping[str, Any],
    characters: int,
    days: int,
    text: str,
    former: LicenceOffer | None,
) -> LicenceOffer:
    if consent.state != ConsentState.ACTIVE.value or consent.valid_until <= now():
        raise ConsentNotActive
    licences.check_characters(characters)
    if isinstance(days, bool) or not 1 <= days <= MAX_TERM_DAYS:
        raise LicenceInvalid(f"A licence lasts 1 to {MAX_TERM_DAYS} days.", clause="term")
    moment = now()
    chosen = licence_classes.named(text)
    until = moment + timedelta(days=days)
    narrowed = licences.checked_scope(consent, scope, text=chosen, until=until)
    salt = secrets.token_hex(32)
    try:
        with transaction.atomic():
            return LicenceOffer.objects.create(
                consent=consent,
                owner_id=consent.person_id,
                licensee_id=licensee_id,
                by_owner=by_owner,
                former=former,
                text=licence_classes.keep(chosen),
                scope=narrowed.as_json(),
                characters=characters,
                days=days,
                act=act.signed(moment),
                salt=salt,
                made_at=moment,
                expires_at=moment + OPEN_FOR,
            )
    except IntegrityError as error:
        raise OfferOpen from error


def _locked(actor: Actor, offer_id: UUID) -> tuple[Consent, LicenceOffer]:
    """The consent and the offer of one of its two sides, locked and open."""
    peek = offers_of(actor=actor).filter(id=offer_id).first()
    if peek is None:
        raise NotFound
    consent = Consent.objects.select_for_update(of=("self",)).get(id=peek.consent_id)
    offer = LicenceOffer.objects.select_for_update(of=("self",)).get(id=offer_id)
    if offer.state != OfferState.OPEN.value or offer.expires_at <= now():
        raise OfferClosed
    return consent, offer


def _waiting(actor: Actor, offer_id: UUID) -> tuple[Consent, LicenceOffer, bool]:
    """The same, when it waits for the actor; and whether the actor is the owner."""
    consent, offer = _locked(actor, offer_id)
    by_owner = offer.owner_id == actor.person_id
    if by_owner == offer.by_owner:
        raise OfferClosed("Your own offer waits for the other side.")
    return consent, offer, by_owner


def _end(offer: LicenceOffer, to: OfferState, licence: Licence | None = None) -> None:
    move(offer, to, OFFER)
    offer.ended_at, offer.licence = now(), licence
    offer.save(update_fields=["state", "ended_at", "licence"])


def _leaf(kind: str, offer: LicenceOffer, actor: Actor, **more: str) -> None:
    log.record(
        kind=kind,
        subject=f"offer:{offer.id}",
        actor=actor,
        data={
            "consent": str(offer.consent_id),
            "licensee": str(offer.licensee_id),
            "by": "owner" if offer.by_owner else "licensee",
            "terms": terms_digest(offer),
            **more,
        },
        rehearsal=offer.consent.rehearsal,
    )
