"""Celery tasks of this room."""

from celery import shared_task

from marketplace import money


@shared_task(name="marketplace.settle", acks_late=True)
def settle() -> dict[str, int]:
    """Books what owners have earned and releases what waited long enough. Safe to run twice."""
    return money.settle_due()
