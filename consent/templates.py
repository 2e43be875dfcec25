"""Voice templates kept with a consent: under a key of its own, with a deadline of its own, gone with the consent.

A template that leads to no consent never leaves custody and dies with the recording it was made from.
"""

import math
from array import array
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from consent.models import Challenge, Consent
from foundation.clock import now
from foundation.errors import Refused
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.models import KeyState, SealedObject, VaultKey
from retention import custody

LIMIT: Final = timedelta(days=3 * 365)
"""A voice template is kept three years at most, whatever the term (740 ILCS 14/15; our own release says the same)."""
KIND: Final = "template"
READER: Final = Actor.system("consent.templates")


class TemplateGone(Refused):
    """The voice template of this consent is not kept any more, so a voice cannot be compared with it."""

    code = "template_gone"
    advice = "Give a new consent with new recordings."


def of(challenge: Challenge) -> bytes:
    """The live template of a passed challenge (float32, little-endian), while custody holds it."""
    if challenge.template is None:
        raise ValueError("a passed challenge has a template")
    return custody.read(item=challenge.template, actor=READER)


def keep(*, challenge: Challenge, consent_id: UUID, not_after: datetime, actor: Actor) -> tuple[VaultKey, SealedObject]:
    """The live template of a passed challenge, out of custody and under a key that lives as long as the consent."""
    owner = f"consent:{consent_id}"
    key = vault.create_key(kind=KIND, owner_ref=owner, actor=actor)
    return key, vault.store(key=key, kind=KIND, owner_ref=owner, data=of(challenge), not_after=not_after, actor=actor)


def read(consent: Consent) -> list[float]:
    """The unit embedding. Raises TemplateGone, PastDeadline, KeyDestroyed."""
    if consent.template is None:
        raise TemplateGone
    return unit(vault.read(sealed_object=consent.template, actor=READER))


def unit(data: bytes) -> list[float]:
    """A stored embedding (float32, little-endian) at length one. Raises ValueError for one without a direction."""
    values = array("f")
    values.frombytes(data)
    length = math.sqrt(sum(value * value for value in values))
    if not math.isfinite(length) or length == 0.0:
        raise ValueError("an embedding without a direction")
    return [value / length for value in values]


def destroy(*, consent: Consent, reason: str, actor: Actor) -> datetime | None:
    """Ends the consent's template by ending its key. When that was; None for a consent that never had one."""
    if consent.template_key is None:
        return None
    vault.destroy_key(key=consent.template_key, reason=reason, actor=actor)
    return consent.template_key.destroyed_at


def destroy_overdue() -> int:
    """Ends templates past their own deadline whose consent still stands. Safe to run at any time.

    Nobody waits for this to be safe: the vault refuses to read past the deadline by itself.
    """
    overdue = Consent.objects.filter(template__not_after__lte=now(), template_key__state=KeyState.ACTIVE)
    ended = 0
    for consent_id in list(overdue.values_list("id", flat=True)):
        with transaction.atomic():
            found = overdue.select_for_update(skip_locked=True, of=("self",)).filter(id=consent_id).first()
            if found is not None:
                destroy(consent=found, reason="deadline", actor=Actor.system("consent.sweep"))
                ended += 1
    return ended
