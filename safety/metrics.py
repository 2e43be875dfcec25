"""The desk in figures, and its decisions as rows: for its own people, auditors and operators. No texts, no names.

Reviewers are pseudonyms: a keyed hash of the person, the same in every export of one installation.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.crypto import salted_hmac

from foundation.audit import canonical
from foundation.clock import now
from foundation.identity.actors import Actor
from safety import guards, quality
from safety.models import Appeal, Case, DeskTally
from safety.states import AGAINST, AppealOutcome, AppealState, CaseKind, CaseState

DAYS: Final = 30
MAX_DAYS: Final = 366
MAX_ROWS: Final = 100_000
"""Rows of one export."""
COLUMNS: Final = (
    "case", "kind", "severity", "subject_kind", "rule", "clause", "pack", "opened_at", "due_at", "first_claimed_at",
    "last_claimed_at", "decided_at", "handling_seconds", "in_time", "decision", "decision_clause", "reviewer",
    "reverses", "appeal",
)  # fmt: skip


def pseudonym(person_id: UUID | None) -> str:
    """``r-`` and 12 hex digits; the same person is the same pseudonym. Empty for nobody."""
    if person_id is None:
        return ""
    return "r-" + salted_hmac("vouch.desk.reviewer", str(person_id), algorithm="sha256").hexdigest()[:12]


def overview(*, actor: Actor, days: int = DAYS) -> dict[str, Any]:
    """The figures of the last ``days`` (1 to 366) days, today among them. Raises NotAllowed, ValueError."""
    guards.reader(actor)
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"1 to {MAX_DAYS} days")
    tallies = _tallies(days)
    groups = _grouped(tallies)
    total = sum(groups, Counted())
    waiting = list(
        Case.objects.exclude(state=CaseState.DECIDED)
        .values_list("kind")
        .annotate(waiting=Count("*"), late=Count("due_at", filter=Q(due_at__lt=now())))
        .order_by("kind")
    )
    return {
        "days": days,
        "waiting": {kind: count for kind, count, _ in waiting},
        "late": sum(late for _, _, late in waiting),
        "decided": total.decided,
        "in_time": _share(total.in_time, total.decided),
        "handling_seconds": _mean(total.seconds, total.timed),
        "by_kind": {kind: one.decided for kind, one in _by(groups, "kind").items()},
        "by_decision": {decision: one.decided for decision, one in _by(groups, "decision").items()},
        "by_day": _by_day(tallies, days),
        "appeals": _appeals(days),
        "quality": quality.agreement(days=days),
        "rules": _rules(groups),
        "reviewers": _reviewers(groups),
    }


@dataclass(frozen=True, slots=True)
class Counted:
    """Decisions of one kind, rule, outcome and reviewer; of several together where those are empty."""

    kind: str = ""
    rule: str = ""
    decision: str = ""
    reviewer_id: UUID | None = None
    decided: int = 0
    in_time: int = 0
    timed: int = 0
    seconds: int = 0
    reversed: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        sums = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return Counted(**sums)


_GROUPS: Final = ("kind", "rule", "decision", "reviewer_id")
_COUNTS: Final = ("decided", "in_time", "timed", "seconds", "reversed")


def precision_by_rule(*, days: int = DAYS) -> list[dict[str, Any]]:
    """Of the holds each rule caused that were decided: how many were rightly held, reversals counted as wrong."""
    return _rules(_grouped(_tallies(days)))


def _rules(groups: Sequence[Counted]) -> list[dict[str, Any]]:
    held = [one for one in groups if one.kind == CaseKind.HOLD]
    against = _by([one for one in held if one.decision in AGAINST], "rule")
    found = []
    for rule, one in sorted(_by(held, "rule").items(), key=lambda pair: (-pair[1].decided, pair[0]))[:50]:
        right = against.get(rule, Counted()).decided - one.reversed  # only what went against somebody is ever reversed
        found.append(
            {
                "rule": rule,
                "decided": one.decided,
                "right": right,
                "reversed": one.reversed,
                "precision": _share(right, one.decided),
            }
        )
    return found


def _grouped(tallies: QuerySet[DeskTally]) -> list[Counted]:
    """One pass over the days' rows; what the figures ask for is summed from the few that come back."""
    rows = tallies.values_list(*_GROUPS).annotate(*(Sum(name) for name in _COUNTS)).order_by(*_GROUPS)
    return [Counted(*row) for row in rows]


