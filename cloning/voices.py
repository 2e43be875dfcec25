"""Asking for voices and destroying them. Each function is one act: one transaction, one leaf, then the queue."""

import uuid
from uuid import UUID

from django.db import IntegrityError, transaction

from cloning import bases, errors, gate, jobs, texts
from cloning.engine.versions import STARTER
from cloning.masks import ending as masks
from cloning.models import MAX_NAME, Job, JobKind, Output, TrainingItem, Voice
from cloning.selectors import digest_of, training_recordings
from cloning.states import OUTPUT, VOICE, OutputState, VoiceState, move
from consent.models import Consent
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from foundation.vault import services as vault


def request_voice(*, actor: Actor, consent_id: UUID, name: str, language: str, version: str = STARTER) -> Voice:
    """A voice from the recordings its consent names, and the queued job that trains it (``voice.jobs``).

    Raises NotFound (unknown or foreign consent), GateRefused, NoRecordings, VoiceExists, LanguageUnsupported,
    VersionUnknown, VersionNotOffered, BaseIncomplete.
    """
    texts.check_language(language)
    bases.check_version(version)
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Refused(f"A voice's name has 1 to {MAX_NAME} characters.", code="name_invalid")
    if actor.person_id is None:
        raise NotFound
    with transaction.atomic():
        judgement = gate.judge_training(consent_id=consent_id, owner_id=actor.person_id, language=language)
        if judgement.refusal is not None:
            gate.log_refusal(actor, judgement, purpose="train")
        elif judgement.consent is not None:
            return _make_voice(actor, judgement.consent, name, language, version)
    raise judgement.refusal or errors.NoConsent()


def _make_voice(actor: Actor, consent: Consent, name: str, language: str, version: str) -> Voice:
    recordings = training_recordings(consent, language=language)
    if not recordings:
        raise errors.NoRecordings()
    voice_id = uuid.uuid4()
    try:
        with transaction.atomic():
            voice = Voice.objects.create(
                id=voice_id,
                owner_id=consent.person_id,
                consent=consent,
                name=name,
                language=language,
                version=version,
                training_digest=digest_of(recordings),
                key=vault.create_key(kind="voice", owner_ref=str(voice_id), actor=actor),
                rehearsal=consent.rehearsal,
            )
    except IntegrityError as error:
        raise errors.VoiceExists() from error
    TrainingItem.objects.bulk_create(
        TrainingItem(voice=voice, recording=recording, position=n) for n, recording in enumerate(recordings)
    )
    job = Job.objects.create(kind=JobKind.TRAIN, voice=voice, requester_id=consent.person_id, stage="queued")
    log.record(
        kind="voice.requested",
        subject=f"voice:{voice.id}",
        actor=actor,
        data={
            "consent": str(consent.id),
            "job": str(job.id),
            "training_digest": voice.training_digest,
            "language": language,
            "version": version,
        },
        rehearsal=voice.rehearsal,
    )
    jobs.enqueue(job)
    return voice


def destroy_voices_for_consent(*, consent_id: UUID, actor: Actor) -> list[UUID]:
    """Destroys the key of every voice under the consent and revokes what they spoke. Returns the voices destroyed now.

    Safe to call twice. The caller holds the transaction in which the consent ends.
    """
    destroyed = []
    with transaction.atomic():
        for voice in Voice.objects.select_for_update(of=("self",)).filter(consent_id=consent_id).order_by("id"):
            if voice.state == VoiceState.DESTROYED:
                continue
            _destroy(voice, reason="consent_ended", actor=actor)
            destroyed.append(voice.id)
    return destroyed


def destroy_voice(*, voice_id: UUID, actor: Actor, reason: str) -> bool:
    """Destroys one voice's key and revokes what it spoke; its consent stands. Whether it was destroyed just now.

    For what two moderators decided (`vouch.desk.effects`). Safe to repeat; nothing for a voice that is none.
    """
    with transaction.atomic():
        voice = Voice.objects.select_for_update(of=("self",)).filter(id=voice_id).first()
        if voice is None or voice.state == VoiceState.DESTROYED:
            return False
        _destroy(voice, reason=reason, actor=actor)
    return True


def _destroy(voice: Voice, *, reason: str, actor: Actor) -> None:
    """A locked voice ends: its state, its outputs, its key, its leaf."""
    move(voice, VoiceState.DESTROYED, VOICE)
    voice.destroyed_at = now()
    voice.save(update_fields=["state", "destroyed_at"])
    revoked = _revoke_outputs(voice)
    masks.end_all(voice)
    vault.destroy_key(key=voice.key, reason=reason, actor=actor)
    log.record(
        kind="voice.destroyed",
        subject=f"voice:{voice.id}",
        actor=actor,
        data={"consent": str(voice.consent_id), "outputs_revoked": revoked},
        rehearsal=voice.rehearsal,
    )


def _revoke_outputs(voice: Voice) -> int:
    outputs = Output.objects.select_for_update(of=("self",)).filter(voice=voice).exclude(state=OutputState.REVOKED)
    for output in outputs:
        move(output, OutputState.REVOKED, OUTPUT)
        output.save(update_fields=["state"])
    return len(outputs)
