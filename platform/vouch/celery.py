"""The Celery application and its queues: ``gpu`` (training, synthesis), ``cpu`` (examination, tracing), ``sweep``."""

import os

from celery import Celery
from celery.signals import worker_init, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vouch.settings")

app = Celery("vouch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def check_vault(**_: object) -> None:
    """A worker whose vault is not fit does not start. Runs before the worker forks."""
    from django.db import connections

    from foundation.vault import start

    try:
        start.check()
    finally:
        connections.close_all()
        start.forget_connections()


@worker_process_init.connect
def keep_voices_warm(**_: object) -> None:
    """A worker keeps the voices that it spoke last ready for a moment (`cloning.warm`)."""
    from cloning.warm import shelf

    shelf.keep()
