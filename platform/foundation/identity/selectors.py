"""Finding who stands behind a key."""

import hashlib
import hmac
from datetime import timedelta

from django.db.models import QuerySet

from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.identity.models import ApiKey, Person

LAST_USED_STEP = timedelta(minutes=1)
"""``last_used_at`` is written at most this often: a row update on every request would be the busiest write of all."""


def keys_of(*, actor: Actor) -> QuerySet[ApiKey]:
    """The actor's own keys, also those that ended, newest first."""
    return ApiKey.objects.filter(person=actor.person_id).order_by("-created_at", "-id")


def actor_for_key(token: str) -> tuple[Actor, Person] | None:
    """The actor and person behind ``vk_<prefix>_<secret>``, or None for an unknown, revoked or expired key."""
    kind, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    if kind != "vk" or not prefix or not secret or len(token) > 200:
        return None
    key = ApiKey.objects.select_related("person").filter(prefix=prefix).first()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if key is None or not hmac.compare_digest(key.digest, digest):
        return None
    moment = now()
    if key.revoked_at or (key.expires_at and key.expires_at <= moment) or not key.person.is_active:
        return None
    if key.last_used_at is None or moment - key.last_used_at > LAST_USED_STEP:
        ApiKey.objects.filter(id=key.id).update(last_used_at=moment)
    return Actor.of(key.person, frozenset(key.scopes)), key.person
