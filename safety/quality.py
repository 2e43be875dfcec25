"""How good the decisions are: golden cases, blind second reviews, agreement.

A check is a decided case handed out as if it were new. The moderator cannot tell it from a real one; their decision
changes nothing but figures. One in `SHARE` settled decisions gets a second review.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count

from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import guards, states
from safety.claims import Stakes
from safety.errors import CaseDecided, NotReversible, WrongDecision
from safety.models import Case, Check, Golden
from safety.sizes import CLAUSE_CHARS
from safety.states import CaseKind, CaseState

SHARE: Final = 20
"""One settled decision in so many is reviewed again."""
TAKEN_FOR: Final = timedelta(minutes=30)
"""A check somebody took and left is handed to another after this."""
KINDS: Final = (CaseKind.HOLD,)
"""Kinds whose page holds all that the decision needs, also weeks later."""


@transaction.atomic
def make_golden(*, actor: Actor, case_id: UUID, expected: str, interested: Collection[UUID]) -> Golden:
    """A decided case becomes a golden one. Seniors only, and nobody with a stake in it (``interested``: those the
    caller knows). Raises NotAllowed, NotFound, OwnCase, WrongDecision, NotReversible."""
    person_id = guards.senior(actor)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    if case.state != CaseState.DECIDED or case.kind not in KINDS or not case.text:
        raise NotReversible("Only decided holds whose text is still kept can be golden.")
    if expected not in _choices(case):
        raise WrongDecision
    made, _ = Golden.objects.update_or_create(
        case=case, defaults={"expected": expected, "made_by_id": person_id, "active": True}
    )
    guards.record("golden.made", f"case:{case.id}", actor, {"case": str(case.id), "expected": expected})
    return made


def sample(case: Case) -> Check | None:
    """A second review for one decided case in `SHARE`; which ones is settled by a hash of the id, so nobody chooses."""
    if case.kind not in KINDS or not case.text or case.reverses_id is not None:
        return None
    if int.from_bytes(hashlib.sha256(b"second review" + case.id.bytes).digest()[:4]) % SHARE:
        return None
    found, _ = Check.objects.get_or_create(
        case=case, kind="second", defaults={"expected": case.decision, "first_by_id": case.decided_by_id}
    )
    return found


@transaction.atomic
def take(*, actor: Actor, stakes: Stakes) -> Check | None:
    """The next check for this moderator: one they took and have not decided, a second review, or a golden case that is
    new to them. Never a case they decided, asked for, reported or have another stake in. None when there is none."""
    person_id = guards.moderator(actor)
    moment = now()
    mine = Check.objects.filter(reviewer_id=person_id, decided_at__isnull=True, taken_at__gt=moment - TAKEN_FOR)
    if (started := mine.order_by("taken_at").first()) is not None:
        return started
    waiting = (
        Check.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(kind="second", decided_at__isnull=True)
        .exclude(reviewer__isnull=False, taken_at__gt=moment - TAKEN_FOR)
        .exclude(first_by_id=person_id)
        .exclude(case__requester_id=person_id)
    )
    for found in waiting.select_related("case").order_by("created_at")[:10]:
        if not guards.is_own(found.case, person_id, stakes(found.case)):
            found.reviewer_id, found.taken_at = person_id, moment
            found.save(update_fields=["reviewer", "taken_at"])
            return found
    return _take_golden(person_id, stakes)


def _take_golden(person_id: UUID, stakes: Stakes) -> Check | None:
    seen = Check.objects.filter(kind="golden", reviewer_id=person_id).values("case_id")
    fresh = Golden.objects.filter(active=True).exclude(case_id__in=seen).exclude(case__decided_by_id=person_id)
    for one in fresh.exclude(made_by_id=person_id).select_related("case").order_by("made_at")[:10]:
        if guards.is_own(one.case, person_id, stakes(one.case)):
            continue
        try:
            with transaction.atomic():
                return Check.objects.create(
                    kind="golden", case=one.case, expected=one.expected, reviewer_id=person_id, taken_at=now()
                )
        except IntegrityError:  # the same moderator in another tab
            continue
    return None


def check_for(*, actor: Actor, check_id: UUID) -> Check:
    """A check the actor holds and has not decided. Raises NotAllowed, NotFound."""
    person_id = guards.moderator(actor)
    found = Check.objects.select_related("case").filter(id=check_id, reviewer_id=person_id, decided_at=None).first()
    if found is None:
        raise NotFound
    return found


@transaction.atomic
def decide_check(*, actor: Actor, check_id: UUID, decision: str, clause: str) -> Check:
    """The moderator's word on a check. Raises NotAllowed, NotFound, CaseDecided, WrongDecision, NoReason."""
    person_id = guards.moderator(actor)
    clause = guards.bounded(clause, CLAUSE_CHARS)
    found = Check.objects.select_for_update(of=("self",)).select_related("case").filter(id=check_id).first()
    if found is None or found.reviewer_id != person_id:
        raise NotFound
    if found.decided_at is not None:
        raise CaseDecided
    if decision not in _choices(found.case):
        raise WrongDecision
    found.decision, found.clause, found.decided_at = decision, clause, now()
    found.save(update_fields=["decision", "clause", "decided_at"])
    data = {"check": str(found.id), "agreed": decision == found.expected}
    guards.record("check.decided", f"case:{found.case_id}", actor, data)
    return found


def _choices(case: Case) -> list[str]:
    return states.decisions_for(
        kind=case.kind, subject_kind=case.subject_kind, has_requester=case.requester_id is not None
    )


def kappa(pairs: Mapping[tuple[str, str], int]) -> float | None:
    """Cohen's kappa of two raters over the same items (J. Cohen, 1960): agreement beyond chance, -1 to 1.

    ``pairs``: how often the two said this and that. None without pairs, or when both raters always said the same one
    thing: chance alone would agree then.
    """
    total = sum(pairs.values())
    if not total:
        return None
    observed = sum(count for (a, b), count in pairs.items() if a == b) / total
    first, second = Counter[str](), Counter[str]()
    for (a, b), count in pairs.items():
        first[a] += count
        second[b] += count
    chance = sum(first[label] * second[label] for label in first) / total**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def agreement(*, days: int = 90) -> dict[str, Any]:
    """Second reviews and golden cases decided in so many days: pairs, agreement, kappa."""
    done = Check.objects.filter(decided_at__gt=now() - timedelta(days=days))
    counted: dict[str, dict[tuple[str, str], int]] = {"second": {}, "golden": {}}
    for kind, expected, decision, count in done.values_list("kind", "expected", "decision").annotate(n=Count("id")):
        counted[kind][expected, decision] = count
    answer: dict[str, Any] = {}
    for kind, pairs in counted.items():
        total = sum(pairs.values())
        same = sum(count for (a, b), count in pairs.items() if a == b)
        answer[kind] = {
            "pairs": total,
            "agreed": round(same / total, 4) if total else None,
            "kappa": None if (value := kappa(pairs)) is None else round(value, 4),
        }
    return answer
