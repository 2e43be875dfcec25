"""The vault's work in the background."""

from celery import shared_task

from foundation.vault import services


@shared_task(name="vault.delete_dead_files", acks_late=True)
def delete_dead_files() -> int:
    """Deletes files of destroyed keys that a crash or a disk error left behind."""
    return services.delete_dead_files()
