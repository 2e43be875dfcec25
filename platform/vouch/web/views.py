"""The pages. Each renders its frame with what the person may see; its module in ``static/web`` does the rest by the
API, with the same rights."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cloning import bases, instant, trace_answers
from cloning.errors import TraceNotReady
from cloning.models import CONTAINERS, LANGUAGES, MAX_NAME, MAX_SEED, MAX_TEXT
from cloning.tracing import MAX_BYTES as MAX_TRACE_BYTES
from consent import protection
from consent import selectors as consent_selectors
from consent.ceremony import LIFE
from consent.consequences import REMAINS
from consent.models import MAX_TERM_DAYS
from consent.recordings import MAX_BYTES as MAX_RECORDING_BYTES
from consent.review_models import NAME_CHARS, STATEMENT_CHARS, Standing
from consent.reviews import MAX_DOCUMENT_BYTES, SPEAKERS
from consent.scopes import CHANNELS, SPECIAL_USES
from consent.services import USES
from foundation import keys
from foundation.audit import checkpoints, notes
from foundation.audit.selectors import AUDIT
from foundation.errors import NotFound
from retention import schedule
from retention import selectors as custodies
from retention.purposes import LIMIT as RETENTION
from safety import views_log
from vouch.web import drawing, manners, masks, selectors, takes
from vouch.web.access import actor_of, needs

KEY_DAYS = (30, 90, 365)
"""How long a key can be valid, as the page offers it."""
QUEUE = 100
"""Cases on the desk's page."""


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return render(request, "web/landing.html", {"hours": _hours(RETENTION)})
    actor = actor_of(request)
    if "voice:read" not in actor.scopes:
        return render(request, "web/staff.html")
    return render(
        request,
        "web/dashboard.html",
        {
            "voices": selectors.voices(actor),
            "in_force": selectors.consents_in_force(actor),
            "held": selectors.held(actor),
        },
    )


@require_safe
@needs("consent:read")
def me(request: HttpRequest) -> HttpResponse:
    """All that is kept of me, and how to end it."""
    actor = actor_of(request)
    return render(
        request,
        "web/me.html",
        {
            "consents": selectors.consent_rows(actor),
            "licences": selectors.licence_rows(actor),
            "held": selectors.held(actor),
            "destroyed": selectors.destroyed(actor),
            "protection": protection.own(actor=actor),
            "hours": _hours(RETENTION),
            "outputs": takes.count(actor),
            "output_days": settings.VOUCH_OUTPUT_DAYS,
            "keys": selectors.keys_of(actor),
            "scopes": sorted(actor.scopes),
            "key_days": KEY_DAYS,
            **selectors.sessions(request),
        },
    )


@require_safe
@needs("consent:write")
def consent(request: HttpRequest) -> HttpResponse:
    """The ceremony; with ``?renew=`` an own consent in force, its renewal."""
    limits = {
        "renew": selectors.renewable(actor_of(request), request.GET.get("renew", "")),
        "hours": _hours(RETENTION),
        "challenge_seconds": int(LIFE.total_seconds()),
        "max_bytes": MAX_RECORDING_BYTES,
        "max_term_days": MAX_TERM_DAYS,
        "max_name": MAX_NAME,
        "languages": LANGUAGES,
        "other_uses": [use for use in USES if use != "own_use"],
        "offers": [offer for offer in bases.offers() if offer.offered],
    }
    return render(request, "web/consent.html", limits)


@require_safe
@needs("consent:write")
def protect(request: HttpRequest) -> HttpResponse:
    """Forbidding the cloning of one's own voice, by a live challenge."""
    actor = actor_of(request)
    return render(
        request,
        "web/protect.html",
        {
            "protection": protection.own(actor=actor),
            "consented": bool(selectors.consents_in_force(actor)),
            "hours": _hours(RETENTION),
            "challenge_seconds": int(LIFE.total_seconds()),
        },
    )


@require_safe
@needs("consent:read")
def consents(request: HttpRequest) -> HttpResponse:
    cards = selectors.consent_cards(actor_of(request))
    return render(request, "web/consents.html", {"cards": cards, "remains": list(REMAINS.values())})


@require_safe
@needs("consent:write")
def reviews(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "web/reviews.html",
        {
            "reviews": consent_selectors.reviews_of(actor=actor_of(request))[:QUEUE],
            "standings": [one for one in Standing.values if one != Standing.SELF],
            "speakers": SPEAKERS,
            "name_chars": NAME_CHARS,
            "statement_chars": STATEMENT_CHARS,
            "max_bytes": MAX_DOCUMENT_BYTES,
            "hours": _hours(RETENTION),
        },
    )


