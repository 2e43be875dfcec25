"""What a receiver of webhooks does with a call: see who signed it, then read it.

>>> told = event(request.body, request.headers["Vouch-Signature"], secret)
>>> if told.kind == "speech.done": fetch(told.data["output"])
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.payments.signing import BadSignature, check

__all__ = ["BadSignature", "Event", "event"]


@dataclass(frozen=True)
class Event:
    """``kind`` is one of those the webhook was added for, ``data`` what it tells. The header ``Vouch-Event`` is its id,
    the same in every attempt."""

    kind: str
    at: str
    data: Mapping[str, Any]


def event(body: bytes, signature: str, secret: str, *, at: float | None = None) -> Event:
    """The event in a call's ``body``, exactly as it came. ``signature``: the header Vouch-Signature; ``at``: when it
    came (Unix seconds; now when left out). Raises BadSignature: another's, changed, or older than five minutes."""
    check(body, signature, secret, int(time.time() if at is None else at))
    said = json.loads(body)
    return Event(said["kind"], said["at"], said["data"])
