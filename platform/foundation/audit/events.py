"""Every kind of event the log knows, with its version and the data keys it cannot do without. Pure.

A kind whose meaning changes gets a new version; old leaves keep theirs. A kind that is not here is refused, so the
table is also the list an auditor reads to know what is recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from foundation.audit import canonical

BODY: Final = frozenset({"v", "kind", "subject", "actor", "at", "rehearsal", "data"})
"""The keys of every leaf's body."""


@dataclass(frozen=True, slots=True)
class Event:
    """``version`` goes into the leaf as ``v``; ``requires`` maps data keys that must be there to their types."""

    version: int = 1
    requires: Mapping[str, type] = field(default_factory=lambda: MappingProxyType({}))


def _event(**requires: type) -> Event:
    return Event(requires=MappingProxyType(requires))


EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {
        # People and keys of programs
        "person.registered": _event(role=str),
        "person.erased": _event(erased=dict),
        "key.api_issued": _event(key=str, scopes=list),
        "key.api_revoked": _event(key=str),
        "clock.moved": _event(),
        "clock.accepted": _event(reason=str, seconds_back=int),
        # Vault
        "key.created": _event(key_kind=str),
        "key.destroyed": _event(key_kind=str, reason=str),
        "key.erased": _event(key_kind=str, epoch_before=int, epoch_after=int, erased_at=str),
        "key.rotated": _event(key_kind=str, objects=int),
        "key.master_rotated": _event(keys=int, ring=str),
        "keystore.reconciled": _event(store_epoch=int, known_epoch=int, epoch=int, erased=int),
        "clearance.issued": _event(),
        "clearance.refused": _event(),
        "clearance.used": _event(clearance=str, purpose=str, consent=str),
        # Custody of recordings
        "custody.received": _event(),
        "custody.destroyed": _event(),
        "custody.overdue": _event(deadline=str, seconds=int),
        "clock.set_back": _event(seconds=int),
        "hold.requested": _event(hold=str, reason=str, expires_at=str),
        "hold.approved": _event(hold=str, reason=str, expires_at=str),
        "hold.ended": _event(hold=str, ended=str),
        # Consent
        "challenge.opened": _event(),
        "challenge.answered": _event(),
        "examination.held": _event(case=str),
        "examination.decided": _event(),
        "consent.given": _event(),
        "consent.withdrawn": _event(),
        "consent.expired": _event(),
        "licence.granted": _event(),
        "licence.ended": _event(),
        # Voices and speech
        "voice.requested": _event(),
        "voice.ready": _event(),
        "voice.failed": _event(),
        "voice.destroyed": _event(),
        "speech.requested": _event(),
        "speech.held": _event(),
        "output.sealed": _event(),
        "output.failed": _event(),
        "mark.traced": _event(),
        # Safety
        "policy.decided": _event(),
        "case.opened": _event(),
        "case.widened": _event(),
        "case.claimed": _event(),
        "case.decided": _event(),
        "restriction.made": _event(),
        "restriction.lifted": _event(),
        "report.made": _event(),
        "protected.added": _event(),
        "search.rekeyed": _event(templates=int),
        # Market
        "listing.made": _event(),
        "listing.withdrawn": _event(),
        "order.fulfilled": _event(),
        "order.disputed": _event(),
        "order.dispute_won": _event(),
        "order.refunded": _event(refunded_minor=int, currency=str),
        "ledger.booked": _event(entry=str, legs=list),
    }
)


def missing(kind: str, data: Mapping[str, Any]) -> list[str]:
    """The required keys of a known kind that ``data`` lacks or holds with another type."""
    return [key for key, wanted in EVENTS[kind].requires.items() if not isinstance(data.get(key), wanted)]


def conforms(body: bytes) -> bool:
    """Whether a leaf's bytes are the canonical form of a known kind in a known version, with what it requires."""
    try:
        found = canonical.decode(body)
        kind, version = found["kind"], found["v"]
        if found.keys() != BODY or type(version) is not int or not 1 <= version <= EVENTS[kind].version:
            return False
        # What an older version had to state is not in the table any more.
        return version < EVENTS[kind].version or not missing(kind, found["data"])
    except (canonical.NotCanonical, KeyError, TypeError, AttributeError):
        return False
