"""Handing this room's tasks to the workers, by name: whoever writes need not know the task's module."""

import logging
from typing import Final

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError as RedisDown

logger = logging.getLogger("marketplace.sending")
QUEUE: Final = "sweep"


def after_commit(task: str, argument: str) -> None:
    """Sends a task with one id once the transaction is on disk.

    A broker that is away loses nothing: what to do stands in the database, and beat looks for what is unfinished.
    """
    transaction.on_commit(lambda: deliver(task, argument))


def deliver(task: str, argument: str) -> None:
    """By name alone: a web process has not loaded the tasks' modules."""
    try:
        current_app.send_task(task, args=[argument], queue=QUEUE)
    except (BrokerDown, RedisDown) as error:
        logger.warning("broker.down task=%s id=%s error=%s", task, argument, type(error).__name__)
