"""Asking for an examination, beginning one, writing down what it found. The listening is `consent.examiners`.

A live voice that resembles a protected or enrolled one is held for a moderator, with everything else already passed;
the decision of the case then settles it. An upload whose voice does is not held: it is sent again after the decision.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from consent import fingerprints
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
from safety import matches
from safety.protected import Match
from safety.states import Decision

ACTOR: Final = Actor.system("consent.examination")
TEMPLATE: Final = "speaker_template"
"""Kind of the custody item that holds the live speaker embedding."""
MAX_ATTEMPTS: Final = 3
"""A third worker that dies over one recording is the recording's fault."""
LOST_AFTER: Final = timedelta(minutes=10)
"""An examination nobody finished by then is sent again: the message, or the worker, was lost."""

PASS, REFUSE, INCONCLUSIVE = "pass", "refuse", "inconclusive"
UNFINISHED: Final = {"en": "The examination could not be finished. Record again.", "zh": "检查未能完成，请重新录音。"}
VOICE_SEARCH: Final = "voice_search"
"""Kind of the evidence that says whether the voice resembles one that is protected, or enrolled by somebody else. It
says yes or no and nothing of whom: the uploader reads it."""
HELD_REASON: Final = "moderator_looks"
SEARCH_ADVICE: Final = {
    HELD_REASON: {
        "en": "A moderator looks at this before you can go on. You need not do anything: come back later.",
        "zh": "需由审核人员查看后才能继续。您无需操作，请稍后再来。",
    },
    "refused_by_moderator": {
        "en": "A moderator decided that this voice cannot be cloned from this account. You may ask for the decision to "
        "be looked at again.",
        "zh": "审核人员决定：该账户不能克隆此声音。您可以申请复核。",
    },
}
UPLOAD_ADVICE: Final = {
    "en": "A moderator looks at this voice before the recording can be used. Send it again when that is done.",
    "zh": "需由审核人员查看该声音后才能使用此录音。完成后请重新发送。",
}


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
    if found is None or found.state not in (ExaminationState.QUEUED.value, ExaminationState.RUNNING.value):
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
    fingerprint: bytes | None = None,
    seconds: float | None = None,
    state: ExaminationState = ExaminationState.DONE,
    found_like: Sequence[Match] = (),
) -> None:
    """Writes the verdict to the examination and to what was examined, with its leaf. Only the first decision counts.

    ``template``: the live speaker embedding of a passed challenge, float32 little-endian. It and ``fingerprint`` are
    sealed beside the recording they were made from, so they die with it. ``found_like``: whom the voice of an upload
    resembles; its case is opened, or joined, with the verdict.
    """
    found = Examination.objects.select_for_update(of=("self",)).get(id=examination_id)
    if found.state != ExaminationState.RUNNING.value:
        return
    _keep_fingerprint(found, fingerprint)
    if found_like:
        found.case_ref = matches.open_match(person_id=found.person_id, matches=found_like, actor=ACTOR).id
    _write(found, evidence, verdict, reason, advice, template, seconds, state)


@transaction.atomic
def hold(
    examination_id: UUID,
    *,
    evidence: list[dict[str, Any]],
    found_like: Sequence[Match],
    template: bytes,
    fingerprint: bytes | None = None,
) -> None:
    """Everything passed but the voice resembles another: a moderator looks first. Opens the case, or joins it."""
    found = Examination.objects.select_for_update(of=("self",)).get(id=examination_id)
    if found.state != ExaminationState.RUNNING.value or found.challenge_id is None:
        return
    challenge = _lock_challenge(found.challenge_id)
    move(found, ExaminationState.HELD, EXAMINATION)
    move(challenge, ChallengeState.HELD, CHALLENGE)
    _keep_template(challenge, template)
    challenge.save(update_fields=["state", "template"])
    _keep_fingerprint(found, fingerprint)
    case = matches.open_match(person_id=found.person_id, matches=found_like, actor=ACTOR)
    found.case_ref, found.evidence = case.id, evidence
    found.reason, found.advice = HELD_REASON, SEARCH_ADVICE[HELD_REASON]
    found.save(update_fields=["state", "case_ref", "evidence", "reason", "advice"])
    log.record(
        kind="examination.held",
        subject=f"challenge:{challenge.id}",
        actor=ACTOR,
        data={"examination": str(found.id), "case": str(case.id), "evidence": evidence_digest(evidence)},
        rehearsal=found.rehearsal,
    )


