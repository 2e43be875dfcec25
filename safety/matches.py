"""A live voice that resembles a protected one, or one another account has enrolled: a moderator looks.

The moderator's answer is about one person and the voices in the case. It stands for the person's later challenges too:
"allow" (they may go on) is not asked again, "refuse" and "restrict" are not got round by asking again.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from foundation.audit import canonical, log
from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.identity.actors import Actor
from safety.models import Case
from safety.protected import Match
from safety.service_levels import due_at
from safety.states import CaseKind, CaseState, Decision, SubjectKind

SEVERITY: Final = 2
"""Between a single report and the worst texts: a person waits, and somebody's voice may be at stake."""
CLAUSE: Final = "voice.match"
MAX_LISTED: Final = 20
"""Matches a case lists; nobody compares more by hand."""


@transaction.atomic
def open_match(*, person_id: UUID, matches: Sequence[Match], actor: Actor) -> Case:
    """The undecided case about this person's voice, opened when there is none. New matches join an open one.

    Raises ValueError for no matches.
    """
    if not matches:
        raise ValueError("a case needs a match")
    case, opened = _undecided(person_id)
    known = {(one["kind"], one["ref"]) for one in case.matches}
    fresh = [_listed(match) for match in matches if (match.kind, match.ref) not in known]
    if not fresh:
        return case
    case.matches = [*case.matches, *fresh][:MAX_LISTED]
    # Whom a voice resembles is nobody's business but the moderators': the log holds a commitment.
    sealed = commit(canonical.encode(case.matches).decode())
    case.text_salt, case.text_digest = sealed.salt, sealed.digest
    case.save(update_fields=["matches", "text_salt", "text_digest"])
    log.record(
        kind="case.opened" if opened else "case.widened",
        subject=f"case:{case.id}",
        actor=actor,
        data={"kind": case.kind, "requester": f"person:{person_id}", "clause": CLAUSE, "matches": sealed.digest},
        rehearsal=settings.REHEARSAL,
    )
    return case


def decisions(*, person_id: UUID) -> dict[tuple[str, str], str]:
    """The last decision about this person and each voice, by (kind, ref) of the voice."""
    decided = Case.objects.filter(kind=CaseKind.VOICE_MATCH, state=CaseState.DECIDED, requester_id=person_id)
    return {
        (one["kind"], one["ref"]): case.decision
        for case in decided.order_by("decided_at", "opened_at")
        for one in case.matches
    }


def decision_of(case_id: UUID) -> str:
    """The decision of a case; empty while there is none."""
    return Case.objects.values_list("decision", flat=True).get(id=case_id)


def sort_out(*, person_id: UUID, matches: Sequence[Match]) -> tuple[list[Match], bool]:
    """Of ``matches``: those no moderator has allowed yet, and whether one of them was refused before."""
    past = decisions(person_id=person_id)
    asked = [match for match in matches if past.get((match.kind, match.ref)) != Decision.ALLOW]
    return asked, any((match.kind, match.ref) in past for match in asked)


def _undecided(person_id: UUID) -> tuple[Case, bool]:
    """The person's undecided case, locked, and whether it was made just now."""
    undecided = (
        Case.objects.select_for_update(of=("self",))
        .filter(kind=CaseKind.VOICE_MATCH, requester_id=person_id)
        .exclude(state=CaseState.DECIDED)
    )
    while True:  # a pass fails only if somebody else opened a case, so the next one finds it or opens its own
        if (existing := undecided.first()) is not None:
            return existing, False
        moment = now()
        try:
            with transaction.atomic():
                case = Case.objects.create(
                    kind=CaseKind.VOICE_MATCH,
                    severity=SEVERITY,
                    subject_kind=SubjectKind.PERSON,
                    subject_ref=str(person_id),
                    requester_id=person_id,
                    clause=CLAUSE,
                    opened_at=moment,
                    due_at=due_at(kind=CaseKind.VOICE_MATCH, severity=SEVERITY, opened_at=moment),
                )
        except IntegrityError:
            continue
        return case, True


def _listed(match: Match) -> dict[str, Any]:
    return {
        "kind": match.kind,
        "ref": match.ref,
        "label": match.label,
        "person": str(match.person_id) if match.person_id else None,
        "similarity": round(match.similarity, 4),
        "threshold": match.threshold,
    }
