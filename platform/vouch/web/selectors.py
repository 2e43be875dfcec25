"""What the pages show, gathered from the rooms' own selectors."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest

from cloning import selectors as cloning
from cloning.models import LANGUAGES, Job, JobKind, Voice
from consent import licences, scopes
from consent import selectors as consents
from consent.compact import SELF
from consent.consequences import ENDS, Consequence
from consent.models import Consent, Licence
from consent.renewal import due_from
from foundation.audit import selectors as audit
from foundation.audit import tree
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import ApiKey
from foundation.identity.sessions import sessions_of
from marketplace.models import Listing
from marketplace.states import ListingState
from retention import selectors as retention
from retention.models import CustodyItem
from vouch.consents import foresee_each
from vouch.web.access import actor_of

ROWS = 50
"""Rows of one list on the dashboard: newest first, the API has the rest."""
LEAVES = 25
"""Newest leaves on the log page."""


@dataclass(frozen=True)
class VoiceRow:
    """A voice and its training job, None for a voice whose job is unknown."""

    voice: Voice
    job: Job | None


@dataclass(frozen=True)
class ConsentRow:
    """A consent with what ends when it is withdrawn."""

    consent: Consent
    voices: list[Voice]
    licences: int
    in_force: bool


@dataclass(frozen=True)
class ConsentCard:
    """A consent as its person keeps it: what it allows, how long still, and what a withdrawal would end.

    ``ends``: each consequence once, with how many of its kind. ``due``: it is time to renew.
    """

    consent: Consent
    in_force: bool
    due: bool
    seconds_left: int
    voices: list[Voice]
    ends: list[tuple[dict[str, str], int]]


@dataclass(frozen=True)
class LicenceRow:
    """A licence, the voice it opens (None when there is none to speak with now), and what is left of it."""

    licence: Licence
    voice: Voice | None
    held_by_me: bool
    characters_left: int


@dataclass(frozen=True)
class CustodyRow:
    """A raw recording held, and how long it is readable still (whole seconds, never negative)."""

    item: CustodyItem
    seconds_left: int


def voices(actor: Actor) -> list[VoiceRow]:
    """The actor's own voices with their training, newest first."""
    found = list(cloning.voices(actor=actor)[:ROWS])
    jobs = Job.objects.filter(voice__in=found, kind=JobKind.TRAIN).order_by("created_at")
    latest = {job.voice_id: job for job in jobs}
    return [VoiceRow(voice, latest.get(voice.id)) for voice in found]


def consent_rows(actor: Actor) -> list[ConsentRow]:
    """The actor's own consents, newest first."""
    found = list(consents.consents_of(actor=actor)[:ROWS])
    under: dict[UUID, list[Voice]] = defaultdict(list)
    for voice in Voice.objects.filter(consent__in=found).exclude(state="destroyed"):
        under[voice.consent_id].append(voice)
    licences: dict[UUID, int] = defaultdict(int)
    for consent_id in Licence.objects.filter(consent__in=found, state="active").values_list("consent_id", flat=True):
        licences[consent_id] += 1
    moment = now()
    return [
        ConsentRow(one, under[one.id], licences[one.id], one.state == "active" and one.valid_until > moment)
        for one in found
    ]


def consents_in_force(actor: Actor) -> int:
    """How many consents of the actor's own stand."""
    return consents.consents_of(actor=actor).filter(state="active", valid_until__gt=now()).count()


def keys_of(actor: Actor) -> list[ApiKey]:
    """The actor's keys that can still be used, newest first."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now())
    mine = ApiKey.objects.filter(unexpired, person=actor.person_id, revoked_at=None)
    return list(mine.order_by("-created_at")[:ROWS])


def sessions(request: HttpRequest) -> dict[str, Any]:
    """Where whoever asks is signed in, newest first, and which of them this is."""
    here = request.session.session_key
    found = list(sessions_of(actor=actor_of(request))[:ROWS])
    return {"sessions": found, "this_session": here, "other_sessions": any(one.session_key != here for one in found)}


def consent_cards(actor: Actor) -> list[ConsentCard]:
    """The actor's own consents in full, newest first."""
    moment = now()
    rows = consent_rows(actor)
    ends = foresee_each([row.consent for row in rows])
    return [
        ConsentCard(
            row.consent,
            row.in_force,
            row.in_force and due_from(row.consent) <= moment,
            max(0, int((row.consent.valid_until - moment).total_seconds())) if row.in_force else 0,
            row.voices,
            _counted(ends[row.consent.id]),
        )
        for row in rows
    ]


def renewable(actor: Actor, consent_id: str) -> str:
    """The id of an own consent in force that is renewed by voice alone; empty for an empty one. Raises NotFound."""
    if not consent_id:
        return ""
    try:
        found = consents.consent_of(actor=actor, consent_id=UUID(consent_id))
    except ValueError as error:
        raise NotFound from error
    if found.basis != SELF or found.state != "active" or found.valid_until <= now():
        raise NotFound
    return str(found.id)


