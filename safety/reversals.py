"""A decision in force that turns out wrong: taken back by a new decided case that names the old one. Nothing is
rewritten; whoever asks for the last word about a text finds the new one."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.identity.actors import Actor
from safety import guards, restrictions, strikes, tallies
from safety.errors import NotReversible, OwnCase
from safety.models import Case, Ruling
from safety.states import AGAINST, CaseKind, CaseState, Decision

OPPOSITE: Final = {CaseKind.HOLD: Decision.ALLOW, CaseKind.VOICE_MATCH: Decision.ALLOW}
"""What a reversal decides instead; for the other kinds it dismisses."""
REVERSED_CLAUSE: Final = "policy.reversed"


@transaction.atomic
def reverse_as_senior(*, actor: Actor, case_id: UUID, reason: str, interested: Collection[UUID]) -> Case:
    """A senior moderator sees that a decision against somebody was wrong, without waiting for an appeal.

    ``interested``: people the caller knows to have a stake. Raises NotAllowed, NotFound, OwnCase (one's own decision,
    or a stake in it), NoReason, NotReversible.
    """
    person_id = guards.senior(actor)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    if person_id == case.decided_by_id or Ruling.objects.filter(case=case, second_by_id=person_id).exists():
        raise OwnCase("Somebody else reverses what you decided.")
    return reverse(case_id=case_id, by=person_id, reason=guards.bounded(reason, 2_000), why="senior", actor=actor)


def reverse(*, case_id: UUID, by: UUID, reason: str, why: str, actor: Actor) -> Case:
    """The new case. Lifts what the old one brought about, and its strike. A destroyed voice stays destroyed.

    Inside a transaction. Raises NotFound, NotReversible (not decided against anybody, or reversed before).
    """
    old = guards.locked_case(case_id)
    if old.state != CaseState.DECIDED or old.decision not in AGAINST:
        raise NotReversible
    moment, sealed = now(), commit(reason)
    copied = (
        "kind", "severity", "subject_kind", "subject_ref", "requester_id", "voice_ref", "text", "text_digest",
        "text_salt", "rule", "pack", "pack_sha256", "matches",
    )  # fmt: skip
    try:
        with transaction.atomic():
            new = Case.objects.create(
                **{name: getattr(old, name) for name in copied},
                state=CaseState.DECIDED,
                clause=old.clause,
                opened_at=moment,
                due_at=moment,
                claimed_by_id=by,
                first_claimed_at=moment,
                last_claimed_at=moment,
                claimed_until=moment,
                decision=OPPOSITE.get(CaseKind(old.kind), Decision.DISMISS),
                decided_by_id=by,
                decided_at=moment,
                decision_reason=reason,
                decision_salt=sealed.salt,
                decision_clause=REVERSED_CLAUSE,
                reverses=old,
            )
    except IntegrityError as error:
        raise NotReversible("This decision was reversed before.") from error
    lifted = restrictions.lift_of_case(case=old, actor=actor, reason=reason)
    strikes.take_back(case=old, actor=actor)
    tallies.taken_back(old)
    data = {"by_case": str(new.id), "why": why, "reason": sealed.digest, "lifted": lifted, "was": old.decision}
    new.leaf_index = guards.leaf("case.reversed", f"case:{old.id}", actor, data)
    new.save(update_fields=["leaf_index"])
    return new
