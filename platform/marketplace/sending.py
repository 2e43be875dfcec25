"""Handing this room's tasks to the workers, by name: whoever writes need not know the task's module."""

import logging
from typing import Final

from celery import Task, current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError as RedisDown

logger = logging.getLogger("marketplace.sending")
QUEUE: Final = "sweep"


def after_commit(task: str, argument: str) -> None:
    """Sends a task with one id once the transaction is on disk.

    A broker that is away loses nothing: what to do stands in the database, and beat looks for what is unfinished.
    """
    transaction.on_commit(lambda: deliver(current_app.tasks[task], argument))


def deliver(task: Task, argument: str) -> None:
    try:
        task.apply_async(args=[argument], queue=QUEUE)
    except (BrokerDown, RedisDown) as error:
        logger.warning("broker.down task=%s id=%s error=%s", task.name, argument, type(error).__name__)
