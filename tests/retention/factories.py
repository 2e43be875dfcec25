"""Recordings in custody, made through the room's own door."""

from typing import Any

from foundation.clock import now
from foundation.identity.actors import Actor
from retention import custody, holds
from retention.models import CustodyItem, LegalHold
from retention.purposes import Purpose

SYSTEM = Actor.system("test")
SOUND = b"raw sound of a person " * 100


def received(subject: Any = None, data: bytes = SOUND, **more: Any) -> CustodyItem:
    return custody.receive(
        **{
            "stream": [data],
            "purpose": Purpose.TRAINING,
            "subject": subject,
            "actor": SYSTEM,
            "max_bytes": 10**7,
            **more,
        }
    )


def held_by_law(item: CustodyItem, one: Any, other: Any, **until: Any) -> LegalHold:
    """A hold that ``one`` asked for and ``other`` approved."""
    from datetime import timedelta

    hold = holds.request_hold(
        actor=Actor.of(one),
        item_id=item.id,
        reason="Order 17/26 of a court",
        expires_at=now() + timedelta(**(until or {"days": 10})),
    )
    return holds.approve_hold(actor=Actor.of(other), hold_id=hold.id)
