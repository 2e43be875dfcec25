"""Celery tasks of what several rooms do together."""

from celery import shared_task

from vouch import jobevents
from vouch.api.core import idempotency
from vouch.desk import effects


@shared_task(name="desk.settle", acks_late=True)
def settle() -> int:
    """Puts rulings into force whose undo window is over."""
    return effects.settle_due()


@shared_task(name="api.tell_jobs", acks_late=True)
def tell_jobs() -> int:
    """Writes the webhook events of jobs that ended."""
    return jobevents.tell_due()


@shared_task(name="api.forget_answers", acks_late=True)
def forget_answers() -> int:
    """Forgets answers that were kept for repeated requests."""
    return idempotency.forget()


@shared_task(name="desk.tidy", acks_late=True)
def tidy() -> dict[str, int]:
    """Ends blocks whose time is over, and takedowns that a counter-notice undoes."""
    return effects.tidy()
