"""How long the sound of an output is kept: then its key is destroyed. Row, mark and log stay, for the trace."""

from datetime import timedelta

from django.conf import settings

from cloning.models import Output
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.models import KeyState

ACTOR = Actor.system("cloning.keeping")
BATCH = 500
"""Outputs of one round: the next beat takes the rest."""


def end_outputs() -> int:
    """Destroys the keys of outputs older than ``settings.VOUCH_OUTPUT_DAYS``; returns how many. Safe to run twice."""
    over = Output.objects.filter(
        created_at__lte=now() - timedelta(days=settings.VOUCH_OUTPUT_DAYS), sealed__key__state=KeyState.ACTIVE
    )
    found = list(over.select_related("sealed__key").order_by("created_at")[:BATCH])
    for output in found:
        vault.destroy_key(key=output.sealed.key, reason="time_over", actor=ACTOR)
    return len(found)
