"""Looking is an act too: every view of personal data leaves a leaf that says who looked at what, never what it said."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import transaction

from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from safety import guards
from safety.models import Case, Note
from safety.sizes import REASON_CHARS
from safety.states import CaseState

WHATS: Final = frozenset({"case", "sound", "notice", "appeal", "check", "trace", "review", "restriction"})


def viewed(*, actor: Actor, subject: str, what: str) -> None:
    """Records that the actor was shown personal data. Before anything is shown: no leaf, no view."""
    if what not in WHATS:
        raise ValueError(f"'{what}' is not among: {', '.join(sorted(WHATS))}")
    with transaction.atomic():
        guards.record("case.viewed", subject, actor, {"what": what})


def case_to_show(*, actor: Actor, case_id: UUID) -> Case:
    """One case with everything in it, for a moderator; a decided one for an auditor too. The view is logged.

    Raises NotAllowed, NotFound.
    """
    guards.reader(actor)
    if not {"moderate", "desk:audit"} & actor.scopes:
        raise NotAllowed("Figures are yours to read, cases are not.")
    found = Case.objects.select_related("requester", "decided_by", "claimed_by").filter(id=case_id).first()
    if found is None or ("moderate" not in actor.scopes and found.state != CaseState.DECIDED):
        raise NotFound
    viewed(actor=actor, subject=f"case:{found.id}", what="case")
    return found


@transaction.atomic
def note(*, actor: Actor, case_id: UUID, text: str, interested: Collection[UUID]) -> Note:
    """An internal note. ``interested``: people the caller knows to have a stake; they leave none.

    Raises NotAllowed, NotFound, OwnCase, NoReason.
    """
    person_id = guards.moderator(actor)
    text = guards.bounded(text, REASON_CHARS)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    made = Note.objects.create(case=case, author_id=person_id, text=text)
    guards.record("case.noted", f"case:{case.id}", actor, {"note": str(made.id)})
    return made
