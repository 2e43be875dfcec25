"""Writes: customers' webhooks. An event is a row, written with what it tells of; sending it is a task of its own.

    Vouch-Event: <delivery id>               the same in every attempt: whoever keeps it sees a repetition
    Vouch-Signature: t=<unix>,v1=<hmac>      see `payments.signing`; the time is the attempt's

A delivery is tried nine times over about a day, each pause twice the one before with a little chance in it. The
address is resolved and checked anew at each attempt.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from foundation.audit import log
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace.hooks import addresses, errors, sender
from marketplace.hooks.models import Delivery, DeliveryState, Endpoint
from marketplace.payments import signing
from marketplace.sending import after_commit

KINDS: Final = (
    "order.placed", "order.paid", "order.fulfilled", "order.cancelled", "order.refunded", "order.disputed",
    "order.dispute_closed", "order.not_renewed", "statement.made", "payout.sent", "training.done", "speech.done",
    "mask.done", "instant.done", "job.failed",
)  # fmt: skip
"""What a webhook can be told; each goes to the people whom it concerns."""
MAX_ENDPOINTS: Final = 10
OVERLAP: Final = timedelta(hours=24)
"""How long a replaced secret signs beside the new one."""
MAX_ATTEMPTS: Final = 9
FIRST_PAUSE: Final = timedelta(minutes=5)
LEASE: Final = timedelta(minutes=2)
"""How long an attempt may take before another worker may make it again."""
MAX_FAILURES: Final = 20
"""Deliveries that failed in a row: the endpoint is ended then."""
BATCH: Final = 200
JITTER: Final = 20
"""Percent of a pause that are left to chance, so that what failed together is not tried again together."""


@transaction.atomic
def add_endpoint(*, actor: Actor, url: str, kinds: Sequence[str]) -> Endpoint:
    """A new webhook of the actor's own; its secret is shown once, by the caller.

    Raises NotAllowed, BadAddress, UnknownEvent, TooManyEndpoints.
    """
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person has webhooks.")
    try:
        addresses.check_url(url)
    except addresses.NotPublic as error:
        raise errors.BadAddress(str(error)) from error
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise errors.UnknownEvent(f"Events: {', '.join(KINDS)}.")
    live = Endpoint.objects.filter(owner_id=actor.person_id, ended_at__isnull=True)
    if len(live.select_for_update()) >= MAX_ENDPOINTS:
        raise errors.TooManyEndpoints
    made = Endpoint.objects.create(
        owner_id=actor.person_id, url=url, kinds=sorted(set(kinds)), salt=secrets.token_hex(32)
    )
    log.record(
        kind="webhook.added",
        subject=f"webhook:{made.id}",
        actor=actor,
        data={"url": commit_for(url, person_id=made.owner_id), "kinds": made.kinds},
    )
    return made


@transaction.atomic
def rotate_secret(*, actor: Actor, endpoint_id: UUID) -> Endpoint:
    """Gives a webhook of the actor's own a new secret; for `OVERLAP` events are signed with the one before it as well.

    Of two rotations within that time the first secret ends at once: whoever must be rid of one rotates twice. Raises
    NotFound, also for a webhook that was ended.
    """
    actor.require_scope("market:write")
    own = Endpoint.objects.select_for_update().filter(id=endpoint_id, owner_id=actor.person_id, ended_at=None)
    found = own.first()
    if found is None or actor.person_id is None:
        raise NotFound
    found.former_salt, found.former_until = found.salt, now() + OVERLAP
    found.salt = secrets.token_hex(32)
    found.save(update_fields=["salt", "former_salt", "former_until"])
    log.record(
        kind="webhook.secret_rotated",
        subject=f"webhook:{found.id}",
        actor=actor,
        data={"former_until": found.former_until.isoformat()},
    )
    return found


def secret_of(endpoint: Endpoint) -> str:
    """What signs an endpoint's events."""
    return _secret(endpoint, endpoint.salt)


def former_secrets_of(endpoint: Endpoint) -> list[str]:
    """What signs them besides, for a while."""
    counts = endpoint.former_until is not None and endpoint.former_until > now()
    return [_secret(endpoint, endpoint.former_salt)] if counts else []


def _secret(endpoint: Endpoint, salt: str) -> str:
    mac = hmac.new(settings.SECRET_KEY.encode(), f"webhook:{endpoint.id}:{salt}".encode(), hashlib.sha256)
    return f"vwh_{mac.hexdigest()}"


@transaction.atomic
def end_endpoint(*, actor: Actor, endpoint_id: UUID) -> Endpoint:
    """Ends a webhook of the actor's own; what waits for it is not sent any more. Safe to repeat. Raises NotFound."""
    actor.require_scope("market:write")
    own = Endpoint.objects.select_for_update().filter(id=endpoint_id, owner_id=actor.person_id)
    found = own.first()
    if found is None or actor.person_id is None:
        raise NotFound
    if found.ended_at is None:
        _end(found, "by_owner", actor)
    return found


