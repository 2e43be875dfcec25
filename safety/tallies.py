"""Decisions counted by the day as they are made, so that the figures need not read a million cases.

One row for each day (UTC), kind, rule, decision and reviewer, raised in the transaction of the decision itself: the
figures are never late and never guessed. Rows of different reviewers are different rows, so moderators do not wait for
each other. Reversals count on the row of the decision they take back, and are none themselves.
"""

from datetime import UTC
from typing import Final

from django.db import connection, transaction

from safety.models import Case, DeskTally

_ADD: Final = """
INSERT INTO safety_desktally AS t (day, kind, rule, decision, reviewer_id, decided, in_time, timed, seconds, reversed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (day, kind, rule, decision, reviewer_id) DO UPDATE SET
    decided = t.decided + EXCLUDED.decided, in_time = t.in_time + EXCLUDED.in_time, timed = t.timed + EXCLUDED.timed,
    seconds = t.seconds + EXCLUDED.seconds, reversed = t.reversed + EXCLUDED.reversed
"""
_RECOUNT: Final = """
INSERT INTO safety_desktally (day, kind, rule, decision, reviewer_id, decided, in_time, timed, seconds, reversed)
SELECT (c.decided_at AT TIME ZONE 'UTC')::date, c.kind, c.rule, c.decision, c.decided_by_id, count(*),
    count(*) FILTER (WHERE c.decided_at <= c.due_at), count(*) FILTER (WHERE c.handling_seconds > 0),
    sum(c.handling_seconds), count(r.id)
FROM safety_case c LEFT JOIN safety_case r ON r.reverses_id = c.id
WHERE c.state = 'decided' AND c.reverses_id IS NULL
GROUP BY 1, 2, 3, 4, 5
"""


def decided(case: Case) -> None:
    """Counts a decision just made. In its transaction, before the log's entry (whose lock comes last)."""
    assert case.decided_at is not None
    in_time = case.due_at is not None and case.decided_at <= case.due_at
    _add(case, 1, int(in_time), int(case.handling_seconds > 0), case.handling_seconds, 0)


def taken_back(case: Case) -> None:
    """Counts that a decision was reversed. As `decided`."""
    _add(case, 0, 0, 0, 0, 1)


@transaction.atomic
def recount() -> int:
    """Counts everything again from the cases, for whoever filled them by other ways (a restored copy, a bench).
    Returns how many rows there are now."""
    with connection.cursor() as cursor:
        # Nobody decides meanwhile: what they add would be counted twice or not at all.
        cursor.execute("LOCK TABLE safety_desktally IN EXCLUSIVE MODE")
        DeskTally.objects.all().delete()
        cursor.execute(_RECOUNT)
        return int(cursor.rowcount)


def _add(case: Case, *counts: int) -> None:
    assert case.decided_at is not None
    key = (case.decided_at.astimezone(UTC).date(), case.kind, case.rule, case.decision, case.decided_by_id)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [*key, *counts])