def settle_held(*, case_id: UUID | None = None) -> int:
    """Ends held examinations whose case is decided (of one case, or all), and those whose recording ran out first.

    Returns how many. Safe to run at any time, by several workers.
    """
    settled = 0
    held = Examination.objects.filter(state=ExaminationState.HELD.value)
    if case_id is not None:
        held = held.filter(case_ref=case_id)
    for examination_id in list(held.values_list("id", flat=True)):
        with transaction.atomic():
            found = held.select_for_update(skip_locked=True, of=("self",)).filter(id=examination_id).first()
            settled += found is not None and _settle_held(found)
    return settled


def _settle_held(found: Examination) -> bool:
    if found.challenge is None:
        raise ValueError("only a challenge is held")
    answer = found.challenge.custody
    readable = answer is not None and answer.state == CustodyState.HELD and now() < answer.deadline
    decision = matches.decision_of(found.case_ref) if found.case_ref else ""
    if readable and not decision:
        return False
    if not readable:
        _write(found, found.evidence, INCONCLUSIVE, "past_deadline", UNFINISHED, None, None, ExaminationState.FAILED)
    elif decision == Decision.ALLOW:
        evidence = _after_decision(found.evidence, PASS, "allowed_by_moderator")
        _write(found, evidence, PASS, "ok", {}, None, None, ExaminationState.DONE)
    else:
        reason = "refused_by_moderator"
        evidence = _after_decision(found.evidence, REFUSE, reason)
        _write(found, evidence, REFUSE, reason, SEARCH_ADVICE[reason], None, None, ExaminationState.DONE)
    return True


def _after_decision(evidence: list[dict[str, Any]], verdict: str, reason: str) -> list[dict[str, Any]]:
    changed = {"verdict": verdict, "reason": reason, "advice": SEARCH_ADVICE.get(reason, {})}
    return [one | changed if one["kind"] == VOICE_SEARCH else one for one in evidence]


def _write(
    found: Examination,
    evidence: list[dict[str, Any]],
    verdict: str,
    reason: str,
    advice: dict[str, str],
    template: bytes | None,
    seconds: float | None,
    state: ExaminationState,
) -> None:
    """The verdict of a locked examination."""
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
        advice=UNFINISHED,
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
        challenge = _lock_challenge(found.challenge_id)
        outcome = {PASS: "passed", REFUSE: "refused", INCONCLUSIVE: "inconclusive"}[verdict]
        move(challenge, ChallengeState(outcome), CHALLENGE)
        challenge.decided_at = now()
        if verdict == PASS and challenge.template_id is None:
            _keep_template(challenge, template)
        challenge.save(update_fields=["state", "decided_at", "template"])
        return challenge, f"challenge:{challenge.id}"
    recording = Recording.objects.select_for_update(of=("self",)).get(examination=found)
    outcome = {PASS: "passed", REFUSE: "refused", INCONCLUSIVE: "inconclusive"}[verdict]
    move(recording, RecordingState(outcome), RECORDING)
    recording.decided_at, recording.seconds = now(), seconds
    recording.save(update_fields=["state", "decided_at", "seconds"])
    return recording, f"recording:{recording.id}"


def _keep_fingerprint(found: Examination, fingerprint: bytes | None) -> None:
    thing = found.challenge or found.recording
    item = thing.custody if thing else None
    if fingerprint is not None and item is not None and item.state == CustodyState.HELD and now() < item.deadline:
        fingerprints.keep(of=item, fingerprint=fingerprint, actor=ACTOR)


def _lock_challenge(challenge_id: UUID) -> Challenge:
    return Challenge.objects.select_for_update(of=("self",)).select_related("custody").get(id=challenge_id)


def _keep_template(challenge: Challenge, template: bytes | None) -> None:
    if template is None or challenge.custody is None or challenge.custody.state != CustodyState.HELD:
        raise ValueError("a challenge passes only with its live template")
    challenge.template = custody.derive(parent=challenge.custody, data=template, kind=TEMPLATE, actor=ACTOR)
