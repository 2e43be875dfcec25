"""Asking for an examination, beginning one, writing down what it found. The listening is `consent.examiners`."""

import hashlib
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from consent.models import Challenge, Examination, Recording
from consent.states import (
    CHALLENGE,
    EXAMINATION,
    RECORDING,
    ChallengeState,
    ExaminationState,
    RecordingState,
    move,
)
from foundation.audit import canonical, log
from foundation.clock import now
from foundation.identity.actors import Actor
from retention import custody
from retention.models import CustodyState

ACTOR: Final = Actor.system("consent.examination")
TEMPLATE: Final = "speaker_template"
"""Kind of the custody item that holds the live speaker embedding."""
MAX_ATTEMPTS: Final = 3
"""A third worker that dies over one recording is the recording's fault."""
LOST_AFTER: Final = timedelta(minutes=10)
"""An examination nobody finished by then is sent again: the message, or the worker, was lost."""

PASS, REFUSE, INCONCLUSIVE = "pass", "refuse", "inconclusive"


def request(*, challenge: Challenge | None = None, recording: Recording | None = None) -> Examination:
    """Queues the examination of one of the two, in the caller's transaction; the message leaves on commit."""
    person_id = challenge.person_id if challenge else recording.person_id  # type: ignore[union-attr]
    made = Examination.objects.create(
        person_id=person_id, challenge=challenge, recording=recording, rehearsal=settings.REHEARSAL
    )
    transaction.on_commit(lambda: send(made))
    return made


def send(found: Examination) -> None:
    """Puts the message on the queue."""
    from consent import tasks

    task = tasks.examine_challenge if found.challenge_id else tasks.examine_recording
    task.apply_async(args=[str(found.id)], queue="cpu")


@transaction.atomic
def begin(examination_id: UUID) -> Examination | None:
    """Takes the examination for this worker. None when nothing is to be done: unknown, decided, or given up."""
    found = Examination.objects.select_for_update(of=("self",)).filter(id=examination_id).first()
    if found is None or found.state in (ExaminationState.DONE.value, ExaminationState.FAILED.value):
        return None
    move(found, ExaminationState.RUNNING, EXAMINATION)
    found.attempts += 1
    found.started_at = now()
    found.save(update_fields=["state", "attempts", "started_at"])
    if found.recording_id:
        recording = Recording.objects.select_for_update(of=("self",)).get(id=found.recording_id)
        if recording.state == RecordingState.RECEIVED.value:
            move(recording, RecordingState.EXAMINING, RECORDING)
            recording.save(update_fields=["state"])
    if found.attempts > MAX_ATTEMPTS:
        fail(examination_id, reason="worker_lost")
        return None
    return found


@transaction.atomic
def decide(
    examination_id: UUID,
    *,
    evidence: list[dict[str, Any]],
    verdict: str,
    reason: str,
    advice: dict[str, str],
    template: bytes | None = None,
    seconds: float | None = None,
    state: ExaminationState = ExaminationState.DONE,
) -> None:
    """Writes the verdict to the examination and to what was examined, with its leaf. Only the first decision counts.

    ``template``: the live speaker embedding of a passed challenge, float32 little-endian; sealed beside the answer it
    was made from, so it dies with it.
    """
    found = Examination.objects.select_for_update(of=("self",)).get(id=examination_id)
    if found.state != ExaminationState.RUNNING.value:
        return
    move(found, state, EXAMINATION)
    thing, subject = _settle(found, verdict, template, seconds)
    found.verdict, found.reason, found.advice, found.evidence = verdict, reason, advice, evidence
    found.decided_at = thing.decided_at
    found.leaf_index = log.append(
        kind="examination.decided",
        subject=subject,
        actor=ACTOR,
        data={
            "examination": str(found.id),
            "state": state.value,
            "verdict": verdict,
            "reason": reason,
            "evidence": evidence_digest(evidence),
            "measures": measures(evidence),
        },
        rehearsal=found.rehearsal,
    ).index
    found.save()


def fail(examination_id: UUID, *, reason: str) -> None:
    """No verdict could be reached. It counts as inconclusive: nobody passes because a machine broke."""
    decide(
        examination_id,
        evidence=[],
        verdict=INCONCLUSIVE,
        reason=reason,
        advice={"en": "The examination could not be finished. Record again.", "zh": "检查未能完成，请重新录音。"},
        state=ExaminationState.FAILED,
    )


def send_lost_again() -> int:
    """Sends examinations again whose message or worker was lost. Safe to run at any time."""
    before = now() - LOST_AFTER
    lost = Examination.objects.filter(
        Q(state=ExaminationState.QUEUED.value, created_at__lt=before)
        | Q(state=ExaminationState.RUNNING.value, started_at__lt=before)
    )
    for found in list(lost[:100]):
        send(found)
    return len(lost[:100])


def measures(evidence: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evidence without its details: what was measured, against what, by which model, and what follows."""
    keys = ("kind", "value", "threshold", "verdict", "reason", "model")
    return [{key: item[key] for key in keys} for item in evidence]


def evidence_digest(evidence: list[dict[str, Any]]) -> str:
    """SHA-256 (hex) of the evidence in canonical JSON, details included."""
    return hashlib.sha256(canonical.encode(evidence)).hexdigest()


def _settle(
    found: Examination, verdict: str, template: bytes | None, seconds: float | None
) -> tuple[Challenge | Recording, str]:
    if found.challenge_id:
        challenge = (
            Challenge.objects.select_for_update(of=("self",)).select_related("custody").get(id=found.challenge_id)
        )
        outcome = {PASS: "passed", REFUSE: "refused", INCONCLUSIVE: "inconclusive"}[verdict]
        move(challenge, ChallengeState(outcome), CHALLENGE)
        challenge.decided_at = now()
        if verdict == PASS:
            if template is None or challenge.custody is None or challenge.custody.state != CustodyState.HELD:
                raise ValueError("a challenge passes only with its live template")
            challenge.template = custody.derive(parent=challenge.custody, data=template, kind=TEMPLATE, actor=ACTOR)
        challenge.save(update_fields=["state", "decided_at", "template"])
        return challenge, f"challenge:{challenge.id}"
    recording = Recording.objects.select_for_update(of=("self",)).get(examination=found)
    outcome = {PASS: "passed", REFUSE: "refused", INCONCLUSIVE: "inconclusive"}[verdict]
    move(recording, RecordingState(outcome), RECORDING)
    recording.decided_at, recording.seconds = now(), seconds
    recording.save(update_fields=["state", "decided_at", "seconds"])
    return recording, f"recording:{recording.id}"
