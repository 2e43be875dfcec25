"""People with consents, licences and voices, made through the rooms' own services wherever these do not need sound."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from django.db import transaction

from cloning import gate, services, training
from cloning.masks import making
from cloning.masks import services as masks
from cloning.masks.disturbance import Disturbance
from cloning.masks.models import VoiceMask
from cloning.models import SpeechRequest, Voice
from cloning.worker import claim
from consent import licences
from consent.models import Challenge, Consent, Licence, Recording
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from foundation.vault import services as vault
from retention import custody
from retention.models import CustodyItem
from retention.purposes import Purpose
from safety.services import claim_case, decide_case
from tests.foundation.audit.factories import example

SYSTEM = Actor.system("test")
USES = {"own_use": True, "licence_to_others": True}
TEXT = "The weather is lovely this morning and the train leaves at nine."
HELD_TEXT = "Grandma, I had an accident, please send the money today and do not tell anyone."


def held(person: Person, data: bytes = b"sound", purpose: Purpose = Purpose.TRAINING) -> CustodyItem:
    return custody.receive(stream=[data], purpose=purpose, subject=person, actor=SYSTEM, max_bytes=10**8)


def recording(person: Person, challenge: Challenge, data: bytes, transcript: str, language: str = "en") -> Recording:
    return Recording.objects.create(
        person=person,
        challenge=challenge,
        language=language,
        transcript=transcript,
        state="passed",
        custody=held(person, data),
        decided_at=now(),
    )


def consent(
    person: Person,
    *,
    uses: dict[str, Any] | None = None,
    languages: Sequence[str] = ("en",),
    speech: Sequence[tuple[bytes, str]] = ((b"sound", "what is said"),),
    rehearsal: bool = True,
    days: float = 30,
) -> Consent:
    """A consent in force, as if its examinations had passed."""
    answer = held(person, b"words", Purpose.CHALLENGE)
    challenge = Challenge.objects.create(
        person=person,
        words=["lantern", "meadow"],
        state="passed",
        custody=answer,
        template=custody.derive(parent=answer, data=b"template", kind="speaker_template", actor=SYSTEM),
        expires_at=now() + timedelta(seconds=120),
        answered_at=now(),
        decided_at=now(),
    )
    key = vault.create_key(kind="template", owner_ref=str(person.id), actor=SYSTEM)
    template = vault.store(
        key=key, kind="template", owner_ref=str(person.id), data=b"template", not_after=None, actor=SYSTEM
    )
    with transaction.atomic():
        stated = example("consent.given", person=str(person.id))
        leaf = log.append(kind="consent.given", subject="consent:test", actor=SYSTEM, data=stated, rehearsal=rehearsal)
        made = Consent.objects.create(
            person=person,
            challenge=challenge,
            uses=USES if uses is None else uses,
            languages=list(languages),
            territory="worldwide",
            valid_until=now() + timedelta(days=days),
            text_version="test",
            text_sha256="0" * 64,
            biometric_release="test",
            biometric_sha256="0" * 64,
            evidence=[],
            statement={},
            template_key=key,
            template=template,
            rehearsal=rehearsal,
            leaf_index=leaf.index,
        )
    made.recordings.set([recording(person, challenge, data, transcript) for data, transcript in speech])
    return made


def licence(consent: Consent, licensee: Person, *, cap: int = 1_000, scope: dict[str, Any] | None = None) -> Licence:
    return licences.grant_licence(
        actor=Actor.of(consent.person),
        consent=consent,
        licensee=licensee,
        scope={} if scope is None else scope,
        characters_cap=cap,
        valid_until=now() + timedelta(days=7),
    )


def voice(owner: Person, under: Consent, *, name: str = "Mine", weights: bytes = b"weights") -> Voice:
    """A ready voice: requested, cleared and sealed as a worker does it, only without an engine."""
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name=name, language="en")
    run = claim(made.jobs.get().id)
    assert run is not None
    token = gate.clear_training(actor=SYSTEM, voice=made, digest=made.training_digest)
    training._publish(run, made, token, made.training_digest, weights)
    made.refresh_from_db()
    return made


def mask(voice: Voice, *, name: str = "Stage", style: Any = None) -> VoiceMask:
    """A ready mask: asked for, and published as a worker does it, only without a search."""
    made = masks.request_mask(actor=Actor.of(voice.owner), voice_id=voice.id, name=name, seed=1)
    run = claim(made.job_id)
    assert run is not None
    moves = np.zeros(4, np.float32) if style is None else style
    making._publish(run, made, making.Found(Disturbance(3.0, -2.0, 1.6), moves, 0.61234, 0.55))
    made.refresh_from_db()
    return made


def decided(request: SpeechRequest, *, by: Person, decision: str = "allow") -> None:
    """The moderator ``by`` takes the case that holds the request's text and decides it; nothing resumes it yet."""
    actor = Actor.of(by)
    claim_case(actor=actor, case_id=request.case_ref, interested=())
    decide_case(
        actor=actor, case_id=request.case_ref, decision=decision, reason="seen", clause="policy.context", interested=()
    )
