"""Licences: a consent's owner lets one other person have a number of characters spoken, until a day, within a scope.

What is granted is signed: a statement names the text, the scope, the caps and the acts of both parties; its hash stands
in the log. The counters are exact under any concurrency: each change is one conditional UPDATE, and the database itself
refuses ``used + reserved > cap``. A text is reserved before it is spoken, settled with the output, released when there
is none.
"""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from consent import compact, licence_classes, licence_proofs, scopes
from consent.errors import (
    ConsentNotActive,
    ConsentScopeExceeded,
    LicenceCapReached,
    LicenceEnded,
    LicenceExclusive,
    LicenceInvalid,
    NothingReserved,
    RehearsalOnly,
)
from consent.models import MAX_CHARACTERS, MAX_TERM_DAYS, Consent, Licence
from consent.scopes import Ground, Scope
from consent.states import LICENCE, ConsentState, LicenceState, move
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person

MAX_TERM: Final = timedelta(days=MAX_TERM_DAYS)
"""Ten years, the longest term a licence may have."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """The acts by which both parties agreed (`consent.acts.Act.statement`); None where the caller had none to give."""

    licensor: dict[str, Any] | None = None
    licensee: dict[str, Any] | None = None


UNSIGNED: Final = Signatures()


# -- granting ---------------------------------------------------------------------------------------------------------
@transaction.atomic
def grant_licence(
    *,
    actor: Actor,
    consent: Consent,
    licensee: Person,
    scope: Mapping[str, Any],
    characters_cap: int,
    valid_until: datetime | None = None,
    text: str = licence_classes.STANDARD,
    signatures: Signatures = UNSIGNED,
) -> Licence:
    """Grants ``licensee`` up to ``characters_cap`` characters under ``consent``; without ``valid_until``, to its end.

    ``scope`` (`consent.scopes`) narrows the consent and the limits of ``text``; what it does not name is as wide as
    they are. That the speaker offers licences at all is the consent's own flag; that this person may have this one is
    for the caller to know. Raises ConsentNotActive, ConsentScopeExceeded, LicenceInvalid, LicenceTextUnknown,
    LicenceExclusive, RehearsalOnly.
    """
    ground = Consent.objects.select_for_update(of=("self",)).get(id=consent.id)
    if ground.state != ConsentState.ACTIVE.value or ground.valid_until <= now():
        raise ConsentNotActive
    if ground.rehearsal and not settings.REHEARSAL:
        raise RehearsalOnly
    if licensee.id == ground.person_id:
        raise LicenceInvalid("Nobody needs a licence for their own voice.")
    check_characters(characters_cap)
    moment = now()
    until = valid_until or min(ground.valid_until, moment + MAX_TERM)
    if not moment < until <= ground.valid_until or until - moment > MAX_TERM:
        raise LicenceInvalid("A licence ends in the future, not after its consent, and after ten years at most.")
    chosen = licence_classes.named(text)
    narrowed = checked_scope(ground, scope, text=chosen, until=until)
    _check_exclusive(ground, narrowed)
    kept = licence_classes.keep(chosen)
    licence_id = uuid.uuid4()
    granted = narrowed.as_json()
    statement = {
        "kind": licence_proofs.STATEMENT,
        "id": str(licence_id),
        "text": {"id": kept.id, "sha256": kept.sha256},
        "consent": {"id": str(ground.id), "leaf": ground.leaf_index, "statement_sha256": _digest_of(ground)},
        "licensor": str(ground.person_id),
        "licensee": str(licensee.id),
        "scope": granted,
        "characters": characters_cap,
        "granted_at": moment.isoformat(),
        "valid_until": until.isoformat(),
        "signatures": {"licensor": signatures.licensor, "licensee": signatures.licensee},
        "rehearsal": ground.rehearsal,
        # The log shows a hash of this statement; without the salt a guess of its content could be tested against it.
        "salt": secrets.token_hex(32),
    }
    leaf = log.append(
        kind="licence.granted",
        subject=f"licence:{licence_id}",
        actor=actor,
        data={
            "consent": str(ground.id),
            "licensee": str(licensee.id),
            "scope": granted,
            "characters": characters_cap,
            "valid_until": until.isoformat(timespec="microseconds"),
            "text": kept.id,
            "text_sha256": kept.sha256,
            "statement": compact.statement_digest(statement),
        },
        rehearsal=ground.rehearsal,
    )
    caps = narrowed.caps
    return Licence.objects.create(
        id=licence_id,
        consent=ground,
        licensee=licensee,
        scope=granted,
        characters_cap=characters_cap,
        milliseconds_cap=None if caps.seconds is None else caps.seconds * 1000,
        outputs_cap=caps.outputs,
        text=kept,
        statement=statement,
        signature=licence_proofs.sign(statement, leaf.index, keys.private_key("log")).hex(),
        granted_at=moment,
        valid_until=until,
        rehearsal=ground.rehearsal,
        leaf_index=leaf.index,
    )


def check_characters(cap: int) -> None:
    """Raises LicenceInvalid for a cap of zero, below, or out of bounds."""
    if isinstance(cap, bool) or not 1 <= cap <= MAX_CHARACTERS:
        raise LicenceInvalid(f"A licence is for 1 to {MAX_CHARACTERS} characters.", clause="caps.characters")


def ground_of(consent: Consent) -> Ground:
    """What the consent allows, for the questions of `consent.scopes`."""
    return Ground(
        uses=frozenset(use for use, yes in consent.uses.items() if yes is True),
        languages=frozenset(consent.languages),
        territory=consent.territory,
        valid_until=consent.valid_until,
    )


def checked_scope(
    consent: Consent, scope: Mapping[str, Any], *, text: licence_classes.LicenceClass, until: datetime
) -> Scope:
    """The scope as it would be granted. Raises LicenceInvalid, ConsentScopeExceeded (with the clause)."""
    try:
        wanted = scopes.parse(scope)
        narrowed = scopes.narrowed(wanted, text.limits)
    except scopes.ScopeInvalid as error:
        raise LicenceInvalid(str(error), clause=error.clause) from error
    if wanted.uses is None and narrowed.uses is not None:
        # The text's own list is a limit, not a claim: of it the licence gets what the consent has.
        narrowed = replace(narrowed, uses=narrowed.uses & ground_of(consent).uses)
    if beyond := scopes.exceeds(narrowed, ground_of(consent), until=until):
        raise ConsentScopeExceeded(beyond[0].says, clause=beyond[0].clause)
    return narrowed


def _check_exclusive(consent: Consent, scope: Scope) -> None:
    others = Licence.objects.filter(
        consent=consent, state=LicenceState.ACTIVE.value, valid_until__gt=now()
    ).values_list("scope", flat=True)
    if (scope.exclusive and others.exists()) or any(one.get("exclusive") for one in others):
        raise LicenceExclusive


def _digest_of(consent: Consent) -> str:
    return compact.statement_digest(consent.statement)


# -- counters ---------------------------------------------------------------------------------------------------------
def reserve(*, licence_id: UUID, characters: int, milliseconds: int = 0, outputs: int = 0) -> None:
    """Sets characters, sound and outputs aside. Raises NotFound, LicenceEnded, LicenceCapReached, LicenceInvalid."""
    changed = Licence.objects.filter(
        Q(milliseconds_cap__isnull=True)
        | Q(milliseconds_cap__gte=F("milliseconds_used") + F("milliseconds_reserved") + milliseconds),
        Q(outputs_cap__isnull=True) | Q(outputs_cap__gte=F("outputs_used") + F("outputs_reserved") + outputs),
        id=licence_id,
        state=LicenceState.ACTIVE.value,
        valid_until__gt=now(),
        characters_cap__gte=F("characters_used") + F("characters_reserved") + _positive(characters),
    ).update(
        characters_reserved=F("characters_reserved") + characters,
        milliseconds_reserved=F("milliseconds_reserved") + milliseconds,
        outputs_reserved=F("outputs_reserved") + outputs,
    )
    if changed:
        return
    licence = _get(licence_id)
    if licence.state != LicenceState.ACTIVE.value or licence.valid_until <= now():
        raise LicenceEnded
    raise LicenceCapReached(
        characters_left=licence.characters_cap - licence.characters_used - licence.characters_reserved
    )


def settle(*, licence_id: UUID, characters: int, reserved_ms: int = 0, milliseconds: int = 0, outputs: int = 0) -> None:
    """Turns what was reserved into use, also when the licence has ended meanwhile. ``milliseconds``: the sound's length
    in truth; when it is longer than ``reserved_ms`` and the cap has no room for the rest, nothing is settled.

    Raises NotFound, NothingReserved, LicenceCapReached, LicenceInvalid.
    """
    fits = Q(milliseconds_cap__isnull=True) | Q(
        milliseconds_cap__gte=F("milliseconds_used") + F("milliseconds_reserved") + (milliseconds - reserved_ms)
    )
    if not _take_reserved(licence_id, characters, characters, reserved_ms, milliseconds, outputs, outputs, fits):
        if Licence.objects.filter(id=licence_id, characters_reserved__gte=characters).exclude(fits).exists():
            raise LicenceCapReached("The recording came out longer than the licence has seconds left.")
        _get(licence_id)
        raise NothingReserved


def release(*, licence_id: UUID, characters: int, reserved_ms: int = 0, outputs: int = 0) -> None:
    """Gives back what was reserved. Raises NotFound, NothingReserved, LicenceInvalid."""
    if not _take_reserved(licence_id, characters, 0, reserved_ms, 0, outputs, 0, Q()):
        _get(licence_id)
        raise NothingReserved


def _take_reserved(
    licence_id: UUID,
    characters: int,
    used: int,
    reserved_ms: int,
    used_ms: int,
    outputs: int,
    used_outputs: int,
    fits: Q,
) -> int:
    return Licence.objects.filter(
        fits,
        id=licence_id,
        characters_reserved__gte=_positive(characters),
        milliseconds_reserved__gte=reserved_ms,
        outputs_reserved__gte=outputs,
    ).update(
        characters_reserved=F("characters_reserved") - characters,
        characters_used=F("characters_used") + used,
        milliseconds_reserved=F("milliseconds_reserved") - reserved_ms,
        milliseconds_used=F("milliseconds_used") + used_ms,
        outputs_reserved=F("outputs_reserved") - outputs,
        outputs_used=F("outputs_used") + used_outputs,
    )


# -- ending -----------------------------------------------------------------------------------------------------------
@transaction.atomic
def end_licence(*, actor: Actor, licence_id: UUID, reason: str) -> Licence:
    """Ends a licence: its licensee may, and the system; the speaker gives notice or stops it (`cloning.revocation`).
    Safe to repeat.

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


