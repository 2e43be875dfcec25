"""By what a recording is known again: sealed beside it, under its key and deadline, and gone with it."""

from typing import Final

from django.db.models import Q, QuerySet

from consent.models import Challenge, Recording
from consent.states import RecordingState
from foundation.clock import now
from foundation.identity.actors import Actor
from retention import custody
from retention.models import CustodyItem, CustodyState

KIND: Final = "fingerprint"
"""Kind of the custody item that holds one."""
MOST: Final = 60
"""Recordings one is compared with: more than a ceremony makes, and each takes a moment."""


def keep(*, of: CustodyItem, fingerprint: bytes, actor: Actor) -> CustodyItem:
    """Seals the fingerprint of a held recording. In a transaction."""
    return custody.derive(parent=of, data=fingerprint, kind=KIND, actor=actor)


def before(challenge: Challenge) -> QuerySet[CustodyItem]:
    """Those still held of what this person said or sent outside this challenge; newest first."""
    said = Challenge.objects.filter(person_id=challenge.person_id).exclude(id=challenge.id)
    sent = Recording.objects.filter(person_id=challenge.person_id)
    return _held(Q(parent__in=said.values("custody")) | Q(parent__in=sent.values("custody")))


def beside(recording: Recording) -> QuerySet[CustodyItem]:
    """Those still held of other recordings that passed under the same challenge (or review); newest first."""
    ground = {"challenge": recording.challenge, "review": recording.review}
    passed = Recording.objects.filter(state=RecordingState.PASSED.value, **ground)
    return _held(Q(parent__in=passed.exclude(id=recording.id).values("custody")))


def _held(whose: Q) -> QuerySet[CustodyItem]:
    held = CustodyItem.objects.filter(whose, kind=KIND, state=CustodyState.HELD, deadline__gt=now())
    return held.order_by("-received_at")[:MOST]
