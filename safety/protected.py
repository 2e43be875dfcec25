"""Voices nobody may clone: sealed embeddings, searched exactly.

The search opens every template and takes the cosine: honest and exact, and right for some thousands of voices. It
runs in a worker. An index over protected templates comes when the registry has grown that far.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from foundation.audit import log
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from safety.errors import BadEmbedding, NoReason
from safety.models import ProtectedVoice
from safety.states import ProtectionState

SAME_VOICE: Final = 0.80
"""Cosine from which two Resemblyzer embeddings count as one voice. The consent check asks the same of a speaker and
their own recording, so that a voice close enough to consent with is close enough to be protected."""

MAX_DIMENSIONS: Final = 1024
MAX_LABEL: Final = 120


@dataclass(frozen=True, slots=True)
class ProtectedHit:
    """A protected voice that sounds like the one asked about. ``similarity``: cosine, -1..1, at least ``threshold``."""

    protected_id: UUID
    label: str
    similarity: float
    threshold: float


def search(*, embedding: Sequence[float]) -> list[ProtectedHit]:
    """Protected voices at ``SAME_VOICE`` or nearer, nearest first.

    Every active template must be comparable: one of another size (from another speaker model) raises BadEmbedding
    instead of being passed over, for a voice that cannot be compared is not known to be unprotected.
    """
    wanted = _unit(embedding)
    actor = Actor.system("safety.protected")
    hits: list[ProtectedHit] = []
    active = ProtectedVoice.objects.filter(state=ProtectionState.ACTIVE).select_related("template__key")
    for protected in active.iterator():
        if protected.dimensions != len(wanted):
            raise BadEmbedding("The registry holds embeddings of another speaker model.")
        template = array("f")
        template.frombytes(vault.read(sealed_object=protected.template, actor=actor))
        similarity = sum(a * b for a, b in zip(wanted, template, strict=True))
        if similarity >= SAME_VOICE:
            hits.append(ProtectedHit(protected.id, protected.label, similarity, SAME_VOICE))
    return sorted(hits, key=lambda hit: hit.similarity, reverse=True)


@transaction.atomic
def protect(*, actor: Actor, embedding: Sequence[float], label: str) -> ProtectedVoice:
    """Puts a voice under protection. Raises NotAllowed unless the actor moderates, BadEmbedding, NoReason (no label).

    Each template has a key of its own, so that leaving the registry destroys exactly one.
    """
    actor.require_scope("moderate")
    actor.require_role("moderator")
    label = label.strip()[:MAX_LABEL]
    if not label:
        raise NoReason("A protected voice needs a label.")
    unit = _unit(embedding)
    protected = ProtectedVoice(label=label, dimensions=len(unit), added_by_id=actor.person_id)
    key = vault.create_key(kind="template", owner_ref=f"protected:{protected.id}", actor=actor)
    protected.template = vault.store(
        key=key,
        kind="template",
        owner_ref=f"protected:{protected.id}",
        data=array("f", unit).tobytes(),
        not_after=None,
        actor=actor,
    )
    leaf = log.append(
        kind="protected.added",
        subject=f"protected:{protected.id}",
        actor=actor,
        data={"dimensions": len(unit), "threshold": SAME_VOICE},
        rehearsal=settings.REHEARSAL,
    )
    protected.leaf_index = leaf.index
    protected.save()
    return protected


def _unit(embedding: Sequence[float]) -> list[float]:
    values = [float(value) for value in embedding]
    if not 0 < len(values) <= MAX_DIMENSIONS:
        raise BadEmbedding(f"1 to {MAX_DIMENSIONS} numbers make an embedding.")
    length = math.sqrt(sum(value * value for value in values))
    if not math.isfinite(length) or length == 0:
        raise BadEmbedding("The embedding has no direction.")
    return [value / length for value in values]
