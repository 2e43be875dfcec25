"""Asking for speech, going on with it, and ending jobs. Each function is one act: one transaction, one leaf, then the
queue. Voices are in `cloning.voices`; their acts have their names here too.

Work is handed to the workers only after commit, and only by id.
"""

import secrets
from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from cloning import approvals, errors, gate, jobs, relay, sketches, streams, texts, topics
from cloning.manner import Manner
from cloning.models import MAX_SEED, Job, JobKind, SpeechRequest, Voice
from cloning.states import JOB, OPEN_JOB_STATES, VOICE, JobState, VoiceState, move
from cloning.voices import destroy_voice, destroy_voices_for_consent, request_voice
from consent.models import Consent
from foundation.audit import log
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from safety.policy import decisions
from safety.policy.models import Stage
from safety.services import hold_text

__all__ = [
    "cancel_jobs_for_consent", "destroy_voice", "destroy_voices_for_consent", "keep_decision", "request_speech",
    "request_voice", "resume_asked", "resume_held", "retry_job",
]  # fmt: skip

# -- speech -----------------------------------------------------------------------------------------------------------


def request_speech(
    *,
    actor: Actor,
    voice_id: UUID,
    text: str,
    language: str,
    seed: int | None = None,
    container: str = "wav",
    rate: int | None = None,
    label_language: str | None = None,
    channel: str = "",
    territory: str = "",
    uses: Collection[str] = (),
    licence_id: UUID | None = None,
    manner: Manner | None = None,
    mask: UUID | None = None,
    instant: bool = False,
    streamed: bool = False,
) -> SpeechRequest:
    """A request to speak ``text``: queued, or held for a moderator or the owner of the voice (``request.job.state``,
    ``request.case_ref``, ``request.approval``).

    ``channel``, ``territory`` and ``uses`` declare what the recording is for; ``licence_id`` says under which of
    several licences. ``manner``: how it is to sound (`cloning.manner`). ``mask``: the id of one of the voice's masks.
    ``instant``: by the voice's instant one (`cloning.instant`) although the trained one is ready.
    ``streamed``: somebody will listen while it is spoken (`cloning.listening`); a held request will be spoken whole.

    ``seed`` 0 to 2**31-1; without one, a random one is drawn and kept. Raises GateRefused (by name), TextInvalid,
    LanguageUnsupported, ContainerUnknown, RateUnknown, MaskHasItsOwn, TooManyStreams. ``rate`` (Hz) is that of the
    actor's tier by default, ``label_language`` (the listener's) that of the text.
    """
    text = texts.check_text(text)
    texts.check_language(language)
    texts.check_container(container)
    if streamed:
        texts.check_streamed(container)
    rate = texts.check_rate(rate, person_id=actor.person_id)
    label_language = texts.label_language(label_language or language)
    texts.check_uses(channel, territory, uses)
    texts.check_masked(manner, mask, instant=instant)
    seed = secrets.randbelow(MAX_SEED + 1) if seed is None else seed
    if not 0 <= seed <= MAX_SEED:
        raise Refused(f"A seed is 0 to {MAX_SEED}.", code="seed_invalid")
    if actor.person_id is None:
        raise NotFound
    text_digest = texts.digest(text)
    with transaction.atomic():
        if streamed:
            streams.check_room(actor.person_id)
        judgement = gate.judge_speech(
            voice_id=voice_id,
            requester_id=actor.person_id,
            text=text,
            text_digest=text_digest,
            language=language,
            channel=channel,
            territory=territory,
            uses=frozenset(uses),
            licence_id=licence_id,
            mask_id=mask,
            instant=instant,
        )
        held = isinstance(judgement.refusal, errors.HeldForModerator | errors.HeldForOwner)
        keep_decision(actor, judgement, text, text_digest, language)
        if judgement.voice is None or (judgement.refusal is not None and not held):
            gate.log_refusal(actor, judgement, purpose="speak")
        else:
            job = Job.objects.create(
                kind=JobKind.SPEAK,
                voice=judgement.voice,
                requester_id=actor.person_id,
                state=JobState.HELD if held else JobState.QUEUED,
                stage="held" if held else "queued",
            )
            request = SpeechRequest.objects.create(
                job=job,
                voice=judgement.voice,
                requester_id=actor.person_id,
                text=text,
                text_digest=text_digest,
                text_sketch=sketches.sketch(text, voice=judgement.voice.id),
                characters=len(text),
                language=language,
                seed=seed,
                container=container,
                rate=rate,
                label_language=label_language,
                licence=judgement.licence,
                channel=channel,
                territory=territory,
                uses=sorted(set(uses)),
                manner=(manner or Manner()).kept(),
                mask_id=mask,
                instant=instant,
            )
            if isinstance(judgement.refusal, errors.HeldForOwner):
                _ask_owner(actor, request, judgement)
            elif held:
                _hold(actor, request, judgement)
            else:
                jobs.reserve(request)
                _log_request(actor, request, judgement, "speech.requested")
                if streamed:
                    streams.asked(request)
                    relay.expect(job.id)
                jobs.enqueue(job)
            return request
    raise judgement.refusal or errors.VoiceUnknown()


