"""Speaking a text, as a worker does it: the gate, the vault, the engine, the seal. Runs in a worker only.

The voice in the clear and the unmarked sound exist in this process's memory and nowhere else; what leaves is what
`watermark.seal` returns. Output, use, licence and leaf become true in one transaction, or none of them does.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cloning import drift, gate, instant, jobs, membership, metering, mounted, streams
from cloning.batches import narration
from cloning.engine.versions import STARTER
from cloning.errors import VoiceNotReady
from cloning.manner import Manner
from cloning.masks import wearing
from cloning.models import Output, SpeechRequest, Usage
from cloning.worker import Reporter, Run, RunLost
from consent.models import Consent
from foundation import certificates, keys
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from safety.policy import decisions
from watermark import status
from watermark.services import issue_mark, record_sound

if TYPE_CHECKING:
    from cloning.engine.shift import Wave
    from cloning.engine.synthesis import Speech
    from cloning.engine.synthesis import SpeechRequest as EngineRequest
    from cloning.engine.tts.request import TtsRequest
    from cloning.engine.tts.synthesiser import Speech as MountedSpeech
    from cloning.masks.wearing import Worn
    from foundation.vault.models import SealedObject
    from safety.policy.facts import Value
    from watermark.companion import Companion
    from watermark.models import IssuedMark
    from watermark.seal import Sealed

ACTOR: Final = Actor.system("cloning.speak")
SYNTHESIS_SHARE: Final = 0.9
"""How much of the progress bar synthesis takes; the rest is sealing."""


def speak(run: Run) -> None:
    """Speaks the job's request. Raises what the gate, the vault, the engine and the seal refuse,
    RateUnknown (the requester is no member any more), and RunLost."""
    request = asked(run)
    report = Reporter(run)
    report("opening the voice", 0.0)
    data = opened(request)
    mask = wearing.worn(request)
    speech = _shifted(_synthesise(data, request, mask, report), mask)
    del data
    report("marking and labelling", SYNTHESIS_SHARE)
    heard = drift.listen_to(speech.pcm, speech.rate, request)
    output_id = uuid.uuid4()
    mark = issue_mark(output_ref=str(output_id), rehearsal=request.voice.rehearsal)
    sealed = _seal(speech, request, mark, output_id)
    publish(run, request.id, output_id, mark, sealed, speech.seconds, heard)


def asked(run: Run) -> SpeechRequest:
    """The run's request, with all that speaking it takes."""
    return SpeechRequest.objects.select_related("voice", "voice__weights", "stream", "mask__style").get(
        job_id=run.job_id
    )


def opened(request: SpeechRequest) -> bytes:
    """The voice in the clear, against a clearance for exactly this text. Raises what gate and vault refuse."""
    token = gate.clear_speech(actor=ACTOR, request=request)
    weights = instant.chosen(request)
    if weights is None:
        raise VoiceNotReady
    return vault.open_voice(clearance=token, sealed_object=weights, digest=request.text_digest, actor=ACTOR)


def _synthesise(data: bytes, request: SpeechRequest, mask: Worn, report: Reporter) -> Speech | MountedSpeech:
    """The whole text, or a narration's lines joined."""
    say = _opened(data, request, mask)
    lines = narration.parts(request)
    if not lines:
        return say(request.text, lambda share: report("speaking", share * SYNTHESIS_SHARE))

    def line(n: int, text: str) -> tuple[Wave, int]:
        said = say(text, lambda share: report("speaking", (n + share) / len(lines) * SYNTHESIS_SHARE))
        return said.pcm, said.rate

    pcm, rate, placed = narration.joined(lines, line)
    narration.keep_places(request, placed)
    from cloning.engine.synthesis import Speech

    return Speech(pcm=pcm, rate=rate, seconds=len(pcm) / rate, doubtful=0)


def _opened(
    data: bytes, request: SpeechRequest, mask: Worn
) -> Callable[[str, Callable[[float], None]], Speech | MountedSpeech]:
    """What says a text in the request's voice and manner, and tells how far it is (0 to 1)."""
    import torch

    from cloning.engine import bases, synthesis, voicefile
    from cloning.engine.disguise import disguised

    torch.set_num_threads(settings.VOUCH_TRAINING_THREADS)
    version = request.voice.version
    if version != STARTER:

        def mounted_says(text: str, progress: Callable[[float], None]) -> MountedSpeech:
            return mounted.deployed(version).speak(version, data, for_mounted(request, text), progress=progress)

        return mounted_says
    voice = voicefile.unpack(data, base=bases.shipped)
    if mask.style is not None:
        voice = disguised(voice, mask.style)

    def says(text: str, progress: Callable[[float], None]) -> Speech:
        return synthesis.synthesise(voice, for_starter(request, text), progress=progress)

    return says


