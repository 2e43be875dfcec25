"""Recordings that were made for somebody: a page of them, newest first, with what is needed to play and repeat each."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.urls import reverse

from cloning import texts
from cloning.manner import PRESETS
from cloning.models import CONTAINERS, Output, Voice
from cloning.states import OutputState, VoiceState
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from safety.selectors import active_restrictions
from vouch.web.manners import PLAIN, SAMPLE_SEED, SAMPLES

PAGE: Final = 20
RECENT: Final = 5
"""Under the studio, the newest of this voice."""
MOST_IDS: Final = 40
MOST_VOICES: Final = 100
MOST_Q: Final = 200
MOST_SAMPLES: Final = 4 * (len(PRESETS) + 1)


@dataclass(frozen=True)
class Take:
    """A recording as a row. ``data``: JSON for the page's module; ``again``: where its settings can be used, or ""."""

    data: str
    voice: str
    made_at: datetime
    seconds: float
    container: str
    state: str
    playable: bool
    under_licence: bool
    rehearsal: bool
    again: str


@dataclass(frozen=True)
class Page:
    """``older``: the query string of the next page, "" on the last one."""

    takes: list[Take]
    older: str


def recent(actor: Actor, voice_id: UUID) -> list[Take]:
    """The newest recordings of one voice that were made for the actor."""
    return _rows(list(_mine(actor).filter(voice_id=voice_id)[:RECENT]))


def samples(actor: Actor, voice: Voice) -> dict[str, str]:
    """By mood, the newest recording of what it sounds like in this voice, where one was made for the actor: JSON for
    the page's module. One that the instant voice spoke is none any more when the trained one can."""
    spoken = _mine(actor).filter(
        voice_id=voice.id,
        request__voice_id=voice.id,
        request__text_digest=texts.digest(SAMPLES[voice.language]),
        request__seed=SAMPLE_SEED,
        request__mask=None,
        request__instant=voice.state != VoiceState.READY,
    )
    names = {_settings(settings): name for name, settings in {PLAIN: {}, **PRESETS}.items()}
    found: dict[str, str] = {}
    for output, row in zip(newest := list(spoken[:MOST_SAMPLES]), _rows(newest), strict=True):
        name = names.get(_settings(output.request.manner))
        if name is not None and row.playable:
            found.setdefault(name, row.data)
    return found


def _settings(manner: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(manner.items()))


def voices_heard(actor: Actor) -> list[tuple[UUID, str]]:
    """The voices the actor has recordings of: id and name.

    Two queries: of one, PostgreSQL made a walk through all voices there are, by name (2.3 s of 100,000).
    """
    heard = Output.objects.filter(requester_id=actor.person_id).order_by().values_list("voice_id", flat=True).distinct()
    return list(Voice.objects.filter(id__in=set(heard)).order_by("name", "id").values_list("id", "name")[:MOST_VOICES])


def count(actor: Actor) -> int:
    """How many recordings were made for the actor."""
    return Output.objects.filter(requester_id=actor.person_id).count()


def page(actor: Actor, asked: Mapping[str, str]) -> Page:
    """``asked``: ``q`` (the name of a voice, or a whole text, which is known by its digest alone), ``ids`` (of
    requests, found by the browser in its own memory), ``voice``, ``container``, ``before`` (where a page ended).
    Raises NotFound for what was never a link of ours."""
    found = _mine(actor)
    if q := asked.get("q", "").strip()[:MOST_Q]:
        found = found.filter(_matching(q, asked.get("ids", "")))
    if voice := asked.get("voice"):
        found = found.filter(voice_id=_uuid(voice))
    if (container := asked.get("container")) in CONTAINERS:
        found = found.filter(request__container=container)
    if before := asked.get("before"):
        moment, output = _place(before)
        found = found.filter(Q(created_at__lt=moment) | Q(created_at=moment, id__lt=output))
    rows = list(found[: PAGE + 1])
    older = ""
    if len(rows) > PAGE:
        last = rows[PAGE - 1]
        kept = {key: asked[key] for key in ("q", "ids", "voice", "container") if asked.get(key)}
        older = urlencode({**kept, "before": f"{last.created_at.isoformat()}~{last.id}"})
    return Page(_rows(rows[:PAGE]), older)


def _mine(actor: Actor) -> QuerySet[Output]:
    return (
        Output.objects.filter(requester_id=actor.person_id)
        .select_related("voice", "request")
        .annotate(place=F("provenance__statement__status"))
        # A provenance may carry a whole manifest: only where its mark stands in the lists is of use here.
        .defer("provenance", "request__text")
        .order_by("-created_at", "-id")
    )


def _matching(q: str, ids: str) -> Q:
    match = Q(voice__name__icontains=q)
    with contextlib.suppress(Refused):  # What could never have been spoken matches no text.
        match |= Q(request__text_digest=texts.digest(texts.check_text(q)))
    wanted = [_uuid(one) for one in ids.split(",")[:MOST_IDS] if one]
    return match | Q(request_id__in=wanted) if wanted else match


def _rows(outputs: list[Output]) -> list[Take]:
    found = active_restrictions(subjects=[("output", str(one.id)) for one in outputs])
    stopped = {row.subject_ref for row in found}
    return [_row(one, stopped=str(one.id) in stopped) for one in outputs]


def _row(output: Output, *, stopped: bool) -> Take:
    request = output.request
    state = OutputState.QUARANTINED.value if stopped else output.state
    data: dict[str, Any] = {
        "voice": output.voice.name,
        "output": {
            "id": str(output.id),
            "seconds": output.seconds,
            "label_seconds": output.label_seconds,
            "status": output.place,  # type: ignore[attr-defined]
            "leaf": output.leaf_index,
            "sha256": output.sha256,
            "media_type": output.media_type,
            "instant": request.instant,
        },
        "request": {
            "id": str(request.id),
            "seed": request.seed,
            "language": request.language,
            "container": request.container,
            "manner": request.manner,
            "mask": str(request.mask_id) if request.mask_id else None,
        },
    }
    ready = output.voice.state == VoiceState.READY
    return Take(
        data=json.dumps(data),
        voice=output.voice.name,
        made_at=output.created_at,
        seconds=output.seconds,
        container=request.container,
        state=state,
        playable=state in (OutputState.LIVE, OutputState.RELABELLED),
        under_licence=output.licence_id is not None,
        rehearsal=output.rehearsal,
        again=f"{reverse('web:voice', args=[output.voice_id])}?again={request.id}" if ready else "",
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error


def _place(text: str) -> tuple[datetime, UUID]:
    moment, _, output = text.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise NotFound from error
    if at.tzinfo is None:
        raise NotFound
    return at, _uuid(output)
