"""An owner ends a licence: with the notice its contract names, or at once when somebody is harmed.

What then becomes of recordings made under it is the licence's own clause (``survival``): kept, relabelled or taken
down; the status lists follow. Lock order as in `gate`: consent, licence, job, then the log.
"""

from typing import Final
from uuid import UUID

from django.db import transaction

from cloning import errors, jobs
from cloning.models import Job, Output
from cloning.states import OPEN_JOB_STATES, OUTPUT, JobState, OutputState, move
from consent import licences
from consent.models import Consent, Licence
from consent.states import LicenceState
from foundation.audit import log
from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor

ACTOR: Final = Actor.system("cloning.revocation")
MAX_REASON: Final = 500
NOTICE, STOP = "notice", "safety_stop"
AFTER: Final[dict[str, OutputState]] = {"relabel": OutputState.RELABELLED, "take_down": OutputState.REVOKED}


class NotInForce(errors.IllegalTransition):
    """This licence has ended already."""

    code = "licence_ended"


@transaction.atomic
def give_notice(*, actor: Actor, licence_id: UUID) -> Licence:
    """The owner's ordinary revocation: the licence goes on to the end of its notice period, then ends.

    Without a notice period it ends now. A second notice changes nothing. Raises NotFound, NotInForce.
    """
    licence = _locked(licence_id)
    if licence is None or actor.person_id is None or licence.consent.person_id != actor.person_id:
        raise NotFound
    _in_force(licence)
    if licences.give_notice(licence=licence, actor=actor) <= now():
        _end(licence, NOTICE, actor)
    return licence


@transaction.atomic
def stop(*, actor: Actor, licence_id: UUID, reason: str) -> Licence:
    """The safety stop, by the owner or a moderator: nothing more is spoken, work in progress is cancelled, now.

    ``reason``, 1 to 500 characters, is committed to in the log. Raises NotFound, NotInForce, Refused (no reason).
    """
    licence = _locked(licence_id)
    moderates = "moderate" in actor.scopes and actor.role == "moderator"
    if licence is None or actor.person_id is None or not (moderates or licence.consent.person_id == actor.person_id):
        raise NotFound
    _in_force(licence)
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise Refused(f"A safety stop has a reason of 1 to {MAX_REASON} characters.", code="reason_missing")
    sealed = commit(reason)
    licence.stop_reason, licence.stop_salt = reason, sealed.salt
    licence.save(update_fields=["stop_reason", "stop_salt"])
    log.record(
        kind="licence.stopped",
        subject=f"licence:{licence.id}",
        actor=actor,
        data={
            "consent": str(licence.consent_id),
            "reason": sealed.digest,
            "survival": licence.scope.get("survival", "keep"),
        },
        rehearsal=licence.rehearsal,
    )
    _end(licence, STOP, actor)
    return licence


def end_due() -> int:
    """Ends licences whose notice is over. Safe to run twice: the gate refuses from that moment on by itself."""
    due = Licence.objects.filter(
        state=LicenceState.ACTIVE.value, notice_given_at__isnull=False, valid_until__lte=now()
    ).values_list("id", flat=True)
    ended = 0
    for licence_id in list(due):
        with transaction.atomic():
            licence = _locked(licence_id)
            if licence is not None and licence.state == LicenceState.ACTIVE.value:
                _end(licence, NOTICE, ACTOR)
                ended += 1
    return ended


def _end(licence: Licence, reason: str, actor: Actor) -> None:
    licences.end(licence=licence, reason=reason, actor=actor)
    _cancel_jobs(licence, actor)
    survival = str(licence.scope.get("survival", "keep"))
    to = AFTER.get(survival)
    count = 0
    if to is not None:
        for output in Output.objects.select_for_update(of=("self",)).filter(licence=licence).order_by("id"):
            if to.value in OUTPUT[output.state]:
                move(output, to, OUTPUT)
                output.save(update_fields=["state"])
                count += 1
    log.record(
        kind="licence.outputs_settled",
        subject=f"licence:{licence.id}",
        actor=actor,
        data={"survival": survival, "outputs": count},
        rehearsal=licence.rehearsal,
    )


def _cancel_jobs(licence: Licence, actor: Actor) -> None:
    """A worker in the middle of one finds its run gone and can publish nothing."""
    ended = errors.LicenceScope("term: the licence has ended", clause="term")
    open_jobs = Job.objects.filter(speech__licence=licence, state__in=[*OPEN_JOB_STATES, JobState.FAILED])
    for job_id in list(open_jobs.order_by("id").values_list("id", flat=True)):
        request, job = jobs.lock_job(job_id)
        if job.state not in (*OPEN_JOB_STATES, JobState.FAILED):
            continue
        jobs.end(request, job, JobState.CANCELLED, ended)
        log.record(
            kind="output.failed",
            subject=f"job:{job.id}",
            actor=actor,
            data={"voice": str(job.voice_id), "code": ended.code},
            rehearsal=job.voice.rehearsal,
        )


def _locked(licence_id: UUID) -> Licence | None:
    """The licence, locked after its consent."""
    consent_id = Licence.objects.filter(id=licence_id).values_list("consent_id", flat=True).first()
    if consent_id is None:
        return None
    Consent.objects.select_for_update(of=("self",)).get(id=consent_id)
    return Licence.objects.select_for_update(of=("self",)).select_related("consent").get(id=licence_id)


def _in_force(licence: Licence) -> None:
    if licence.state != LicenceState.ACTIVE.value or licence.valid_until <= now():
        raise NotInForce
