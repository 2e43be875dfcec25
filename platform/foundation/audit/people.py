"""People in the log. No leaf holds anybody's id: whatever a room writes, the log puts a tag in its place."""

import re
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.db import connection

from foundation.audit import canonical
from foundation.audit.commitments import commit, new_salt, person_tag
from foundation.audit.models import Opening
from foundation.identity.actors import Actor
from foundation.identity.models import Person

_ID: Final = re.compile(r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])")


def hidden(body: bytes, *, kind: str, at: str) -> bytes:
    """The canonical body with a tag in place of every person's id in it, wherever it stands."""
    text = body.decode()
    ids = {found.lower() for found in _ID.findall(text)}
    tags = {str(person): str(person_tag(person, salt, kind=kind, at=at)) for person, salt in _salts(ids)} if ids else {}
    if not tags:
        return body
    return canonical.again(_ID.sub(lambda found: tags.get(found[0].lower(), found[0]), text))


def sight(actor: Actor) -> Callable[[dict[str, Any]], bool]:
    """Whether a leaf's body is about the actor or of what they did: a question to be asked of many bodies."""
    if actor.person_id is None:
        return lambda body: False
    person = actor.person_id
    salt = Person.objects.filter(id=person).values_list("log_salt", flat=True).first()

    def sees(body: dict[str, Any]) -> bool:
        # Leaves from before there were tags have the id itself.
        names = {f"person:{person}"}
        if salt is not None:
            names.add(f"person:{person_tag(person, bytes(salt), kind=body['kind'], at=body['at'])}")
        return body["subject"] in names or body["actor"] in names

    return sees


def commit_for(value: str, *, person_id: UUID) -> str:
    """The digest of a fresh commitment for a leaf; its salt is kept beside the person the value is about.

    For values whose own row has no place for a salt. The person is handed it with their export.
    """
    made = commit(value)
    Opening.objects.create(digest=made.digest, salt=made.salt, person_id=person_id)
    return made.digest


def erase_salt(*, person: Person) -> None:
    """Takes a person out of the log: from now on nobody can tell which leaves name them, or show it of one.

    Nor can anybody show what was committed to with ``commit_for``. Not a byte of the log changes. It cannot be undone;
    a later leaf that names them gets a tag nobody can open.
    """
    Opening.objects.filter(person=person).delete()
    Person.objects.filter(id=person.id).update(log_salt=None)
    person.log_salt = None


def _salts(ids: set[str]) -> list[tuple[UUID, bytes]]:
    # On the way of every event: a plain statement costs half of what a query set does.
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, log_salt FROM identity_person WHERE id = ANY(%s::uuid[])", [list(ids)])
        return [(person, new_salt() if salt is None else bytes(salt)) for person, salt in cursor.fetchall()]
