"""What keeps tracing from becoming a tool for taking the mark out: whoever changes a recording a little and asks again,
and again, learns from each answer. So answers slow down for a caller who keeps finding, and figures come late.

It does not stop a patient caller with many addresses; nothing that answers strangers can.
"""

from datetime import datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from cloning.models import TraceJob
from cloning.states import TraceState
from foundation.clock import now

FREE_FINDS: Final = 5
"""Answers "ours" that one caller gets at once within WINDOW: a person with a handful of clips never meets the wait."""
WINDOW: Final = timedelta(hours=1)
WAIT: Final = timedelta(minutes=10)
"""From then on every answer waits this long, "ours" and "not ours" alike: a wait for one of them would tell which."""
DETAIL_DELAY: Final = timedelta(minutes=30)
"""Score, bound and place in the file are shown this long after the search: they are what an attacker would climb by."""
CALLERS_KEPT: Final = timedelta(hours=24)
"""How long a tag of a caller, and the outline of a recording, stay with a trace."""


def caller_tag(caller: str) -> str:
    """A tag (64 hex digits) that is the same for one caller on one day, and means nothing without the server's key."""
    return salted_hmac("cloning.trace_rules", f"{now().date()}|{caller}", algorithm="sha256").hexdigest()


def answer_time(job: TraceJob) -> datetime:
    """When the answer to ``job``, which ends now, may be shown."""
    if not job.caller:
        return now()
    recent = TraceJob.objects.filter(caller=job.caller, state=TraceState.DONE, finished_at__gt=now() - WINDOW)
    return now() + WAIT if recent.exclude(hits=[]).count() >= FREE_FINDS else now()


def detail_time(job: TraceJob) -> datetime | None:
    """From when on figures are shown to whoever asked; None while nothing was found out."""
    return job.finished_at + DETAIL_DELAY if job.finished_at else None


def forget_callers() -> int:
    """Removes what was kept to tell callers apart, and outlines, once they are CALLERS_KEPT old."""
    old = TraceJob.objects.filter(created_at__lt=now() - CALLERS_KEPT)
    count = old.exclude(caller="").update(caller="")
    for job in old.filter(facts__has_key="outline")[:500]:
        job.facts.pop("outline")
        job.save(update_fields=["facts"])
        count += 1
    return count