def keep_decision(actor: Actor, judgement: gate.Judgement, text: str, text_digest: str, language: str) -> None:
    """What the policy said, when it was asked."""
    if judgement.verdict is not None and judgement.voice is not None and actor.person_id is not None:
        decisions.record(
            verdict=judgement.verdict,
            stage=Stage.REQUEST,
            requester_id=actor.person_id,
            voice_ref=str(judgement.voice.id),
            text=text,
            text_digest=text_digest,
            language=language,
            actor=actor,
        )


def _hold(actor: Actor, request: SpeechRequest, judgement: gate.Judgement) -> None:
    if judgement.verdict is None:
        raise RuntimeError("a hold without a verdict")
    case = hold_text(
        requester_id=request.requester_id,
        voice_ref=str(request.voice_id),
        text=request.text,
        text_digest=request.text_digest,
        verdict=judgement.verdict,
        actor=actor,
    )
    request.case_ref = case.id
    request.save(update_fields=["case_ref"])
    _log_request(actor, request, judgement, "speech.held")


def _ask_owner(actor: Actor, request: SpeechRequest, judgement: gate.Judgement) -> None:
    request.approval = approvals.ask(request, topics=sorted(topics.topics(request.text)))
    request.save(update_fields=["approval"])
    _log_request(actor, request, judgement, "speech.held")


def _log_request(actor: Actor, request: SpeechRequest, judgement: gate.Judgement, kind: str) -> None:
    log.record(
        kind=kind,
        subject=f"speech:{request.id}",
        actor=actor,
        data={
            **gate.basis(judgement),
            "job": str(request.job_id) if request.job_id else None,
            "characters": request.characters,
            "language": request.language,
            "channel": request.channel,
            "territory": request.territory,
            "uses": request.uses,
            "owner_asked": str(request.approval_id) if request.approval_id else None,
            "case": str(request.case_ref) if request.case_ref else None,
            **({"mask": str(request.mask_id)} if request.mask_id else {}),
        },
        rehearsal=request.voice.rehearsal,
    )


def resume_held(*, actor: Actor, case_id: UUID) -> list[SpeechRequest]:
    """After a moderator's decision: asks the gate again for every request the case holds. Returns those moved.

    A yes queues the request, a no ends it as refused, an undecided case leaves it held. Safe to call twice.
    """
    return _resume(actor, SpeechRequest.objects.filter(case_ref=case_id))


def resume_asked(*, actor: Actor, approval_id: UUID) -> list[SpeechRequest]:
    """After the owner's word on a text: the same for every request that waits for it. Safe to call twice."""
    return _resume(actor, SpeechRequest.objects.filter(approval_id=approval_id))


def _resume(actor: Actor, requests: QuerySet[SpeechRequest]) -> list[SpeechRequest]:
    moved = []
    waiting = requests.filter(job__state=JobState.HELD).order_by("created_at")
    for request_id in list(waiting.values_list("id", flat=True)):
        with transaction.atomic():
            judgement = gate.judge_again(SpeechRequest.objects.get(id=request_id))
            request, job = jobs.lock_request(request_id)
            if job.state != JobState.HELD or isinstance(judgement.refusal, errors.HeldForModerator):
                continue
            if isinstance(judgement.refusal, errors.HeldForOwner):
                if request.approval_id is None:
                    request.licence = judgement.licence
                    _ask_owner(actor, request, judgement)
                    request.save(update_fields=["licence"])
                continue
            if judgement.refusal is None:
                _queue_again(actor, request, job, judgement)
            else:
                gate.log_refusal(actor, judgement, purpose="speak")
                jobs.end(request, job, JobState.REFUSED, judgement.refusal)
            moved.append(request)
    return moved