def give_notice(*, licence: Licence, actor: Actor) -> datetime:
    """Starts the notice period of a locked, active licence: when it ends now. A second notice changes nothing."""
    if licence.notice_given_at is None:
        days = int(licence.scope.get("notice_days", 0))
        licence.notice_given_at = now()
        licence.valid_until = min(licence.valid_until, licence.notice_given_at + timedelta(days=days))
        licence.save(update_fields=["notice_given_at", "valid_until"])
        log.record(
            kind="licence.notice",
            subject=f"licence:{licence.id}",
            actor=actor,
            data={
                "consent": str(licence.consent_id),
                "days": days,
                "until": licence.valid_until.isoformat(timespec="microseconds"),
            },
            rehearsal=licence.rehearsal,
        )
    return licence.valid_until


def carry(*, licence: Licence, to: Consent) -> None:
    """Lets a locked, active licence go on under the renewal of its consent, never beyond the renewal's own end."""
    licence.consent, licence.valid_until = to, min(licence.valid_until, to.valid_until)
    licence.save(update_fields=["consent", "valid_until"])


def _get(licence_id: UUID) -> Licence:
    found = Licence.objects.filter(id=licence_id).first()
    if found is None:
        raise NotFound
    return found


def _positive(characters: int) -> int:
    if isinstance(characters, bool) or not 1 <= characters <= MAX_CHARACTERS:
        raise LicenceInvalid("A number of characters is 1 or more.")
    return characters