@require_safe
@needs("moderate")
def review(request: HttpRequest, review_id: UUID) -> HttpResponse:
    found = consent_selectors.review_for(actor=actor_of(request), review_id=review_id)
    views_log.viewed(actor=actor_of(request), subject=f"review:{review_id}", what="review")
    return render(
        request,
        "web/review.html",
        {
            "review": found,
            "documents": found.documents.select_related("custody").order_by("id"),
            "voted": found.votes.filter(moderator_id=request.user.pk).exists(),
            "statement_chars": STATEMENT_CHARS,
        },
    )


@require_safe
@needs("speak")
def voice(request: HttpRequest, voice_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    found = selectors.speakable_voice(actor, voice_id)
    limits = {"max_text": MAX_TEXT, "max_seed": MAX_SEED, "containers": CONTAINERS}
    limits |= {"languages": selectors.languages_for(actor, found), "all_languages": len(LANGUAGES)}
    limits |= {"channels": CHANNELS, "uses": sorted(SPECIAL_USES - {"cross_lingual"})}
    own = found.owner_id == actor.person_id
    return render(
        request,
        "web/voice.html",
        {
            "voice": found,
            "own": own,
            "cost": bases.cost_of(found.version) if own else None,
            "left": None if own else selectors.licensed_characters(actor, found),
            "sliders": manners.sliders(),
            "moods": manners.moods(takes.samples(actor, found)),
            "sample": manners.SAMPLES[found.language],
            "sample_seed": manners.SAMPLE_SEED,
            "takes": takes.recent(actor, voice_id),
            **masks.shown(actor, found),
            "speaks_at_once": own and found.instant_id is not None,
            "can_speak_at_once": own and found.instant_id is None and instant.is_offered(found),
            **limits,
        },
    )


@require_safe
@needs("speak")
def recordings(request: HttpRequest) -> HttpResponse:
    """What was spoken for me, newest first, a page at a time."""
    actor, asked = actor_of(request), request.GET.dict()
    found = takes.page(actor, asked)
    about = {"asked": asked, "voices": takes.voices_heard(actor), "containers": CONTAINERS}
    return render(request, "web/recordings.html", {"takes": found.takes, "older": found.older, **about})


@require_safe
@never_cache
def trace(request: HttpRequest) -> HttpResponse:
    desk = request.user.is_authenticated and "moderate" in actor_of(request).scopes
    limits = {"max_bytes": MAX_TRACE_BYTES, "max_mib": MAX_TRACE_BYTES // 2**20, "desk": desk}
    return render(request, "web/trace.html", limits)


@require_safe
@needs("moderate")
def traced(request: HttpRequest, trace_id: UUID) -> HttpResponse:
    """Everything about a trace, for moderators, with the matches drawn over the outline of the recording."""
    try:
        found = trace_answers.whole(actor=actor_of(request), trace_id=trace_id)
    except TraceNotReady as error:
        raise NotFound(error.detail) from error
    views_log.viewed(actor=actor_of(request), subject=f"trace:{trace_id}", what="trace")
    return render(request, "web/traced.html", {"trace": found, "drawing": drawing.of(found)})


@require_safe
@never_cache
def log(request: HttpRequest) -> HttpResponse:
    signed_in = request.user.is_authenticated
    scopes = actor_of(request).scopes if signed_in else frozenset()
    key, origin = keys.public_key("log"), settings.VOUCH_LOG_ORIGIN
    return render(
        request,
        "web/log.html",
        {
            "checkpoint": (checkpoints.latest() or checkpoints.make()).note,
            "public_key": key.hex(),
            "verifier_key": notes.verifier_key(origin, key),
            "auditor": AUDIT in scopes,
            "leaves": selectors.newest_leaves(whole=AUDIT in scopes) if signed_in else None,
        },
    )


@require_safe
@never_cache
def retention(request: HttpRequest) -> HttpResponse:
    """The public policy: the schedule as data, in the page's language."""
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    return render(
        request, "web/retention.html", {"rows": schedule.in_language(language), "version": schedule.version()}
    )


@require_safe
@needs("audit:read")
def custody(request: HttpRequest) -> HttpResponse:
    return render(request, "web/custody.html", {"custody": custodies.overview(actor=actor_of(request))})


def _hours(span: timedelta) -> int:
    return int(span.total_seconds() // 3600)
