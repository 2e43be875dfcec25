"""The Celery application and its queues: ``gpu`` (training, synthesis), ``cpu`` (examination, tracing), ``sweep``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vouch.settings")

app = Celery("vouch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
