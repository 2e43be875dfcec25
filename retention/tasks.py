"""The sweep, as a Celery task; beat runs it every ``settings.VOUCH_SWEEP_SECONDS``."""

from celery import shared_task

from retention import custody


@shared_task(name="retention.sweep", acks_late=True)
def sweep() -> int:
    """Destroys what is past its deadline; returns how many items ended."""
    return custody.sweep()
