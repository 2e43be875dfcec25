"""The page of many lines: what may be sent, and the batches of a voice so far. Its module does the rest by the API."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cloning.batches import selectors as batches
from cloning.batches.tables import MAX_BYTES, MAX_LINES
from cloning.models import CONTAINERS
from vouch.web import masks, selectors
from vouch.web.access import actor_of, needs

SHOWN = 20
"""Former batches on the page; the API lists all."""


@require_safe
@needs("speak")
def batch(request: HttpRequest, voice_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    voice = selectors.speakable_voice(actor, voice_id)
    found = {"voice": voice, "batches": batches.batches(actor=actor).filter(voice=voice)[:SHOWN]}
    usable = [row for row in masks.rows(actor, voice) if row.ready]
    limits: dict[str, Any] = {"max_bytes": MAX_BYTES, "max_lines": MAX_LINES, "containers": CONTAINERS}
    limits["languages"] = selectors.languages_for(actor, voice)
    return render(request, "web/batch.html", {**found, **limits, "usable_masks": usable})
