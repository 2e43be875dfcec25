"""What the workers do for batches: one step after another, by id."""

from uuid import UUID

from celery import shared_task


@shared_task(name="cloning.advance_batch", acks_late=True)
def advance(batch_id: str) -> None:
    """Moves a batch on."""
    from cloning.batches import advancing

    advancing.advance(UUID(batch_id))