def _by(groups: Sequence[Counted], field: str) -> dict[Any, Counted]:
    found: dict[Any, Counted] = {}
    for one in groups:
        value = getattr(one, field)
        found[value] = found.get(value, Counted()) + one
    return found


def _tallies(days: int) -> QuerySet[DeskTally]:
    return DeskTally.objects.filter(day__gt=now().date() - timedelta(days=days))


def _appeals(days: int) -> dict[str, Any]:
    decided = Q(state=AppealState.DECIDED)
    found = Appeal.objects.filter(opened_at__gt=now() - timedelta(days=days)).aggregate(
        opened=Count("*"),
        decided=Count("id", filter=decided),
        overturned=Count("id", filter=decided & Q(outcome=AppealOutcome.OVERTURNED)),
    )
    return {**found, "overturned": _share(found["overturned"], found["decided"])}


def decisions(*, actor: Actor, days: int = DAYS) -> Iterator[dict[str, Any]]:
    """Decided cases of the last days, oldest first, as rows of `COLUMNS`: JSON-safe. Raises NotAllowed, ValueError."""
    guards.reader(actor)
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"1 to {MAX_DAYS} days")
    rows = Case.objects.filter(state=CaseState.DECIDED, decided_at__gt=now() - timedelta(days=days))
    rows = rows.select_related("statement__appeal").defer("text", "matches").order_by("decided_at", "id")
    return (_row(case) for case in rows[:MAX_ROWS].iterator(chunk_size=2_000))


def as_csv(*, actor: Actor, days: int = DAYS) -> str:
    """The decisions as CSV (RFC 4180). A value a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    rows = 0
    for row in decisions(actor=actor, days=days):
        writer.writerow({name: _harmless(value) for name, value in row.items()})
        rows += 1
    text = out.getvalue()
    _exported(actor, rows, text.encode())
    return text


def as_document(*, actor: Actor, days: int = DAYS) -> dict[str, Any]:
    """The figures and the decisions as one statement to be signed. JSON-safe."""
    rows = list(decisions(actor=actor, days=days))
    made = {
        "v": "vouch desk export v1",
        "at": now().isoformat(timespec="microseconds"),
        "origin": settings.VOUCH_LOG_ORIGIN,
        "rehearsal": settings.REHEARSAL,
        "days": days,
        "columns": list(COLUMNS),
        "decisions": [[row[name] for name in COLUMNS] for row in rows],
    }
    _exported(actor, len(rows), canonical.encode(made))
    return made


@transaction.atomic
def _exported(actor: Actor, rows: int, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    guards.record("desk.exported", f"desk:{settings.VOUCH_LOG_ORIGIN}", actor, {"rows": rows, "sha256": digest})


def _row(case: Case) -> dict[str, Any]:
    statement = getattr(case, "statement", None)
    appeal = getattr(statement, "appeal", None) if statement is not None else None
    return {
        "case": str(case.id),
        "kind": case.kind,
        "severity": case.severity,
        "subject_kind": case.subject_kind,
        "rule": case.rule,
        "clause": case.clause,
        "pack": case.pack,
        "opened_at": _time(case.opened_at),
        "due_at": _time(case.due_at),
        "first_claimed_at": _time(case.first_claimed_at),
        "last_claimed_at": _time(case.last_claimed_at),
        "decided_at": _time(case.decided_at),
        "handling_seconds": case.handling_seconds,
        "in_time": None if case.due_at is None or case.decided_at is None else case.decided_at <= case.due_at,
        "decision": case.decision,
        "decision_clause": case.decision_clause,
        "reviewer": pseudonym(case.decided_by_id),
        "reverses": str(case.reverses_id) if case.reverses_id else "",
        "appeal": (appeal.outcome or appeal.state) if appeal is not None else "",
    }


def _time(moment: Any) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else ""


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(total: int, count: int) -> float:
    return round(total / count, 1) if count else 0.0


def _by_day(tallies: QuerySet[DeskTally], days: int) -> list[tuple[str, int]]:
    counted = dict(tallies.values_list("day").annotate(n=Sum("decided")))
    today = now().date()
    every = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    return [(day.isoformat(), counted.get(day, 0)) for day in every]


def _reviewers(groups: Sequence[Counted]) -> list[dict[str, Any]]:
    ordered = sorted(_by(groups, "reviewer_id").items(), key=lambda pair: -pair[1].decided)
    return [
        {
            "reviewer": pseudonym(reviewer_id),
            "decided": one.decided,
            "handling_seconds": _mean(one.seconds, one.timed),
            "reversed": one.reversed,
        }
        for reviewer_id, one in ordered[:100]
    ]
