"""What the work does to the people who do it: a budget of the worst for a day, breaks, and nobody's heroics.

Counted are decided cases of the highest severity and seconds of sound listened to. When either is spent, the desk
hands out lighter cases only, until the next day (UTC). A break frees everything the moderator holds.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from foundation.clock import now
from foundation.errors import Refused
from foundation.identity.actors import Actor
from safety import guards
from safety.errors import BudgetSpent, OnBreak
from safety.models import Exposure

WORST: Final = 3
"""The highest severity."""
SEVERE_A_DAY: Final = 60
"""Cases of the highest severity one person decides in a day."""
SECONDS_A_DAY: Final = 90 * 60
"""Seconds of reported sound one person listens to in a day."""
BREAK_AFTER: Final = timedelta(minutes=90)
"""After so long without a break the desk asks for one."""
BREAK_LENGTH: Final = timedelta(minutes=10)
MAX_BEAT_SECONDS: Final = 60
"""The most one report of listening may add: the page sends one every few seconds."""


def today(person_id: UUID) -> Exposure:
    """The person's row of today, made if there is none. Not locked."""
    return Exposure.objects.get_or_create(person_id=person_id, day=now().date())[0]


def worst_allowed(person_id: UUID) -> int:
    """The highest severity that may be handed to this person now. Raises OnBreak."""
    row = today(person_id)
    moment = now()
    if row.on_break_until is not None and row.on_break_until > moment:
        raise OnBreak(until=row.on_break_until.isoformat())
    if row.working_since is None:
        Exposure.objects.filter(id=row.id).update(working_since=moment, on_break_until=None)
    return WORST - 1 if is_spent(row) else WORST


def is_spent(row: Exposure) -> bool:
    return row.severe >= SEVERE_A_DAY or row.seconds_heard >= SECONDS_A_DAY


def refuse(person_id: UUID) -> None:
    """Raises BudgetSpent, with the figures."""
    row = today(person_id)
    raise BudgetSpent(severe=row.severe, seconds_heard=row.seconds_heard)


def wants_break(row: Exposure) -> bool:
    """Whether it is time for a break."""
    return row.working_since is not None and now() - row.working_since >= BREAK_AFTER


def count_case(person_id: UUID, *, severity: int) -> None:
    """A decided case."""
    row = today(person_id)
    Exposure.objects.filter(id=row.id).update(cases=F("cases") + 1, severe=F("severe") + int(severity >= WORST))


@transaction.atomic
def count_listening(*, actor: Actor, seconds: int) -> Exposure:
    """Seconds of sound the actor has heard. Raises NotAllowed, Refused."""
    person_id = guards.moderator(actor)
    if not 1 <= seconds <= MAX_BEAT_SECONDS:
        raise Refused(f"1 to {MAX_BEAT_SECONDS} seconds.", code="seconds_out_of_range")
    row = today(person_id)
    Exposure.objects.filter(id=row.id).update(seconds_heard=F("seconds_heard") + seconds)
    row.refresh_from_db()
    return row


@transaction.atomic
def start_break(*, actor: Actor) -> Exposure:
    """A break, from now. The caller also frees what the moderator holds (`safety.claims.release_all`)."""
    row = today(guards.moderator(actor))
    row.on_break_until, row.working_since = now() + BREAK_LENGTH, None
    row.save(update_fields=["on_break_until", "working_since"])
    return row


@transaction.atomic
def end_break(*, actor: Actor) -> Exposure:
    row = today(guards.moderator(actor))
    row.on_break_until = None
    row.save(update_fields=["on_break_until"])
    return row