def _counted(found: list[Consequence]) -> list[tuple[dict[str, str], int]]:
    counts: dict[str, int] = defaultdict(int)
    for one in found:
        counts[one.what] += one.count
    return [(ENDS[what], count) for what, count in counts.items()]


def licence_rows(actor: Actor) -> list[LicenceRow]:
    """Licences the actor holds or has a seat in, and those under the actor's own consents, newest first."""
    found = list(consents.licences_of(actor=actor)[:ROWS])
    ready = Voice.objects.filter(consent__in=[one.consent_id for one in found], state="ready").order_by("created_at")
    by_consent = {voice.consent_id: voice for voice in ready}
    return [
        LicenceRow(
            one,
            by_consent.get(one.consent_id),
            one.consent.person_id != actor.person_id,
            one.characters_cap - one.characters_used - one.characters_reserved,
        )
        for one in found
    ]


def licensed_characters(actor: Actor, voice: Voice) -> int:
    """Characters left for this voice under the fullest of the actor's licences in force; 0 without one."""
    found = consents.licences_of(actor=actor).filter(consent_id=voice.consent_id, state="active", valid_until__gt=now())
    return max((one.characters_cap - one.characters_used - one.characters_reserved for one in found), default=0)


def languages_for(actor: Actor, voice: Voice) -> list[str]:
    """Languages that the voice may speak for the actor: those of its consent, and with a licence of that one, too.

    A language other than the voice's own is a use that a licence must name. The gate decides every time; this is what
    a page offers.
    """
    ground = licences.ground_of(voice.consent)
    if voice.owner_id == actor.person_id:
        return [one for one in LANGUAGES if one in ground.languages]
    held = consents.licences_of(actor=actor).filter(consent_id=voice.consent_id, state="active", valid_until__gt=now())
    granted = [scopes.parse(one.scope) for one in held]
    return [one for one in LANGUAGES if any(_covers(scope, ground, voice, one) for scope in granted)]


def _covers(scope: scopes.Scope, ground: scopes.Ground, voice: Voice, language: str) -> bool:
    across = frozenset({"cross_lingual"}) if language != voice.language else frozenset()
    denied = scopes.denials(scope, ground, scopes.Use(language, uses=across))
    return not any(one.clause in ("languages", "uses") for one in denied)


def held(actor: Actor) -> list[CustodyRow]:
    """Raw recordings of the actor that can still be read, or that a legal hold keeps, soonest deadline first."""
    moment = now()
    standing = Q(deadline__gt=moment) | Q(holds__state="active", holds__expires_at__gt=moment)
    items = retention.held_for(actor=actor).filter(standing, state="held").order_by("deadline").distinct()[:ROWS]
    return [CustodyRow(item, max(0, int((item.deadline - moment).total_seconds()))) for item in items]


def destroyed(actor: Actor) -> list[CustodyItem]:
    """What was held and is gone, newest first: each has its certificate."""
    return list(retention.held_for(actor=actor).filter(state="destroyed").order_by("-destroyed_at")[:ROWS])


def speakable_voice(actor: Actor, voice_id: UUID) -> Voice:
    """The actor's own voice, or one the actor holds a licence or a seat for. Raises NotFound.

    Only whether the page opens is decided here; whether the voice may speak is the gate's answer, every time.
    """
    found = Voice.objects.filter(id=voice_id).first()
    if found is None or actor.person_id is None:
        raise NotFound
    own = found.owner_id == actor.person_id
    if not own and not consents.knows_consent(person_id=actor.person_id, consent_id=found.consent_id):
        raise NotFound
    return found


def offerable(actor: Actor) -> list[Voice]:
    """Voices of the actor's own that can be offered: ready, under a consent in force that allows licences, not yet
    on offer; newest first, with ``id`` and ``name`` loaded."""
    offered = Listing.objects.filter(owner_id=actor.person_id, state=ListingState.LIVE).values("voice_id")
    ready = Voice.objects.filter(
        owner_id=actor.person_id,
        state="ready",
        consent__state="active",
        consent__valid_until__gt=now(),
        consent__uses__licence_to_others=True,
    )
    return list(ready.exclude(id__in=offered).only("id", "name").order_by("-created_at", "-id"))


def my_listings(actor: Actor) -> list[Listing]:
    """The actor's own live offers."""
    own = Listing.objects.select_related("voice").filter(owner_id=actor.person_id, state=ListingState.LIVE)
    return list(own.order_by("-created_at")[:ROWS])


def newest_leaves(*, whole: bool) -> list[dict[str, Any]]:
    """The newest leaves, newest first: index, time and hash; with ``whole`` also the body (for auditors)."""
    size = tree.size()
    rows = audit.leaves(start=max(0, size - LEAVES), limit=LEAVES)
    return [
        {
            "index": row.index,
            "at": row.created_at,
            "hash": bytes(row.leaf_hash).hex(),
            "body": bytes(row.body).decode() if whole else None,
        }
        for row in reversed(rows)
    ]