def for_starter(request: SpeechRequest, text: str) -> EngineRequest:
    """A text of the request as the engine takes it for starter voices."""
    from cloning.engine import synthesis

    how = Manner.of(request.manner).for_engine()
    return synthesis.SpeechRequest(text=text, language=request.language, seed=request.seed, **how)


def for_mounted(request: SpeechRequest, text: str) -> TtsRequest:
    """A text of the request as the engine takes it for voices of mounted versions."""
    from cloning.engine.tts.request import TtsRequest

    return TtsRequest(
        text=text,
        text_lang=request.language,
        seed=request.seed,
        sample_steps=settings.VOUCH_FLOW_STEPS,
        **Manner.of(request.manner).for_tts(),
    )


def _shifted(speech: Speech | MountedSpeech, mask: Worn) -> Speech | MountedSpeech:
    """Before anybody listens and before the mark: what is compared and marked is what will be heard."""
    from cloning.engine.shift import shifted

    return replace(speech, pcm=shifted(speech.pcm, speech.rate, **mask.shift))


def _seal(speech: Speech | MountedSpeech, request: SpeechRequest, mark: IssuedMark, output_id: UUID) -> Sealed:
    from watermark.seal import seal

    told = terms(request, mark, output_id)
    return seal(speech.pcm, speech.rate, companion=second_mark(), **told)


def terms(request: SpeechRequest, mark: IssuedMark, output_id: UUID) -> dict[str, Any]:
    """What both doors out, `watermark.seal` and `watermark.stream`, are told of an output to be. Raises RateUnknown."""
    from watermark.labels.manifest import Credential
    from watermark.labels.profile import load_profile

    # Asked again: a membership that ended meanwhile has nothing sealed at its rates.
    membership.check_delivery(request.rate, person_id=request.requester_id)
    certificate = certificates.load(settings.VOUCH_KEYS)
    return {
        "payload": mark.payload,
        "mark_key": keys.secret("mark"),
        "label_profile": load_profile(settings.VOUCH_LABEL_PROFILE),
        "language": request.label_language,
        "content_id": str(output_id),
        "provider_code": settings.VOUCH_PROVIDER_CODE,
        "created": now(),
        "sign": _sign,
        "verify": _verify,
        "credential": Credential(
            certificate.private_key, certificate.chain, certificate.roots, settings.VOUCH_TIME_STAMP_URL
        ),
        "rehearsal": request.voice.rehearsal,
        "container": request.container,
        "output_rate": request.rate,
        "claims": _claims(request, mark),
    }


def second_mark() -> Companion | None:
    """How second marks are made and read here; None where the deployment has none."""
    from watermark.companion import Companion

    if settings.VOUCH_AUDIOWMARK == "off":
        return None
    return Companion(
        secret=keys.secret("mark"),
        program=settings.VOUCH_AUDIOWMARK == "program",
        from_seconds=settings.VOUCH_AUDIOWMARK_SECONDS,
    )


def _claims(request: SpeechRequest, mark: IssuedMark) -> dict[str, Any]:
    """What the credential says beside the seal's own facts: nothing that names a person, a voice or a licence."""
    consent = str(request.voice.consent_id)
    claims: dict[str, Any] = {
        "consent_sha256": hashlib.sha256(consent.encode()).hexdigest(),
        "status": status.entry(mark.pk),
    }
    if request.licence_id is not None:
        claims["licence_sha256"] = hashlib.sha256(str(request.licence_id).encode()).hexdigest()
    note = decisions.label_of(
        text_digest=request.text_digest, voice_ref=str(request.voice_id), requester_id=request.requester_id
    )
    if note:
        claims["content_note"] = note
    if request.mask_id is not None:
        claims["voice_mask"] = True
    if request.instant:
        claims["instant_voice"] = True
    return claims


