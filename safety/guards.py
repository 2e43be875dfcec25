"""What the desk's services share: who may act, on which locked row, in which written form."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from foundation.audit import log
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from safety.errors import NoReason, OwnCase, UnknownSubject
from safety.models import Case, Report
from safety.states import SubjectKind

DESK_ROLES: Final = ("moderator", "senior")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def leaf(kind: str, subject: str, actor: Actor, data: Mapping[str, Any]) -> int:
    """Appends a leaf whose index the caller stores."""
    return log.append(kind=kind, subject=subject, actor=actor, data=dict(data), rehearsal=settings.REHEARSAL).index


def record(kind: str, subject: str, actor: Actor, data: Mapping[str, Any]) -> None:
    """Writes a leaf whose index nobody needs: the log's lock is held for the commit alone."""
    log.record(kind=kind, subject=subject, actor=actor, data=dict(data), rehearsal=settings.REHEARSAL)


def moderator(actor: Actor) -> UUID:
    """The moderator's (or senior moderator's) id. Raises NotAllowed."""
    actor.require_scope("moderate")
    actor.require_role(*DESK_ROLES)
    return person(actor)


def senior(actor: Actor) -> UUID:
    """The senior moderator's id. Raises NotAllowed."""
    actor.require_scope("moderate")
    actor.require_role("senior")
    return person(actor)


def reader(actor: Actor) -> None:
    """Whoever may read the desk's figures: its people, auditors, operators. Raises NotAllowed."""
    actor.require_scope("desk:read")


def person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotAllowed("Only a person may do this.")
    return actor.person_id


def locked_case(case_id: UUID) -> Case:
    """Raises NotFound."""
    case = Case.objects.select_for_update(of=("self",)).filter(id=case_id).first()
    if case is None:
        raise NotFound
    return case


def is_own(case: Case, person_id: UUID, interested: Collection[UUID]) -> bool:
    """Whether the person asked for it, reported it, is its subject, resembles its voice, or has another stake."""
    return (
        case.requester_id == person_id
        or person_id in interested
        or (case.subject_kind, case.subject_ref) == (SubjectKind.PERSON, str(person_id))
        or any(match.get("person") == str(person_id) for match in case.matches)
        or Report.objects.filter(case=case, reporter_id=person_id).exists()
    )


def refuse_own(case: Case, person_id: UUID, interested: Collection[UUID]) -> None:
    """Raises OwnCase."""
    if is_own(case, person_id, interested):
        raise OwnCase


def check_ref(subject_kind: str, subject_ref: str) -> str:
    """The reference in its one written form. Raises UnknownSubject."""
    if subject_kind not in SubjectKind.values:
        raise UnknownSubject(f"'{subject_kind}' is no kind of subject.")
    if subject_kind == SubjectKind.TEXT:
        if not _DIGEST.fullmatch(subject_ref):
            raise UnknownSubject("A text is named by its SHA-256 in lower-case hex.")
        return subject_ref
    try:
        return str(UUID(subject_ref))
    except ValueError as error:
        raise UnknownSubject(f"A {subject_kind} is named by its id.") from error


def bounded(words: str, most: int) -> str:
    """The words without blanks around them. Raises NoReason for none, Refused for too many characters."""
    words = words.strip()
    if not words:
        raise NoReason
    if len(words) > most:
        raise Refused(f"At most {most} characters.", code="too_many_characters")
    return words
