"""Where somebody is signed in: listed for them, and ended by them.

Django keeps the sessions; beside each stands on what device and from which network it began. Of the address the network
alone is kept: enough to say "that was not me", too little to say where somebody was.
"""

import ipaddress
from typing import Final
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import DEVICE_CHARS, SignedIn

NETWORK_BITS: Final = {4: 24, 6: 48}
"""Of an address of that version: what an access provider gives to a neighbourhood, or a site."""


@transaction.atomic
def begin(*, actor: Actor, session_key: str, device: str, address: str) -> SignedIn:
    """Notes a session that has just begun, and forgets those of the person that are over. ``device``: the browser's own
    words (User-Agent); ``address``: of the caller, anything that is none is kept as nothing."""
    person_id = _person_id(actor)
    SignedIn.objects.filter(person_id=person_id).exclude(_live()).delete()
    return SignedIn.objects.create(
        person_id=person_id, session_key=session_key, device=device[:DEVICE_CHARS], network=network_of(address)
    )


def sessions_of(*, actor: Actor) -> QuerySet[SignedIn]:
    """The actor's sessions that still open something, newest first. Raises NotFound for whoever is no person."""
    return SignedIn.objects.filter(_live(), person_id=_person_id(actor)).order_by("-began_at", "-id")


@transaction.atomic
def end(*, actor: Actor, session_id: UUID) -> None:
    """Signs the actor out there. Raises NotFound for a session that is not theirs, or is over."""
    _end(actor, sessions_of(actor=actor).filter(id=session_id), at_least=1)


@transaction.atomic
def end_others(*, actor: Actor, session_key: str) -> int:
    """Signs the actor out everywhere but in the session of that key. Returns how many sessions that were."""
    return _end(actor, sessions_of(actor=actor).exclude(session_key=session_key), at_least=0)


def forget(*, person_id: UUID) -> int:
    """Ends every session of somebody who is erased, without a word. Returns how many."""
    own = SignedIn.objects.filter(person_id=person_id)
    Session.objects.filter(session_key__in=own.values("session_key")).delete()
    return own.delete()[0]


def network_of(address: str) -> str:
    """The network that an address is in, as CIDR; empty for what is no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, NETWORK_BITS[found.version]), strict=False))


def _live() -> Exists:
    return Exists(Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=now()))


def _end(actor: Actor, found: QuerySet[SignedIn], *, at_least: int) -> int:
    rows = list(found.select_for_update(of=("self",)))
    if len(rows) < at_least:
        raise NotFound
    if rows:
        Session.objects.filter(session_key__in=[one.session_key for one in rows]).delete()
        SignedIn.objects.filter(id__in=[one.id for one in rows]).delete()
        log.record(
            kind="person.sessions_ended",
            subject=f"person:{actor.person_id}",
            actor=actor,
            data={"sessions": len(rows)},
        )
    return len(rows)


def _person_id(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotFound
    return actor.person_id