def _provenance(sealed: Sealed) -> dict[str, Any]:
    """The statement and its signature; with them the manifest that the container has no place for."""
    if sealed.sidecar is None:
        return sealed.provenance
    return {**sealed.provenance, "c2pa": base64.b64encode(sealed.sidecar).decode("ascii")}


def _sign(message: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(keys.private_key("provenance")).sign(message)


def _verify(signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(keys.public_key("provenance")).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def publish(
    run: Run,
    request_id: UUID,
    output_id: UUID,
    mark: IssuedMark,
    sealed: Sealed,
    speech_seconds: float,
    heard: dict[str, Value] | None = None,
    left_early: str = "",
) -> None:
    """Stores the output, then makes output, use, licence and leaf true in one transaction. Raises RunLost.

    The file is written first: from the first leaf to the commit nobody else can write to the log. Until there is an
    ``Output`` row nothing leads to the file, and its key is destroyed when there will be none. ``left_early``: why a
    stream was not heard to its end.
    """
    key = vault.create_key(kind="output", owner_ref=str(output_id), actor=ACTOR)
    try:
        stored = vault.store(
            key=key, kind="output", owner_ref=str(output_id), data=sealed.data, not_after=None, actor=ACTOR
        )
        _make_true(run, request_id, output_id, mark, sealed, stored, speech_seconds, heard, left_early)
    except Exception:
        vault.destroy_key(key=key, reason="not_published", actor=ACTOR)
        raise


def _make_true(
    run: Run,
    request_id: UUID,
    output_id: UUID,
    mark: IssuedMark,
    sealed: Sealed,
    stored: SealedObject,
    speech_seconds: float,
    heard: dict[str, Value] | None,
    left_early: str,
) -> None:
    """Under the consent's lock: a withdrawal that came first has taken the run away, a later one revokes the output."""
    consent_id = SpeechRequest.objects.values_list("voice__consent_id", flat=True).get(id=request_id)
    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).get(id=consent_id)
        request, job = jobs.lock_request(request_id)
        if job.run != run.token:
            raise RunLost(str(run.job_id))
        rehearsal, text = request.voice.rehearsal, request.text
        jobs.settle(request, seconds=speech_seconds)
        jobs.forget_text(request)
        jobs.succeed(job)
        streams.sealed(request, seconds=speech_seconds, left_early=left_early)
        metered = metering.meter(
            owner_id=request.voice.owner_id,
            output_id=output_id,
            licence_id=request.licence_id,
            characters=request.characters,
            seconds=speech_seconds,
        )
        leaf = log.append(
            kind="output.sealed",
            subject=f"output:{output_id}",
            actor=ACTOR,
            data={
                "voice": str(request.voice_id),
                "consent": str(consent_id),
                "licence": str(request.licence_id) if request.licence_id else None,
                "job": str(job.id),
                "sha256": sealed.sha256,
                "characters": request.characters,
                "payload_commitment": sealed.provenance["statement"]["payload_commitment"],
                "label_seconds": sealed.label_seconds,
                "mark_score": round(sealed.mark_score, 3),
                "usage": metered.commitment,
                **({"mask": str(request.mask_id)} if request.mask_id else {}),
                **({"instant": True} if request.instant else {}),
            },
            rehearsal=rehearsal,
        )
        output = Output.objects.create(
            id=output_id,
            request=request,
            voice_id=request.voice_id,
            licence_id=request.licence_id,
            requester_id=request.requester_id,
            sealed=stored,
            media_type=sealed.media_type,
            sha256=sealed.sha256,
            seconds=speech_seconds + sealed.label_seconds,
            label_seconds=sealed.label_seconds,
            mark_payload=mark.payload,
            provenance=_provenance(sealed),
            leaf_index=leaf.index,
            rehearsal=rehearsal,
        )
        record_sound(
            mark=mark,
            print_of_sound=sealed.print_of_sound,
            strength_db=sealed.mark_strength,
            score=sealed.mark_score,
            voice_note_score=sealed.voice_note_score,
        )
        usage = Usage.objects.create(
            output=output,
            licence_id=request.licence_id,
            consent_id=consent_id,
            characters=request.characters,
            seconds=speech_seconds,
            created_at=metered.at,
        )
        metering.write(metered, usage=usage, leaf_index=leaf.index)
        drift.judge(output=output, request=request, text=text, heard=heard)
