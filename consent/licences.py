"""Licences: a consent's owner lets one other person have a number of characters spoken, until a day.

The counters are exact under any concurrency: each change is one conditional UPDATE, and the database itself refuses
``used + reserved > cap``. A text is reserved before it is spoken, settled with the output, released when there is none.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from consent.errors import (
    ConsentNotActive,
    ConsentScopeExceeded,
    LicenceCapReached,
    LicenceEnded,
    LicenceInvalid,
    NothingReserved,
    RehearsalOnly,
)
from consent.models import MAX_CHARACTERS, Consent, Licence
from consent.states import LICENCE, ConsentState, LicenceState, move
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person

SCOPE_KEYS: Final = frozenset({"languages", "uses"})
"""What a scope may narrow. A key that is not understood is refused: it would not be obeyed."""


@transaction.atomic
def grant_licence(
    *,
    actor: Actor,
    consent: Consent,
    licensee: Person,
    scope: Mapping[str, Any],
    characters_cap: int,
    valid_until: datetime | None = None,
) -> Licence:
    """Grants ``licensee`` up to ``characters_cap`` characters under ``consent``; without ``valid_until``, to its end.

    ``scope`` narrows the consent: ``languages`` and ``uses``, each a list out of what the consent allows; what it does
    not name is as wide as the consent. That the speaker offers licences at all is the consent's own flag; that this
    person may have this one is for the caller to know (the marketplace holds the offer and the order).
    Raises ConsentNotActive, ConsentScopeExceeded, LicenceInvalid, RehearsalOnly.
    """
    ground = Consent.objects.select_for_update(of=("self",)).get(id=consent.id)
    if ground.state != ConsentState.ACTIVE.value or ground.valid_until <= now():
        raise ConsentNotActive
    if ground.rehearsal and not settings.REHEARSAL:
        raise RehearsalOnly
    if licensee.id == ground.person_id:
        raise LicenceInvalid("Nobody needs a licence for their own voice.")
    if isinstance(characters_cap, bool) or not 1 <= characters_cap <= MAX_CHARACTERS:
        raise LicenceInvalid(f"A licence is for 1 to {MAX_CHARACTERS} characters.")
    until = valid_until or ground.valid_until
    if not now() < until <= ground.valid_until:
        raise LicenceInvalid("A licence ends in the future, and not after its consent.")
    narrowed = _within(ground, scope)
    licence_id = uuid.uuid4()
    leaf = log.append(
        kind="licence.granted",
        subject=f"licence:{licence_id}",
        actor=actor,
        data={
            "consent": str(ground.id),
            "licensee": str(licensee.id),
            "scope": narrowed,
            "characters": characters_cap,
            "valid_until": until.isoformat(),
        },
        rehearsal=ground.rehearsal,
    )
    return Licence.objects.create(
        id=licence_id,
        consent=ground,
        licensee=licensee,
        scope=narrowed,
        characters_cap=characters_cap,
        valid_until=until,
        rehearsal=ground.rehearsal,
        leaf_index=leaf.index,
    )


def reserve(*, licence_id: UUID, characters: int) -> None:
    """Sets characters aside. Raises NotFound, LicenceEnded, LicenceCapReached, LicenceInvalid."""
    changed = Licence.objects.filter(
        id=licence_id,
        state=LicenceState.ACTIVE.value,
        valid_until__gt=now(),
        characters_cap__gte=F("characters_used") + F("characters_reserved") + _positive(characters),
    ).update(characters_reserved=F("characters_reserved") + characters)
    if changed:
        return
    licence = _get(licence_id)
    if licence.state != LicenceState.ACTIVE.value or licence.valid_until <= now():
        raise LicenceEnded
    raise LicenceCapReached(
        characters_left=licence.characters_cap - licence.characters_used - licence.characters_reserved
    )


def settle(*, licence_id: UUID, characters: int) -> None:
    """Turns reserved characters into used ones, also when the licence has ended meanwhile.

    Raises NotFound, NothingReserved, LicenceInvalid.
    """
    _take_reserved(licence_id, characters, used=characters)


def release(*, licence_id: UUID, characters: int) -> None:
    """Gives reserved characters back. Raises NotFound, NothingReserved, LicenceInvalid."""
    _take_reserved(licence_id, characters, used=0)


@transaction.atomic
def end_licence(*, actor: Actor, licence_id: UUID, reason: str) -> Licence:
    """Ends a licence: its licensee may, and the system; the speaker ends it by withdrawing the consent. Safe to repeat.

    Raises NotFound.
    """
    found = Licence.objects.select_for_update(of=("self",)).filter(id=licence_id).first()
    if found is None or (actor.role != "system" and actor.person_id != found.licensee_id):
        raise NotFound
    if found.state == LicenceState.ACTIVE.value:
        end(licence=found, reason=reason, actor=actor)
    return found


def lock_active(*, consent_id: UUID) -> list[Licence]:
    """The active licences under a consent, locked in one order."""
    return list(
        Licence.objects.select_for_update(of=("self",))
        .filter(consent_id=consent_id, state=LicenceState.ACTIVE.value)
        .order_by("id")
    )


def end(*, licence: Licence, reason: str, actor: Actor) -> None:
    """Ends one locked, active licence."""
    move(licence, LicenceState.ENDED, LICENCE)
    licence.ended_at, licence.ended_reason = now(), reason
    licence.save(update_fields=["state", "ended_at", "ended_reason"])
    log.record(
        kind="licence.ended",
        subject=f"licence:{licence.id}",
        actor=actor,
        data={"consent": str(licence.consent_id), "reason": reason, "characters_used": licence.characters_used},
        rehearsal=licence.rehearsal,
    )


def carry(*, licence: Licence, to: Consent) -> None:
    """Lets a locked, active licence go on under the renewal of its consent, never beyond the renewal's own end."""
    licence.consent, licence.valid_until = to, min(licence.valid_until, to.valid_until)
    licence.save(update_fields=["consent", "valid_until"])


def _take_reserved(licence_id: UUID, characters: int, *, used: int) -> None:
    changed = Licence.objects.filter(id=licence_id, characters_reserved__gte=_positive(characters)).update(
        characters_reserved=F("characters_reserved") - characters, characters_used=F("characters_used") + used
    )
    if not changed:
        _get(licence_id)
        raise NothingReserved


def _get(licence_id: UUID) -> Licence:
    found = Licence.objects.filter(id=licence_id).first()
    if found is None:
        raise NotFound
    return found


def _positive(characters: int) -> int:
    if isinstance(characters, bool) or not 1 <= characters <= MAX_CHARACTERS:
        raise LicenceInvalid("A number of characters is 1 or more.")
    return characters


def _within(consent: Consent, scope: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(scope) - SCOPE_KEYS
    if unknown:
        raise LicenceInvalid(f"A scope knows: {', '.join(sorted(SCOPE_KEYS))}.")
    if consent.uses.get("licence_to_others") is not True:
        raise ConsentScopeExceeded("The speaker did not allow licences to others.")
    allowed = {"languages": set(consent.languages), "uses": {use for use, yes in consent.uses.items() if yes}}
    narrowed = {}
    for key, wanted in scope.items():
        if not isinstance(wanted, list) or not wanted or not all(isinstance(word, str) for word in wanted):
            raise LicenceInvalid(f"'{key}' is a list of one or more words.")
        if set(wanted) - allowed[key]:
            raise ConsentScopeExceeded(f"The consent does not cover: {', '.join(sorted(set(wanted) - allowed[key]))}.")
        narrowed[key] = sorted(set(wanted))
    return narrowed
