"""Periodic work of this room."""

from celery import shared_task

from safety.policy import decisions


@shared_task(name="safety.forget_decisions")
def forget_decisions() -> None:
    """Ends texts and decisions of the policy whose time is over. Safe to run twice."""
    decisions.forget_old()
