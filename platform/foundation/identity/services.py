"""Registering people and issuing their keys. Each act leaves a leaf in the log, in the same transaction."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from foundation.audit import log
from foundation.clock import now
from foundation.errors import Conflict, NotFound, Refused
from foundation.identity.actors import Actor, MissingScope
from foundation.identity.models import ApiKey, Organisation, Person, Role
from foundation.identity.scopes import BY_ROLE

PREFIX_BYTES = 6
SECRET_BYTES = 32


class EmailTaken(Conflict):
    """An account with this e-mail address exists."""

    code = "email_taken"


class WeakPassword(Refused):
    """The password is too easy to guess."""

    code = "weak_password"


@transaction.atomic
def register_person(
    *,
    actor: Actor,
    email: str,
    display_name: str,
    password: str,
    role: str = Role.MEMBER,
    organisation: str | None = None,
) -> Person:
    """A new account. Staff roles only by the system itself (the command line): a web form can never make one.

    Raises WrongRole, WeakPassword, EmailTaken.
    """
    if role != Role.MEMBER:
        actor.require_role("system")
    person = Person(email=email.strip().lower(), display_name=display_name.strip(), role=role)
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages), advice="Choose at least 10 characters.") from error
    person.set_password(password)
    if organisation:
        person.organisation = Organisation.objects.get_or_create(name=organisation)[0]
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError as error:
        raise EmailTaken(advice="Sign in, or use another address.") from error
    log.record(kind="person.registered", subject=f"person:{person.id}", actor=actor, data={"role": person.role})
    return person


@transaction.atomic
def issue_api_key(
    *, actor: Actor, person: Person, name: str, scopes: Collection[str] | None = None, days: int | None = None
) -> tuple[ApiKey, str]:
    """A key for ``person`` and its plaintext, which is shown once. A key never gives more than its issuer holds.

    ``days``: how long it opens anything; None: until it is revoked.

    Raises MissingScope, NotFound when one person asks for another's key.
    """
    if actor.role != "system" and actor.person_id != person.id:
        raise NotFound
    wanted = frozenset(scopes) if scopes is not None else BY_ROLE[person.role]
    excess = wanted - (BY_ROLE[person.role] & (actor.scopes if actor.role != "system" else BY_ROLE[person.role]))
    if excess:
        raise MissingScope(f"Not yours to give: {', '.join(sorted(excess))}.")
    prefix = secrets.token_hex(PREFIX_BYTES)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey.objects.create(
        person=person,
        name=name,
        prefix=prefix,
        digest=_digest(secret),
        scopes=sorted(wanted),
        expires_at=None if days is None else now() + timedelta(days=days),
    )
    log.record(
        kind="key.api_issued",
        subject=f"person:{person.id}",
        actor=actor,
        data={"key": str(key.id), "scopes": key.scopes},
    )
    return key, f"vk_{prefix}_{secret}"


@transaction.atomic
def revoke_api_key(*, actor: Actor, key_id: str) -> None:
    """Ends a key of the actor's own. Safe to call twice. Raises NotFound."""
    key = ApiKey.objects.select_for_update().filter(id=key_id).first()
    if key is None or key.person_id != actor.person_id:
        raise NotFound
    if key.revoked_at is None:
        key.revoked_at = now()
        key.save(update_fields=["revoked_at"])
        log.record(kind="key.api_revoked", subject=f"person:{key.person_id}", actor=actor, data={"key": str(key.id)})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
