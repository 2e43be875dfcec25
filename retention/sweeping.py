"""The sweep: alarms, incidents, and the end of everything past its deadline.

A sweeper takes a batch of due recordings by writing a short lease into their rows, then ends each in a transaction of
its own. Two sweepers share the work; one that dies leaves leases that run out; a recording that cannot be ended (its
key store is away) costs the others nothing. Leases are measured by the database's clock, deadlines by `moments`.
"""

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Least, Now

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from retention import ending, holds, moments
from retention.models import CustodyItem, CustodyState, Incident, IncidentKind, TimeMark

ACTOR: Final = Actor.system("retention.sweep")
BATCH: Final = 50
"""Recordings one sweeper leases at a time."""
LEASE: Final = timedelta(seconds=30)
"""Ending a batch takes a second or two; a sweeper that died delays its batch by this much at most."""
ABANDONED_AFTER: Final = timedelta(hours=1)
"""An upload that never ended (client gone, server killed) is destroyed this long after its first byte."""
ALARM: Final = timedelta(hours=6)
"""How long before its deadline it is told that a recording is still here."""
OVERDUE_AFTER: Final = timedelta(minutes=5)
"""A recording that outlives its deadline by more than this is an incident. The sweep needs seconds."""
CLOCK_TOLERANCE: Final = timedelta(minutes=2)
"""A clock further behind the latest moment seen is an incident, not a correction."""

logger = logging.getLogger("retention")


def sweep() -> int:
    """Ends every item past its deadline, and uploads that were abandoned. Returns how many recordings it ended.

    Safe to run twice, by several workers at once, and after one died at any step.
    """
    _watch_clock()
    holds.expire_holds()
    holds.keep_files()
    _alarm()
    _report_overdue()
    ended = 0
    while leased := _lease():
        ended += sum(_end(item_id) for item_id in leased)
    ending.delete_files()
    TimeMark.objects.filter(id=1).update(swept_at=now())
    return ended


def overdue(moment: datetime) -> QuerySet[CustodyItem]:
    """Recordings that should have ended by now and have not, the latest first to have been due in front."""
    return standing().filter(deadline__lte=moment - OVERDUE_AFTER).exclude(holds.held_by_law()).order_by("deadline")


def due_soon(moment: datetime) -> QuerySet[CustodyItem]:
    """Recordings whose deadline is less than `ALARM` away, soonest first; short-lived ones from half their life on."""
    at = Value(moment, output_field=DateTimeField())
    second_half = ExpressionWrapper(at + (at - F("received_at")), output_field=DateTimeField())
    return standing().filter(deadline__gt=moment, deadline__lte=Least(at + ALARM, second_half)).order_by("deadline")


def standing() -> QuerySet[CustodyItem]:
    """Recordings that have not ended: each stands for everything derived from it."""
    return CustodyItem.objects.filter(parent__isnull=True).exclude(state=CustodyState.DESTROYED)


def _lease() -> list[UUID]:
    """Takes up to BATCH due recordings nobody else is at."""
    with transaction.atomic():
        moment = moments.present()
        due = list(
            standing()
            .select_for_update(skip_locked=True, of=("self",))
            .filter(Q(deadline__lte=moment) | _abandoned(moment))
            .filter(Q(lease_until__isnull=True) | Q(lease_until__lt=Now()))
            .exclude(holds.held_by_law())
            .order_by("deadline")
            .values_list("id", flat=True)[:BATCH]
        )
        CustodyItem.objects.filter(id__in=due).update(lease_until=Now() + LEASE)
    return due


def _end(item_id: UUID) -> int:
    """Ends one leased recording: 1, or 0 when it ended otherwise, came under a hold, or cannot be ended now."""
    try:
        with transaction.atomic():
            item = CustodyItem.objects.select_for_update(of=("self",)).get(id=item_id)
            moment = moments.present()
            if item.state == CustodyState.DESTROYED or not (item.deadline <= moment or _is_abandoned(item, moment)):
                return 0
            reason = "deadline" if item.deadline <= moment else "abandoned"
            return int(any(ending.destroy_all(items=[item], reason=reason, actor=ACTOR)))
    except Exception as error:  # noqa: BLE001 - one recording that cannot end must not keep the others
        logger.error("custody.not_ended item=%s error=%s", item_id, type(error).__name__)
        return 0


def _abandoned(moment: datetime) -> Q:
    return Q(state=CustodyState.RECEIVING, received_at__lte=moment - ABANDONED_AFTER)


def _is_abandoned(item: CustodyItem, moment: datetime) -> bool:
    return item.state == CustodyState.RECEIVING and item.received_at <= moment - ABANDONED_AFTER


def _alarm() -> None:
    """Tells once of each recording that it is due soon: in the worker's log, and on the operator's page."""
    moment = moments.present()
    for item_id, deadline in due_soon(moment).filter(alarmed_at=None).values_list("id", "deadline"):
        if CustodyItem.objects.filter(id=item_id, alarmed_at=None).update(alarmed_at=now()):
            logger.warning("custody.due_soon item=%s deadline=%s", item_id, deadline.isoformat())


def _report_overdue() -> None:
    moment = moments.present()
    known = Incident.objects.filter(kind=IncidentKind.OVERDUE, item=OuterRef("id"))
    late = overdue(moment).filter(~Exists(known)).values_list("id", "deadline")
    for item_id, deadline in late:
        data: dict[str, str | int] = {
            "deadline": deadline.isoformat(),
            "seconds": int((moment - deadline).total_seconds()),
        }
        _open_incident(IncidentKind.OVERDUE, item_id, "custody.overdue", f"custody:{item_id}", data)


def _watch_clock() -> None:
    """A clock that was set back is an incident; then the time is written down, for the next look."""
    gap = moments.behind()
    opened = Incident.objects.filter(kind=IncidentKind.CLOCK, closed_at=None)
    if gap > CLOCK_TOLERANCE and not opened.exists():
        _open_incident(IncidentKind.CLOCK, None, "clock.set_back", "clock", {"seconds": int(gap.total_seconds())})
    elif not gap:
        opened.update(closed_at=now())
    moments.remember()


def _open_incident(
    kind: IncidentKind, item_id: UUID | None, event: str, subject: str, data: dict[str, str | int]
) -> None:
    try:
        with transaction.atomic():
            if item_id is not None:
                # The row is locked before the log, as everywhere: an item that just ended is no incident any more.
                locked = standing().select_for_update(of=("self",)).filter(id=item_id)
                if not locked.exists():
                    return
            leaf = log.append(kind=event, subject=subject, actor=ACTOR, data=data)
            Incident.objects.create(
                kind=kind, item_id=item_id, seconds=float(data["seconds"]), opened_at=now(), leaf_index=leaf.index
            )
    except IntegrityError:
        return  # another sweeper was first
    logger.error("custody.incident kind=%s item=%s seconds=%s", kind, item_id, data["seconds"])