def _queue_again(actor: Actor, request: SpeechRequest, job: Job, judgement: gate.Judgement) -> None:
    request.licence = judgement.licence
    request.save(update_fields=["licence"])
    jobs.reserve(request)
    move(job, JobState.QUEUED, JOB)
    job.stage, job.progress, job.seconds_left = "queued", 0.0, None
    job.error_code, job.error_detail, job.finished_at, job.attempts = "", "", None, 0
    job.save()
    _log_request(actor, request, judgement, "speech.requested")
    jobs.enqueue(job)


# -- jobs -------------------------------------------------------------------------------------------------------------


def retry_job(*, actor: Actor, job_id: UUID) -> Job:
    """Queues a failed job of the actor's own again, after asking the gate again.

    Raises NotFound, IllegalTransition (not failed, or a mask's), GateRefused, JobForgotten (the text is not kept).
    """
    job = Job.objects.filter(id=job_id, requester_id=actor.person_id).first()
    if job is None:
        raise NotFound
    if job.kind == JobKind.MASK:
        raise errors.IllegalTransition("The same mask is not sought twice.", advice="Make another one.")
    if job.kind == JobKind.INSTANT:
        raise errors.IllegalTransition("An instant voice is asked for anew.", advice="POST voices/<id>/instant.")
    return _retry_speech(actor, job) if job.kind == JobKind.SPEAK else _retry_training(actor, job)


def _retry_speech(actor: Actor, job: Job) -> Job:
    peek = SpeechRequest.objects.get(job_id=job.id)
    with transaction.atomic():
        judgement = gate.judge_again(peek)
        request, job = jobs.lock_request(peek.id)
        if job.state != JobState.FAILED:
            raise errors.IllegalTransition(f"Only a failed job can be tried again; this one is '{job.state}'.")
        if not request.text:
            raise errors.JobForgotten()
        if judgement.refusal is None:
            _queue_again(actor, request, job, judgement)
            return job
        gate.log_refusal(actor, judgement, purpose="speak")
    raise judgement.refusal


def _retry_training(actor: Actor, job: Job) -> Job:
    with transaction.atomic():
        judgement = gate.judge_training(
            consent_id=job.voice.consent_id, owner_id=job.voice.owner_id, language=job.voice.language, voice=job.voice
        )
        voice = Voice.objects.select_for_update(of=("self",)).get(id=job.voice_id)
        job = Job.objects.select_for_update(of=("self",)).get(id=job.id)
        if job.state != JobState.FAILED:
            raise errors.IllegalTransition(f"Only a failed job can be tried again; this one is '{job.state}'.")
        if judgement.refusal is None:
            move(voice, VoiceState.TRAINING, VOICE)
            voice.save(update_fields=["state"])
            move(job, JobState.QUEUED, JOB)
            job.stage, job.seconds_left, job.attempts = "queued", None, 0
            job.error_code, job.error_detail, job.finished_at = "", "", None
            job.save()
            log.record(
                kind="voice.requested",
                subject=f"voice:{voice.id}",
                actor=actor,
                data={"consent": str(voice.consent_id), "job": str(job.id), "retry": True},
                rehearsal=voice.rehearsal,
            )
            jobs.enqueue(job)
            return job
        gate.log_refusal(actor, judgement, purpose="train")
    raise judgement.refusal


def cancel_jobs_for_consent(*, consent_id: UUID, actor: Actor) -> list[UUID]:
    """Ends every open job under the consent. A worker in the middle of one finds its run gone and can publish nothing.

    Safe to call twice. The caller holds the transaction in which the consent ends.
    """
    cancelled = []
    ended = errors.ConsentWithdrawn("The consent was withdrawn.")
    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).filter(id=consent_id).first()
        open_jobs = Job.objects.filter(voice__consent_id=consent_id, state__in=[*OPEN_JOB_STATES, JobState.FAILED])
        for job_id in list(open_jobs.order_by("id").values_list("id", flat=True)):
            request, job = jobs.lock_job(job_id)
            if job.state not in (*OPEN_JOB_STATES, JobState.FAILED):
                continue
            jobs.end(request, job, JobState.CANCELLED, ended)
            log.record(
                kind=jobs.FAILED[job.kind],
                subject=f"job:{job.id}",
                actor=actor,
                data={"voice": str(job.voice_id), "code": ended.code},
                rehearsal=job.voice.rehearsal,
            )
            cancelled.append(job.id)
    return cancelled
