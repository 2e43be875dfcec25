"""What must hold for an offer and for an order of it: each rule raises its refusal. Reads only."""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from cloning.models import Voice
from consent import licence_classes, licences
from consent.models import Consent
from foundation.clock import now
from marketplace.errors import (
    BadTerms,
    NotForOthers,
    NotLive,
    NotReviewed,
    RehearsalNotForSale,
    Restricted,
    TermTooLong,
    VoiceNotReady,
)
from marketplace.models import MAX_FREE_MONTHS, MAX_FREE_UNITS, MAX_LICENCE_DAYS, MAX_PRICE_MINOR, TITLE_CHARS, Listing
from marketplace.pricing import BASIS_POINTS, MONTH_DAYS, Unit
from marketplace.states import Currency, ListingState, ReviewState
from safety.selectors import active_restrictions

USE: Final = "licence_to_others"
"""The use a speaker must have agreed to before anybody else can get a licence."""
READY: Final = "ready"
"""The state of a voice that can speak."""


def check_terms(title: str, price_minor: int, currency: str, languages: Sequence[str], licence_days: int) -> None:
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


def check_unit(unit: str, free_units: int, *, price_minor: int, days: int) -> None:
    """``days``: how long a licence may last at most."""
    if unit not in list(Unit):
        raise BadTerms(f"Prices are for: {', '.join(sorted(Unit))}.")
    most = {Unit.SHARE.value: 0, Unit.MONTH.value: MAX_FREE_MONTHS}.get(unit, MAX_FREE_UNITS)
    if not 0 <= free_units <= most:
        raise BadTerms(f"At most {most} are free.")
    if unit == Unit.SHARE and price_minor > BASIS_POINTS:
        raise BadTerms(f"A share is at most {BASIS_POINTS} basis points.")
    if unit == Unit.MONTH and days < MONTH_DAYS * max(1, free_units):
        raise BadTerms(f"A licence by the month lasts {MONTH_DAYS} days or more.")


def check_renewal(listing: Listing, renews: bool) -> None:
    """Raises BadTerms for an order that cannot be followed by another."""
    if renews and listing.unit != Unit.MONTH:
        raise BadTerms("Only what is paid by the month is renewed.")
    if renews and listing.scope.get("terms", {}).get("exclusive"):
        raise BadTerms("An exclusive licence is not renewed by itself: the next one begins when it is over.")


def check_scope(
    consent: Consent, languages: Sequence[str], days: int, text: str, terms: Mapping[str, Any]
) -> dict[str, Any]:
    """The listing's scope as it is kept. Raises LicenceInvalid, ConsentScopeExceeded (by clause), NotForOthers."""
    check_term(consent, timedelta(days=days))
    wanted = {**terms, "languages": sorted(set(languages))}
    chosen = licence_classes.named(text)
    until = min(now() + timedelta(days=days), consent.valid_until)
    narrowed = licences.checked_scope(consent, wanted, text=chosen, until=until).as_json()
    languages_kept = narrowed.pop("languages")
    kept: dict[str, Any] = {"languages": languages_kept, "days": days}
    if text != licence_classes.STANDARD or narrowed:
        kept |= {"text": text, "terms": narrowed}
    return kept


def check_term(consent: Consent, term: timedelta) -> None:
    """Nobody is sold a day that the consent does not have. Raises TermTooLong."""
    if now() + term > consent.valid_until:
        end = consent.valid_until.astimezone(UTC).date().isoformat()
        raise TermTooLong(
            f"term: the speaker's consent ends on {end}, before a licence of {term.days} days would.", clause="term"
        )


def check_sale(voice: Voice, price_minor: int) -> None:
    if voice.rehearsal and (price_minor != 0 or not settings.REHEARSAL):
        raise RehearsalNotForSale
    if voice.state != READY:
        raise VoiceNotReady


def check_consent(consent: Consent, languages: Sequence[str]) -> None:
    if consent.state != "active" or consent.valid_until <= now():
        raise NotForOthers("The consent is not in force.")
    if consent.uses.get(USE) is not True:
        raise NotForOthers("The speaker's consent does not cover licences to others.")
    beyond = sorted(set(languages) - set(consent.languages))
    if beyond:
        raise NotForOthers(f"The speaker's consent does not cover: {', '.join(beyond)}.")


def check_restrictions(voice: Voice, people: Sequence[UUID]) -> None:
    found = active_restrictions(subjects=[("voice", str(voice.id)), *(("person", str(person)) for person in people)])
    if found:
        raise Restricted(clause=found[0].clause)


def check_offer(listing: Listing, customer_id: UUID) -> None:
    """What must hold when an order is placed. Raises NotLive, NotReviewed, and what ``check_voice`` refuses."""
    if listing.state != ListingState.LIVE:
        raise NotLive
    if listing.review != ReviewState.PUBLISHED:
        raise NotReviewed
    check_voice(listing, customer_id)


def check_voice(listing: Listing, customer_id: UUID) -> None:
    """What must hold whenever a licence is granted, however long ago the offer was made."""
    voice = listing.voice
    check_sale(voice, listing.price_minor)
    check_consent(voice.consent, listing.scope["languages"])
    check_restrictions(voice, [listing.owner_id, customer_id])
