"""The vault's work in the background."""

from celery import shared_task

from foundation.vault import erasing, timeguard


@shared_task(name="vault.finish_destruction", acks_late=True)
def finish_destruction() -> None:
    """Erases keys and deletes files of destroyed keys that a crash or a disk error left behind; notes the time."""
    erasing.finish()
    timeguard.present()
