"""The log's work in the background."""

import logging

from celery import shared_task
from django.conf import settings

from foundation.audit import checkpoints, publish, witnesses
from foundation.audit.errors import WitnessRefused

logger = logging.getLogger("foundation.audit.tasks")


@shared_task(name="audit.checkpoint", acks_late=True)
def checkpoint() -> int:
    """Signs the log as it is now, has it cosigned and published, and returns its size. Safe to run twice.

    A witness that is away does not hold the log up: the tiles go out with the cosignatures there are, and the next
    beat asks again.
    """
    size = checkpoints.make().size
    for configured in settings.VOUCH_WITNESSES:
        try:
            witnesses.ask(configured)
        except WitnessRefused as error:
            logger.warning("witness %s did not cosign: %s", configured.key.name, error.detail)
    if settings.VOUCH_LOG_TILES is not None:
        publish.publish(settings.VOUCH_LOG_TILES)
    return size
