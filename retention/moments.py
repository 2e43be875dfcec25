"""What time it is for a deadline: the platform's clock, but never earlier than what was seen before.

A host whose clock is set back would make a passed deadline lie ahead again. The latest moment seen stands in the
database; `present` is the later of the two. The mark moves only to the earlier of this host's and the database's clock,
so that one host with a clock that runs ahead cannot end everything at once.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from foundation.clock import now, rehearsal_offset
from retention.models import TimeMark

STEP: Final = timedelta(seconds=10)
"""The mark is written at most this often: a deadline can be put off by a wrong clock for no longer."""


def present() -> datetime:
    """The present moment for deadlines, aware, in UTC."""
    return now() + behind()


def behind() -> timedelta:
    """How far the clock is behind the latest moment seen; zero when it is not."""
    latest = TimeMark.objects.filter(id=1).values_list("latest", flat=True).first()
    return timedelta(0) if latest is None else max(timedelta(0), latest - now())


def remember() -> None:
    """Writes down that it is this late now. The mark never moves back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO retention_timemark (id, latest) "
            "VALUES (1, LEAST(%s, clock_timestamp() + %s * interval '1 s')) "
            "ON CONFLICT (id) DO UPDATE SET latest = EXCLUDED.latest "
            "WHERE retention_timemark.latest < EXCLUDED.latest - %s * interval '1 s'",
            [now(), rehearsal_offset().total_seconds(), STEP.total_seconds()],
        )
