"""A person's second factor: set up with their password, confirmed with a first code, asked for at irreversible acts.

The secret lies sealed under a key derived from the platform's signing secret. A code is good once: the time step it
belongs to is kept in the database, so a code that was looked at over a shoulder opens nothing, in any process. Wrong
codes lock the factor for a while.
"""

import base64
import secrets
import time
from datetime import timedelta
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.errors import Conflict, NotAllowed, Refused, TooMany
from foundation.identity import totp
from foundation.identity.actors import Actor
from foundation.identity.models import Person, SecondFactor

MAX_FAILURES: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)
"""Five tries in fifteen minutes, three codes valid at a time: guessing six digits takes some two years on average."""
_NONCE = 12


class WrongPassword(Refused):
    """The password is wrong."""

    code = "wrong_password"


class WrongCode(Refused):
    """The code is wrong, or was used before."""

    code = "wrong_code"
    advice = "Wait for the next code of your authenticator app."


class FactorLocked(TooMany):
    """Too many wrong codes."""

    code = "second_factor_locked"
    advice = "Wait, and see whether somebody else tried."


class NoSecondFactor(NotAllowed):
    """This act needs a second factor, and you have none yet."""

    code = "no_second_factor"
    advice = "Set one up on the page “Second factor”."


class FactorExists(Conflict):
    """There is a second factor already."""

    code = "second_factor_exists"
    advice = "An operator removes a lost one: manage.py remove_second_factor."


@transaction.atomic
def begin(*, actor: Actor, password: str) -> bytes:
    """A fresh secret, to be confirmed with its first code. The password is asked for, so that a session left open
    cannot give itself a second factor. Raises NotAllowed, WrongPassword, FactorExists."""
    person = _person(actor)
    if not person.check_password(password):
        raise WrongPassword
    found = SecondFactor.objects.select_for_update().filter(person=person).first()
    if found is not None and found.confirmed_at is not None:
        raise FactorExists
    secret = totp.new_secret()
    SecondFactor.objects.update_or_create(
        person=person, defaults={"sealed_secret": _seal(secret, person.id), "last_step": 0, "failures": 0}
    )
    return secret


@transaction.atomic
def confirm(*, actor: Actor, code: str) -> None:
    """The first code proves that the app has the secret. Raises NoSecondFactor, FactorExists, WrongCode."""
    found = _locked(actor)
    if found.confirmed_at is not None:
        raise FactorExists
    step = totp.matching_step(_open(found), code, seconds=time.time(), after=found.last_step)
    if step is None:
        raise WrongCode
    found.last_step, found.confirmed_at = step, now()
    found.save(update_fields=["last_step", "confirmed_at"])
    log.record(kind="person.second_factor", subject=f"person:{actor.person_id}", actor=actor, data={"act": "confirmed"})


def check(*, actor: Actor, code: str) -> None:
    """Takes a code, once. Raises NoSecondFactor, WrongCode, FactorLocked."""
    with transaction.atomic():
        error = _check(actor, code)
    if error is not None:  # after the commit: a failure has to count
        raise error


def _check(actor: Actor, code: str) -> WrongCode | FactorLocked | None:
    found = _locked(actor)
    if found.confirmed_at is None:
        raise NoSecondFactor
    moment = now()
    if found.locked_until is not None and found.locked_until > moment:
        return FactorLocked(retry_after=int((found.locked_until - moment).total_seconds()) + 1)
    step = totp.matching_step(_open(found), code, seconds=time.time(), after=found.last_step)
    if step is None:
        found.failures += 1
        if found.failures >= MAX_FAILURES:
            found.failures, found.locked_until = 0, moment + LOCKED_FOR
            log.record(
                kind="person.second_factor", subject=f"person:{actor.person_id}", actor=actor, data={"act": "locked"}
            )
        found.save(update_fields=["failures", "locked_until"])
        return WrongCode()
    found.last_step, found.failures, found.locked_until = step, 0, None
    found.save(update_fields=["last_step", "failures", "locked_until"])
    return None


def is_set_up(person_id: UUID) -> bool:
    return SecondFactor.objects.filter(person_id=person_id, confirmed_at__isnull=False).exists()


@transaction.atomic
def remove(*, actor: Actor, person: Person) -> bool:
    """Removes a lost factor; by the system itself (the command line) alone. Returns whether there was one."""
    actor.require_role("system")
    count, _ = SecondFactor.objects.filter(person=person).delete()
    if count:
        log.record(kind="person.second_factor", subject=f"person:{person.id}", actor=actor, data={"act": "removed"})
    return bool(count)


def spelled(secret: bytes) -> str:
    """The secret as people type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _person(actor: Actor) -> Person:
    if actor.person_id is None:
        raise NotAllowed("Only a person has a second factor.")
    return Person.objects.get(id=actor.person_id)


def _locked(actor: Actor) -> SecondFactor:
    person_id = actor.person_id
    found = SecondFactor.objects.select_for_update().filter(person_id=person_id).first() if person_id else None
    if found is None:
        raise NoSecondFactor
    return found


def _cipher(person_id: UUID) -> AESGCM:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=person_id.bytes, info=b"vouch second factor v1")
    return AESGCM(derive.derive(settings.SECRET_KEY.encode()))


def _seal(secret: bytes, person_id: UUID) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(person_id).encrypt(nonce, secret, person_id.bytes)


def _open(found: SecondFactor) -> bytes:
    sealed = bytes(found.sealed_secret)
    try:
        return _cipher(found.person_id).decrypt(sealed[:_NONCE], sealed[_NONCE:], found.person_id.bytes)
    except InvalidTag as error:  # the signing secret was changed: nobody gets in by that
        raise NoSecondFactor("The second factor was sealed under another secret.") from error
