"""The roof: settings, URLs, Celery, the HTTP API, the web console and the command line.

The Celery application is exported here so that ``celery -A vouch`` and ``shared_task`` find it.
"""

from vouch.celery import app as celery_app

__all__ = ["celery_app"]
