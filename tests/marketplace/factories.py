"""Voices under a consent, as the rooms below leave them, without the ceremony and the engine that make real ones."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from cloning import metering
from cloning.models import Job, Output, SpeechRequest, Usage, Voice
from consent import licences
from consent.models import Challenge, Consent, Licence
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from foundation.vault import services as vault
from foundation.vault.models import SealedObject, VaultKey
from marketplace import showcase
from marketplace.models import Listing

SYSTEM = Actor.system("test")
USES = {"own_use": True, "licence_to_others": True}


def sealed(owner_ref: str) -> tuple[VaultKey, SealedObject]:
    key = vault.create_key(kind="template", owner_ref=owner_ref, actor=SYSTEM)
    thing = vault.store(key=key, kind="template", owner_ref=owner_ref, data=b"x", not_after=None, actor=SYSTEM)
    return key, thing


def consent_of(person: Person, **fields: Any) -> Consent:
    moment = now()
    challenge = Challenge.objects.create(person=person, words=["one"], state="expired", expires_at=moment)
    key, template = sealed(f"consent:{challenge.id}")
    values: dict[str, Any] = {
        "uses": USES,
        "languages": ["en"],
        "territory": "worldwide",
        "valid_until": moment + timedelta(days=100),
        "text_version": "en-1",
        "text_sha256": "0" * 64,
        "biometric_release": "biometric-en-1",
        "biometric_sha256": "0" * 64,
        "evidence": [],
        "statement": {},
        "template_key": key,
        "template": template,
        "rehearsal": False,
        "leaf_index": 0,
    }
    return Consent.objects.create(person=person, challenge=challenge, **{**values, **fields})


def ready_voice(owner: Person, *, voice_state: str = "ready", rehearsal: bool = False, **consent: Any) -> Voice:
    ground = consent_of(owner, rehearsal=rehearsal, **consent)
    key, weights = sealed(f"voice:{ground.id}")
    return Voice.objects.create(
        owner=owner,
        consent=ground,
        name="A voice",
        language="en",
        state=voice_state,
        training_digest="0" * 64,
        key=key,
        weights=weights,
        rehearsal=rehearsal,
        ready_at=now(),
        destroyed_at=now() if voice_state == "destroyed" else None,
    )


def speech_of(
    voice: Voice, requester: Person, *, characters: int = 20, case: UUID | None = None, **fields: Any
) -> SpeechRequest:
    job = Job.objects.create(kind="speak", voice=voice, requester=requester, **fields)
    return SpeechRequest.objects.create(
        job=job,
        voice=voice,
        requester=requester,
        text="x" * characters,
        text_digest="0" * 64,
        characters=characters,
        language="en",
        seed=1,
        container="wav",
        case_ref=case,
    )


def spoken(voice: Voice, requester: Person, *, characters: int, licence: Licence | None = None) -> Usage:
    """A metered use, as the worker leaves it: settled, numbered, in the log, sealed."""
    request = speech_of(voice, requester, characters=characters, state="succeeded")
    _, thing = sealed(f"output:{request.id}")
    output_id, licence_id = uuid4(), licence.id if licence else None
    with transaction.atomic():
        if licence_id:
            licences.reserve(licence_id=licence_id, characters=characters, milliseconds=1_500, outputs=1)
            licences.settle(
                licence_id=licence_id, characters=characters, reserved_ms=1_500, milliseconds=1_500, outputs=1
            )
        place = metering.meter(
            owner_id=voice.owner_id, output_id=output_id, licence_id=licence_id, characters=characters, seconds=1.5
        )
        leaf = log.append(
            kind="output.sealed",
            subject=f"output:{output_id}",
            actor=SYSTEM,
            data={
                "voice": str(voice.id),
                "consent": str(voice.consent_id),
                "licence": str(licence_id) if licence_id else None,
                "job": str(request.job_id),
                "sha256": "0" * 64,
                "characters": characters,
                "payload_commitment": "0" * 64,
                "label_seconds": 0.5,
                "mark_score": 1.0,
                "usage": place.commitment,
            },
        )
        output = Output.objects.create(
            id=output_id, request=request, voice=voice, licence=licence, requester=requester, sealed=thing,
            media_type="audio/wav", sha256="0" * 64, seconds=2.0, label_seconds=0.5, mark_payload=leaf.index,
            provenance={}, leaf_index=leaf.index, rehearsal=voice.rehearsal,
        )  # fmt: skip
        usage = Usage.objects.create(
            output=output, licence=licence, consent=voice.consent, characters=characters, seconds=1.5,
            created_at=place.at,
        )  # fmt: skip
        metering.write(place, usage=usage, leaf_index=leaf.index)
    return usage


def used(voice: Voice, requester: Person, *, characters: int, licence: Licence | None = None, mark: int = 1) -> Usage:
    request = speech_of(voice, requester, characters=characters, state="succeeded")
    _, thing = sealed(f"output:{request.id}")
    output = Output.objects.create(
        request=request,
        voice=voice,
        licence=licence,
        requester=requester,
        sealed=thing,
        media_type="audio/wav",
        sha256="0" * 64,
        seconds=1.5,
        label_seconds=0.5,
        mark_payload=mark,
        provenance={},
        leaf_index=0,
        rehearsal=voice.rehearsal,
    )
    return Usage.objects.create(
        output=output, licence=licence, consent=voice.consent, characters=characters, seconds=1.5
    )


def preview_for(
    voice: Voice, sound: bytes = b"x", *, seconds: float = 4.0, label: float = 0.5, **fields: Any
) -> Output:
    """A recording by the voice's owner, as it can be a preview."""
    request = speech_of(voice, voice.owner, state="succeeded")
    key = vault.create_key(kind="output", owner_ref=f"output:{request.id}", actor=SYSTEM)
    thing = vault.store(
        key=key, kind="output", owner_ref=f"output:{request.id}", data=sound, not_after=None, actor=SYSTEM
    )
    values: dict[str, Any] = {
        "request": request, "voice": voice, "requester": voice.owner, "sealed": thing, "media_type": "audio/wav",
        "sha256": "0" * 64, "seconds": seconds, "label_seconds": label, "mark_payload": uuid4().int % 2**48,
        "provenance": {}, "leaf_index": 0, "rehearsal": voice.rehearsal,
    }  # fmt: skip
    return Output.objects.create(**{**values, **fields})


def heard(listing: Listing) -> Listing:
    """The listing as a review leaves it, without a moderator: for tests of what comes after."""
    listing.preview, listing.review, listing.reviewed_at = preview_for(listing.voice), "published", now()
    listing.save(update_fields=["preview", "review", "reviewed_at"])
    return listing


def published(listing: Listing, moderator: Person, sound: bytes = b"x") -> Listing:
    """The listing as it stands in the shop: with a preview a moderator has heard."""
    preview = preview_for(listing.voice, sound)
    showcase.ask_review(actor=Actor.of(listing.owner), listing_id=listing.id, preview_id=preview.id)
    return showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=True)
