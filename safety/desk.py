"""Reads of the desk: queues with their counts, pages of a queue, what stands around a case.

A page is found by its keyset (severity, moment, id), never by counting rows off, and each of its queries walks one
partial index over undecided cases: the archive may hold millions.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from foundation.clock import now
from foundation.errors import BadCursor
from foundation.identity.actors import Actor
from safety import exposure, guards, service_levels
from safety.models import Appeal, Case, Notice, Restriction, Ruling, Strike
from safety.policy import library
from safety.policy.errors import PackInvalid
from safety.policy.models import PolicyPack
from safety.states import AppealState, CaseState, NoticeState, RulingState, SubjectKind

PAGE: Final = 50
"""Cases on one page of a queue."""
NEAR: Final = 10
"""Similar cases, earlier cases, rulings: as many as one reads."""
_UNDECIDED: Final = (CaseState.OPEN, CaseState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: how many wait in it, how many are late, and since when the oldest waits."""

    kind: str
    severity: int
    waiting: int
    late: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Cases, and the place after the last of them; empty when there are no more."""

    cases: list[Case]
    after: str


def queues(*, actor: Actor) -> list[Queue]:
    """Every queue that is not empty, the worst first. Raises NotAllowed."""
    guards.moderator(actor)
    undecided = Case.objects.filter(state__in=_UNDECIDED)
    rows = undecided.values("kind", "severity").annotate(waiting=Count("id"), oldest=Min("opened_at"))
    moment = now()

    def late(kind: str, severity: int) -> int:
        # By the moment of opening, which an index holds: `due_at` would have every waiting row read.
        opened = moment - service_levels.level(kind=kind, severity=severity)
        return undecided.filter(kind=kind, severity=severity, opened_at__lt=opened).count()

    return [
        Queue(**row, late=late(row["kind"], row["severity"]))
        for row in sorted(rows, key=lambda row: (-row["severity"], row["kind"]))
    ]


def page(
    *, actor: Actor, kind: str | None = None, severity: int | None = None, after: str = "", size: int = PAGE
) -> Page:
    """The next ``size`` undecided cases after a place, worst first, then oldest. Raises NotAllowed, BadCursor."""
    guards.moderator(actor)
    place = _place(after) if after else None
    found: list[Case] = []
    for level in (severity,) if severity is not None else range(exposure.WORST, 0, -1):
        if place is not None and level > place[0]:
            continue
        rows = Case.objects.filter(state__in=_UNDECIDED, severity=level).defer("text", "matches")
        if kind is not None:
            rows = rows.filter(kind=kind)
        if place is not None and level == place[0]:
            rows = rows.filter(opened_at__gte=place[1]).exclude(opened_at=place[1], id__lte=place[2])
        found += rows.order_by("opened_at", "id")[: size + 1 - len(found)]
        if len(found) > size:
            break
    more = len(found) > size
    return Page(found[:size], cursor_of(found[size - 1]) if more else "")


def cursor_of(case: Case) -> str:
    """The place right after this case."""
    text = f"{case.severity}|{case.opened_at.isoformat()}|{case.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        severity, moment, case_id = text.split("|")
        found = int(severity), datetime.fromisoformat(moment), UUID(case_id)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise BadCursor from error
    if found[1].tzinfo is None or not 1 <= found[0] <= exposure.WORST:
        raise BadCursor
    return found


def closed(*, actor: Actor, after: str = "") -> tuple[list[Case], str]:
    """The newest decided cases, `PAGE` at a time. For the desk and for auditors. Raises NotAllowed, BadCursor."""
    guards.reader(actor)
    rows = Case.objects.filter(state=CaseState.DECIDED).defer("text", "matches").order_by("-decided_at", "id")
    if after:
        _, moment, case_id = _place(after)
        rows = rows.filter(decided_at__lte=moment).exclude(decided_at=moment, id__lte=case_id)
    found = list(rows[: PAGE + 1])
    if len(found) <= PAGE:
        return found, ""
    last = found[PAGE - 1]
    text = f"{last.severity}|{last.decided_at.isoformat() if last.decided_at else ''}|{last.id}"
    return found[:PAGE], base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def held_by(*, actor: Actor) -> QuerySet[Case]:
    """What the actor holds now."""
    person_id = guards.moderator(actor)
    return Case.objects.filter(state=CaseState.CLAIMED, claimed_by_id=person_id, claimed_until__gt=now())


def my_waiting(*, actor: Actor) -> QuerySet[Ruling]:
    """The actor's rulings that can still be undone, the newest first."""
    person_id = guards.moderator(actor)
    live = Q(state=RulingState.SECOND) | Q(state=RulingState.WAITING, due_at__gt=now())
    return Ruling.objects.filter(live, made_by_id=person_id).select_related("case").order_by("-made_at")[:NEAR]


