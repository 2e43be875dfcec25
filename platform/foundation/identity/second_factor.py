"""A person's second factors, as django-allauth keeps them (`allauth.mfa`): an authenticator app (TOTP, RFC 6238),
passkeys (WebAuthn), and recovery codes for whoever loses these.

Here is what every room may ask or do about them, and how a program sets up an app. People do it on pages
(`vouch.web.factors`), and `vouch.stepup` asks for one before what cannot be taken back.
"""

from typing import Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.db import transaction

from foundation.audit import log
from foundation.errors import Conflict, NotAllowed, Refused
from foundation.identity import sealing
from foundation.identity.actors import Actor
from foundation.identity.models import Person

STRONG: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""What counts as a second factor. Recovery codes only replace one that was lost."""
PENDING_SECONDS: Final = 600
"""How long a program has for the first code of an app it is setting up."""


class WrongPassword(Refused):
    """The password is wrong."""

    code = "wrong_password"


class WrongCode(Refused):
    """The code is wrong, or was used before."""

    code = "wrong_code"
    advice = "Wait for the next code of your authenticator app."


class NoSecondFactor(NotAllowed):
    """This act needs a second factor, and you have none yet."""

    code = "no_second_factor"
    advice = "Set one up on the page “Second factor”."


class FactorExists(Conflict):
    """There is an authenticator app already."""

    code = "second_factor_exists"
    advice = "Remove it on the page “Second factor”. An operator removes a lost one: manage.py remove_second_factor."


def begin(*, actor: Actor, password: str) -> str:
    """A fresh secret (base32), to be confirmed with its first code within ten minutes. The password is asked for, so
    that a session or key left open cannot give itself a second factor. Raises NotAllowed, WrongPassword, FactorExists.
    """
    person = _person(actor)
    if not person.check_password(password):
        raise WrongPassword
    _refuse_another_app(person.id)
    secret = totp.generate_totp_secret()
    cache.set(_pending(person.id), sealing.seal(secret), PENDING_SECONDS)
    return secret


@transaction.atomic
def confirm(*, actor: Actor, code: str) -> None:
    """The first code proves that the app has the secret. Raises NoSecondFactor, FactorExists, WrongCode."""
    person = _person(actor)
    Person.objects.select_for_update().get(id=person.id)
    _refuse_another_app(person.id)
    sealed = cache.get(_pending(person.id))
    if sealed is None:
        raise NoSecondFactor("No authenticator app is waiting for its first code.")
    app = totp.TOTP.activate(person, sealing.unseal(sealed))
    if not app.validate_code(code):  # and with it the row above is undone
        raise WrongCode
    cache.delete(_pending(person.id))
    record(actor=actor, act="app_added")


def is_set_up(person_id: UUID) -> bool:
    return Authenticator.objects.filter(user_id=person_id, type__in=STRONG).exists()


def record(*, actor: Actor, act: str) -> None:
    """The leaf of what was done to the actor's own factors; in the transaction of the act."""
    log.record(kind="person.second_factor", subject=f"person:{actor.person_id}", actor=actor, data={"act": act})


@transaction.atomic
def remove(*, actor: Actor, person: Person) -> bool:
    """Removes every factor of somebody who lost theirs; by the system itself (the command line) alone. Returns whether
    there was one."""
    actor.require_role("system")
    count, _ = Authenticator.objects.filter(user=person).delete()
    if count:
        log.record(kind="person.second_factor", subject=f"person:{person.id}", actor=actor, data={"act": "removed"})
    return bool(count)


def spelled(secret: str) -> str:
    """The secret as people type it: in groups of four."""
    text = secret.rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _person(actor: Actor) -> Person:
    if actor.person_id is None:
        raise NotAllowed("Only a person has a second factor.")
    return Person.objects.get(id=actor.person_id)


def _refuse_another_app(person_id: UUID) -> None:
    if Authenticator.objects.filter(user_id=person_id, type=Authenticator.Type.TOTP).exists():
        raise FactorExists


def _pending(person_id: UUID) -> str:
    return f"pending-app:{person_id}"
