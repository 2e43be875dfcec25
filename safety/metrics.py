"""The desk in figures, and its decisions as rows: for its own people, auditors and operators. No texts, no names.

Reviewers are pseudonyms: a keyed hash of the person, the same in every export of one installation.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Avg, Count, F, Q
from django.db.models.functions import TruncDate
from django.utils.crypto import salted_hmac

from foundation.audit import canonical
from foundation.clock import now
from foundation.identity.actors import Actor
from safety import guards, quality
from safety.models import Appeal, Case
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
    """The figures of the last ``days`` (1 to 366) days. Raises NotAllowed, ValueError."""
    guards.reader(actor)
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"1 to {MAX_DAYS} days")
    since = now() - timedelta(days=days)
    done = Case.objects.filter(state=CaseState.DECIDED, decided_at__gt=since, reverses__isnull=True)
    open_now = Case.objects.filter(state__in=[CaseState.OPEN, CaseState.CLAIMED, CaseState.PENDING])
    totals = done.aggregate(
        decided=Count("id"),
        in_time=Count("id", filter=Q(decided_at__lte=F("due_at"))),
        seconds=Avg("handling_seconds", filter=Q(handling_seconds__gt=0)),
    )
    appeals = Appeal.objects.filter(opened_at__gt=since)
    decided_appeals = appeals.filter(state=AppealState.DECIDED)
    overturned = decided_appeals.filter(outcome=AppealOutcome.OVERTURNED).count()
    return {
        "days": days,
        "waiting": _by(open_now, "kind"),
        "late": open_now.filter(due_at__lt=now()).count(),
        "decided": totals["decided"],
        "in_time": _share(totals["in_time"], totals["decided"]),
        "handling_seconds": round(totals["seconds"] or 0, 1),
        "by_kind": _by(done, "kind"),
        "by_decision": _by(done, "decision"),
        "by_day": _by_day(done, days),
        "appeals": {
            "opened": appeals.count(),
            "decided": decided_appeals.count(),
            "overturned": _share(overturned, decided_appeals.count()),
        },
        "quality": quality.agreement(days=days),
        "rules": precision_by_rule(days=days),
        "reviewers": _reviewers(done),
    }


def precision_by_rule(*, days: int = DAYS) -> list[dict[str, Any]]:
    """Of the holds each rule caused that were decided: how many were rightly held, reversals counted as wrong."""
    since = now() - timedelta(days=days)
    held = Case.objects.filter(kind=CaseKind.HOLD, state=CaseState.DECIDED, decided_at__gt=since, reverses__isnull=True)
    right = Q(decision__in=AGAINST, reversed_by__isnull=True)
    rows = held.values("rule").annotate(
        decided=Count("id"), right=Count("id", filter=right), reversed=Count("id", filter=Q(reversed_by__isnull=False))
    )
    return [
        {**row, "precision": _share(row["right"], row["decided"])} for row in rows.order_by("-decided", "rule")[:50]
    ]


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


def _by(rows: Any, field: str) -> dict[str, int]:
    return dict(rows.values_list(field).annotate(n=Count("id")).order_by(field))


def _by_day(rows: Any, days: int) -> list[tuple[str, int]]:
    counted = dict(rows.annotate(day=TruncDate("decided_at")).values_list("day").annotate(n=Count("id")))
    today = now().date()
    every = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    return [(day.isoformat(), counted.get(day, 0)) for day in every]


def _reviewers(rows: Any) -> list[dict[str, Any]]:
    per = rows.values("decided_by_id").annotate(
        decided=Count("id"),
        seconds=Avg("handling_seconds", filter=Q(handling_seconds__gt=0)),
        reversed=Count("id", filter=Q(reversed_by__isnull=False)),
    )
    return [
        {
            "reviewer": pseudonym(row["decided_by_id"]),
            "decided": row["decided"],
            "handling_seconds": round(row["seconds"] or 0, 1),
            "reversed": row["reversed"],
        }
        for row in per.order_by("-decided")[:100]
    ]