def seconds_wanted(*, actor: Actor) -> QuerySet[Ruling]:
    """Irreversible rulings that wait for a second person, the oldest first. Raises NotAllowed."""
    guards.moderator(actor)
    waiting = Ruling.objects.filter(state=RulingState.SECOND).exclude(made_by_id=actor.person_id)
    return waiting.select_related("case").order_by("made_at")


def around(case: Case) -> dict[str, Any]:
    """What a moderator reads beside a case: similar ones, the requester's record, what is restricted already."""
    same = Q(subject_kind=case.subject_kind, subject_ref=case.subject_ref)
    if case.voice_ref:
        same |= Q(voice_ref=case.voice_ref)
    similar = Case.objects.filter(same).exclude(id=case.id).defer("text").order_by("-opened_at")[:NEAR]
    person_id = case.requester_id
    earlier = Case.objects.none()
    if person_id is not None:
        earlier = Case.objects.filter(requester_id=person_id).exclude(id=case.id).defer("text")
    on = Q(subject_kind=case.subject_kind, subject_ref=case.subject_ref)
    if case.voice_ref:
        on |= Q(subject_kind=SubjectKind.VOICE, subject_ref=case.voice_ref)
    if person_id is not None:
        on |= Q(subject_kind=SubjectKind.PERSON, subject_ref=str(person_id))
    counting = Strike.objects.filter(removed_at__isnull=True, expires_at__gt=now())
    return {
        "similar": list(similar),
        "earlier": list(earlier.order_by("-opened_at")[:NEAR]),
        "restrictions": list(Restriction.objects.filter(on, state="active").order_by("-made_at")[:NEAR]),
        "strikes": list(counting.filter(person_id=person_id).order_by("-given_at")) if person_id is not None else [],
        "notes": list(case.notes.select_related("author").order_by("created_at")[:100]),
        "rulings": list(case.rulings.select_related("made_by", "second_by").order_by("made_at")[:NEAR]),
        "notices": list(Notice.objects.filter(case=case).order_by("received_at")[:NEAR]),
    }


def clause_of(case: Case) -> str:
    """The sentence of the clause a case came under, as its own pack has it; empty where no pack found it."""
    if not case.pack_sha256 or not case.clause:
        return ""
    try:
        return library.by_hash(case.pack_sha256).clauses.get(case.clause, "")
    except (PackInvalid, PolicyPack.DoesNotExist):
        return ""  # a pack that is not kept any more: the clause's name stands there all the same


def ruling_now(case: Case) -> Ruling | None:
    """The case's ruling that is not in force yet."""
    return case.rulings.filter(state__in=[RulingState.SECOND, RulingState.WAITING]).first()


def counts(*, actor: Actor) -> dict[str, int]:
    """What waits besides the queues. Raises NotAllowed."""
    guards.moderator(actor)
    return {
        "seconds": seconds_wanted(actor=actor).count(),
        "appeals": Appeal.objects.filter(state=AppealState.OPEN).count(),
        "notices": Notice.objects.filter(state=NoticeState.RECEIVED).count(),
    }
