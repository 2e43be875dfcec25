"""What a person may see of what is held about them, and what an operator may see of the whole."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from foundation.identity.actors import Actor
from retention import moments, sweeping
from retention.errors import ItemUnknown
from retention.holds import holds
from retention.models import CustodyItem, HoldState, Incident, LegalHold, TimeMark

ROWS = 100
"""Rows of each list of the overview."""


def held_for(*, actor: Actor) -> QuerySet[CustodyItem]:
    """Everything held, or once held, of this person: newest first, with the holds in force (``open_holds``)."""
    if actor.person_id is None:
        return CustodyItem.objects.none()
    standing = Prefetch("holds", LegalHold.objects.filter(state=HoldState.ACTIVE), to_attr="open_holds")
    found = CustodyItem.objects.filter(subject_id=actor.person_id).prefetch_related(standing)
    return found.order_by("-received_at", "-created_at")


def item_for(*, actor: Actor, item_id: UUID) -> CustodyItem:
    """One of them. Raises ItemUnknown, the same for an unknown id and another person's."""
    found = held_for(actor=actor).filter(id=item_id).first()
    if found is None:
        raise ItemUnknown
    return found


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of custody: nothing of what the recordings hold or whose they are."""

    at: datetime
    swept_at: datetime | None
    held: int
    overdue: list[CustodyItem]
    due_soon: list[CustodyItem]
    incidents: list[Incident]
    holds: list[LegalHold]


def overview(*, actor: Actor) -> Overview:
    """For operators and auditors. What is overdue is looked up now, so it shows while no sweeper runs.

    Raises MissingScope.
    """
    ordered = list(holds(actor=actor)[:ROWS])
    moment = moments.present()
    mark = TimeMark.objects.filter(id=1).first()
    return Overview(
        at=moment,
        swept_at=mark.swept_at if mark else None,
        held=sweeping.standing().count(),
        overdue=list(sweeping.overdue(moment)[:ROWS]),
        due_soon=list(sweeping.due_soon(moment)[:ROWS]),
        incidents=list(Incident.objects.order_by("-opened_at")[:ROWS]),
        holds=ordered,
    )


def of_subject(*, actor: Actor, person_id: UUID) -> QuerySet[CustodyItem]:
    """What stands of one person, for an operator who must put it under a hold: no content. Raises MissingScope."""
    actor.require_scope("operate")
    return sweeping.standing().filter(subject_id=person_id).order_by("deadline")