def tell(*, people: Sequence[UUID], event: str, key: str, data: dict[str, Any]) -> None:
    """Writes an event for those of the people who want it, in the caller's transaction. The same key is told once.

    ``data``: ids, states and amounts; nothing that is somebody else's.
    """
    wanting = Endpoint.objects.filter(owner_id__in=people, ended_at__isnull=True, kinds__contains=event)
    for endpoint in wanting.order_by("id"):
        body = json.dumps({"kind": event, "at": now().isoformat(), "data": data}, separators=(",", ":"), sort_keys=True)
        made, new = Delivery.objects.get_or_create(
            endpoint=endpoint, key=f"{event}:{key}"[:120], defaults={"kind": event, "body": body}
        )
        if new:
            after_commit("marketplace.deliver_webhook", str(made.id))


def deliver(
    *, delivery_id: UUID, resolve: addresses.Resolver | None = None, transport: httpx.BaseTransport | None = None
) -> str:
    """One attempt, if one is due: what came of it. Safe to run twice and beside itself; no lock is held meanwhile."""
    claimed = _claim(delivery_id)
    if claimed is None:
        return "not_due"
    delivery, lease = claimed
    body = delivery.body.encode()
    headers = {
        "Vouch-Event": str(delivery.id),
        "Vouch-Signature": signing.sign(
            body, secret_of(delivery.endpoint), int(now().timestamp()), *former_secrets_of(delivery.endpoint)
        ),
    }
    try:
        answer = sender.send(addresses.target(delivery.endpoint.url, resolve), body, headers, transport)
    except addresses.NotPublic as error:
        answer = sender.Answer(0, str(error)[:80])
    return _settle(delivery_id, lease, answer)


def due() -> list[UUID]:
    """Deliveries whose time has come, oldest first."""
    moment = now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=moment)
    found = Delivery.objects.filter(free, state=DeliveryState.WAITING, next_at__lte=moment)
    return list(found.order_by("next_at").values_list("id", flat=True)[:BATCH])


def pause(attempts: int, chance: int) -> timedelta:
    """After so many attempts; ``chance``: 0 to JITTER percent more. 5 minutes, 10, 20 … 11 hours."""
    return FIRST_PAUSE * 2 ** (attempts - 1) * (100 + chance) / 100


@transaction.atomic
def _claim(delivery_id: UUID) -> tuple[Delivery, datetime] | None:
    found = Delivery.objects.select_for_update(of=("self",)).select_related("endpoint").filter(id=delivery_id).first()
    moment = now()
    if found is None or found.state != DeliveryState.WAITING or found.next_at > moment:
        return None
    if found.lease_until is not None and found.lease_until > moment:
        return None
    if found.endpoint.ended_at is not None:
        _finish(found, DeliveryState.FAILED, "endpoint ended")
        return None
    found.lease_until = moment + LEASE
    found.attempts += 1
    found.save(update_fields=["lease_until", "attempts"])
    return found, found.lease_until


@transaction.atomic
def _settle(delivery_id: UUID, lease: datetime, answer: sender.Answer) -> str:
    endpoint_id = Delivery.objects.values_list("endpoint_id", flat=True).get(id=delivery_id)
    endpoint = Endpoint.objects.select_for_update().get(id=endpoint_id)
    found = Delivery.objects.select_for_update(of=("self",)).get(id=delivery_id)
    if found.state != DeliveryState.WAITING or found.lease_until != lease:
        return "late"
    found.lease_until = None
    found.last_status = answer.status or None
    if answer.taken:
        _finish(found, DeliveryState.DELIVERED, "")
        endpoint.failures = 0
        endpoint.save(update_fields=["failures"])
        return "delivered"
    error = answer.error or f"status {answer.status}"
    if found.attempts < MAX_ATTEMPTS:
        found.next_at = now() + pause(found.attempts, secrets.randbelow(JITTER + 1))
        found.last_error = error
        found.save(update_fields=["lease_until", "last_status", "last_error", "next_at"])
        return "again"
    _finish(found, DeliveryState.FAILED, error)
    endpoint.failures += 1
    endpoint.save(update_fields=["failures"])
    if endpoint.failures >= MAX_FAILURES and endpoint.ended_at is None:
        _end(endpoint, "failing", Actor.system("webhooks"))
    return "failed"


def _finish(delivery: Delivery, state: DeliveryState, error: str) -> None:
    delivery.state, delivery.ended_at, delivery.last_error = state, now(), error[:80]
    delivery.save(update_fields=["state", "ended_at", "last_error", "last_status", "lease_until"])


def _end(endpoint: Endpoint, reason: str, actor: Actor) -> None:
    endpoint.ended_at, endpoint.ended_reason = now(), reason
    endpoint.save(update_fields=["ended_at", "ended_reason"])
    log.record(kind="webhook.ended", subject=f"webhook:{endpoint.id}", actor=actor, data={"reason": reason})
