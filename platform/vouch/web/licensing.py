"""The pages of licences: an owner's offers and requests, one licence, and what the market shows of both."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext, ngettext
from django.views.decorators.http import require_safe

from cloning import approvals
from cloning.models import LANGUAGES, Output, Voice
from cloning.states import OutputState
from consent import licence_classes, offers, scopes
from consent import selectors as consents
from consent.models import Licence, LicenceOffer
from foundation.identity.actors import Actor
from marketplace import showcase, sounds
from marketplace.models import MAX_FREE_UNITS, MAX_LICENCE_DAYS, MAX_ORDER_CHARACTERS, MAX_PRICE_MINOR, TITLE_CHARS
from marketplace.pricing import Unit
from marketplace.states import Currency
from vouch.web import selectors
from vouch.web.access import actor_of, needs
from vouch.web.templatetags.licensing import clauses

SHOP = 100
"""Listings on the market's page."""
ROWS = 50
FILTERS = ("q", "language", "channel", "use")


@dataclass(frozen=True)
class Cap:
    """One cap of a licence: ``used`` of ``cap``, and the same in words."""

    name: str
    used: int
    cap: int

    @property
    def says(self) -> str:
        left = max(0, self.cap - self.used)
        return gettext("%(used)s of %(cap)s used, %(left)s left") % {
            "used": _grouped(self.used), "cap": _grouped(self.cap), "left": _grouped(left)
        }  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    offer: LicenceOffer
    for_me: bool
    waits_for_me: bool
    clauses: list[tuple[str, str]]


@require_safe
@needs("market:read")
def shop(request: HttpRequest) -> HttpResponse:
    """Browse, listen, search, order; for moderators also what waits for a review."""
    actor = actor_of(request)
    asked = {name: request.GET.get(name, "")[:120] for name in FILTERS}
    known = {"language": LANGUAGES, "channel": scopes.CHANNELS, "use": scopes.SPECIAL_USES}
    narrowed = {name: asked[name] for name, values in known.items() if asked[name] in values}
    found = showcase.search(text=asked["q"], **narrowed).select_related("preview")[:SHOP]
    moderates = actor.role == "moderator"
    return render(
        request,
        "web/market.html",
        {
            "asked": asked,
            "listings": [(one, one.owner_id == actor.person_id) for one in found],
            "licences": selectors.licence_rows(actor),
            "waiting": showcase.waiting(actor=actor)[:SHOP] if moderates else [],
            "languages": LANGUAGES,
            "channels": scopes.CHANNELS,
            "uses": sorted(scopes.SPECIAL_USES),
            "licence_texts": _texts(),
            "max_days": MAX_LICENCE_DAYS,
            "max_characters": MAX_ORDER_CHARACTERS,
            "max_clip": sounds.MAX_BYTES,
        },
    )


@require_safe
@needs("market:write")
def my_offers(request: HttpRequest) -> HttpResponse:
    """What an owner offers, was asked for, and has given."""
    actor = actor_of(request)
    given = Licence.objects.filter(consent__person_id=consents.own_id(actor)).order_by("-granted_at", "id")
    return render(
        request,
        "web/offers.html",
        {
            "texts": approvals.waiting(actor=actor)[:ROWS],
            "proposals": [_proposal(one, actor) for one in offers.offers_of(actor=actor)[:ROWS]],
            "given": given[:ROWS],
            "mine": selectors.my_listings(actor),
            "offerable": selectors.offerable(actor),
            "previews": _previews(actor),
            "licence_texts": _texts(),
            "languages": LANGUAGES,
            "topics": scopes.TOPICS,
            "survivals": scopes.SURVIVAL,
            "moderations": scopes.MODERATION,
            "currencies": Currency.values,
            "units": [unit.value for unit in Unit],
            "max_free": MAX_FREE_UNITS,
            "title_chars": TITLE_CHARS,
            "max_price": MAX_PRICE_MINOR,
            "max_days": MAX_LICENCE_DAYS,
            "max_notice": scopes.MAX_NOTICE_DAYS,
        },
    )


@require_safe
@needs("market:read")
def licence(request: HttpRequest, licence_id: UUID) -> HttpResponse:
    """One licence, for either side."""
    actor = actor_of(request)
    found = consents.licence_of(actor=actor, licence_id=licence_id)
    text = next((one for one in licence_classes.classes() if one.id == found.text_id), None)
    return render(
        request,
        "web/licence.html",
        {
            "licence": found,
            "held_by_me": found.consent.person_id != actor.person_id,
            "holder": found.licensee_id == actor.person_id,
            "mine": found.consent.person_id == actor.person_id,
            "voice": Voice.objects.filter(consent_id=found.consent_id, state="ready").first(),
            "caps": _caps(found),
            "clauses": clauses(found.scope),
            "text": text.texts["zh" if (get_language() or "").startswith("zh") else "en"] if text else "",
            "ending": _ending(found),
        },
    )


def _proposal(offer: LicenceOffer, actor: Actor) -> Proposal:
    for_me = offer.owner_id == actor.person_id
    said = [(gettext("Text"), offer.text_id), (gettext("Characters"), _grouped(offer.characters))]
    said.append((gettext("Days a licence lasts"), str(offer.days)))
    waits = offer.state == "open" and offer.by_owner != for_me
    return Proposal(offer, for_me, waits, [*said, *clauses(offer.scope)])


def _caps(found: Licence) -> list[Cap]:
    caps = [
        Cap(gettext("Characters"), found.characters_used + found.characters_reserved, found.characters_cap),
    ]
    if found.milliseconds_cap is not None:
        used = found.milliseconds_used + found.milliseconds_reserved
        caps.append(Cap(gettext("Seconds"), -(-used // 1000), found.milliseconds_cap // 1000))
    if found.outputs_cap is not None:
        caps.append(Cap(gettext("Outputs"), found.outputs_used + found.outputs_reserved, found.outputs_cap))
    seats = found.scope.get("caps", {}).get("seats")
    if seats is not None:
        caps.append(Cap(gettext("Seats"), 1 + found.seats.filter(returned_at=None).count(), seats))
    return caps


def _ending(found: Licence) -> str:
    days = int(found.scope.get("notice_days", 0))
    if not days:
        return gettext("This licence has no notice period: a notice ends it at once.")
    words = "After a notice this licence goes on for %(n)s day.", "After a notice this licence goes on for %(n)s days."
    return ngettext(*words, days) % {"n": days}


def _previews(actor: Actor) -> list[Output]:
    """Recordings of the actor's own voices that could be a preview, newest first."""
    own = Output.objects.select_related("voice").filter(
        requester_id=actor.person_id,
        voice__owner_id=actor.person_id,
        licence=None,
        state=OutputState.LIVE,
        seconds__lte=showcase.PREVIEW_SECONDS,
    )
    return list(own.order_by("-created_at")[:ROWS])


def _texts() -> list[dict[str, Any]]:
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    return [
        {"id": one.id, "label": f"{one.name[language]} ({one.id})"} for one in licence_classes.classes() if one.offered
    ]


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
