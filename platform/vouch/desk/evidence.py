"""What a case rests on in other rooms: voice, owner, licence, recordings, traces. And the next piece of work."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.urls import reverse

from cloning.models import Output, TraceJob, Voice
from consent.models import Licence
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault.models import KeyState
from safety import guards, quality, services
from safety.errors import NothingWaits
from safety.models import Case, Notice
from safety.states import SubjectKind
from vouch.desk.stakes import stakes_of

CHECK_SHARE: Final = 20
"""One pull in so many hands out a check, when one waits: often enough to measure, seldom enough to be no burden."""
NEAR: Final = 10
TRACED_WITHIN: Final = timedelta(days=90)


@dataclass(frozen=True)
class Evidence:
    """What stands behind a case; every part may be missing."""

    voice: Voice | None = None
    licence: Licence | None = None
    outputs: list[Output] = field(default_factory=list)
    traces: list[TraceJob] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def pull(*, actor: Actor, kind: str | None = None, severity: int | None = None) -> dict[str, Any]:
    """The next piece of work: ``{"case", "check", "page"}``. Raises NotAllowed, NothingWaits, OnBreak, BudgetSpent."""
    guards.moderator(actor)
    if secrets.randbelow(CHECK_SHARE) == 0 and (found := quality.take(actor=actor, stakes=stakes_of)) is not None:
        return _check(found.id)
    try:
        case = services.pull(actor=actor, kind=kind, severity=severity, stakes=stakes_of)
    except NothingWaits:
        # With nothing to decide there is time to be checked.
        if kind is not None or severity is not None or (rest := quality.take(actor=actor, stakes=stakes_of)) is None:
            raise
        return _check(rest.id)
    return {"case": str(case.id), "check": None, "page": reverse("web:case", args=[case.id])}


def _check(check_id: UUID) -> dict[str, Any]:
    return {"case": None, "check": str(check_id), "page": reverse("web:check", args=[check_id])}


def of(case: Case) -> Evidence:
    """Everything that stands behind a case."""
    voice_ref = case.subject_ref if case.subject_kind == SubjectKind.VOICE else case.voice_ref
    licence = None
    output = None
    if case.subject_kind == SubjectKind.OUTPUT:
        output = Output.objects.select_related("licence").filter(id=case.subject_ref).first()
        if output is not None:
            voice_ref, licence = str(output.voice_id), output.licence
    if case.subject_kind == SubjectKind.LICENCE:
        licence = Licence.objects.filter(id=case.subject_ref).first()
    voice = Voice.objects.select_related("owner", "consent").filter(id=voice_ref).first() if voice_ref else None
    if voice is not None and licence is None and case.requester_id not in (None, voice.owner_id):
        licence = Licence.objects.filter(consent=voice.consent_id, licensee_id=case.requester_id).first()
    return Evidence(voice=voice, licence=licence, outputs=_outputs(case, output, voice, licence), traces=_traces(case))


def sound(*, actor: Actor, case_id: UUID, output_id: UUID) -> Output | None:
    """An output that belongs to a case, if its sound is still kept. Raises NotAllowed, NotFound, OwnCase.

    A moderator with a stake in the case hears nothing of it. Restrictions do not matter here: what is withdrawn is
    what moderators have to judge.
    """
    person_id = guards.moderator(actor)
    case = Case.objects.filter(id=case_id).first()
    if case is None:
        return None
    guards.refuse_own(case, person_id, stakes_of(case))
    return next((one for one in of(case).outputs if one.id == output_id), None)


def _outputs(case: Case, output: Output | None, voice: Voice | None, licence: Licence | None) -> list[Output]:
    """The recordings one may want to hear: the one in question first, then the newest by the same voice."""
    kept = Output.objects.select_related("sealed", "voice").filter(sealed__key__state=KeyState.ACTIVE)
    found = list(kept.filter(id=output.id)) if output is not None else []
    near = kept.none()
    if case.subject_kind == SubjectKind.LICENCE and licence is not None:
        near = kept.filter(licence=licence)
    elif case.subject_kind == SubjectKind.PERSON:
        near = kept.filter(requester_id=UUID(case.subject_ref))
    elif voice is not None:
        near = kept.filter(voice=voice)
        if case.requester_id is not None:
            near = near.filter(requester_id=case.requester_id)
    return (found + [one for one in near.order_by("-created_at")[:NEAR] if one not in found])[:NEAR]


def _traces(case: Case) -> list[TraceJob]:
    """Recordings found outside in which this output's mark was read."""
    if case.subject_kind != SubjectKind.OUTPUT:
        return []
    recent = TraceJob.objects.filter(
        created_at__gt=now() - TRACED_WITHIN, hits__contains=[{"output": case.subject_ref}]
    )
    return list(recent.order_by("-created_at")[:NEAR])
