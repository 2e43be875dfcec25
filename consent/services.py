"""Giving consent, taking it back, its end by term. Each commits together with its leaf in the log, or not at all."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from consent import agreements, examination, licences
from consent.errors import (
    ChallengeUsed,
    ConsentEnded,
    ConsentInvalid,
    PersonRestricted,
    RecordingNotPassed,
    RehearsalOnly,
    ReleaseMissing,
    TooLittleSpeech,
)
from consent.models import MAX_TERM_DAYS, Challenge, Consent, Recording
from consent.prompts import LANGUAGES
from consent.recordings import passed_challenge
from consent.selectors import own_id
from consent.states import CONSENT, ConsentState, RecordingState, move
from foundation.audit import canonical, log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from retention import custody
from retention.models import CustodyItem
from safety.selectors import active_restrictions

USES: Final = (
    "own_use",
    "licence_to_others",
    "cross_lingual",
    "advertising",
    "political",
    "adult",
    "singing",
    "voice_mask",
)
"""What a person may allow, each by its own yes. What is not named is not allowed."""
WORLDWIDE: Final = "worldwide"
MAX_TERRITORY: Final = 50
"""Countries a consent may name (ISO 3166-1 alpha-2, separated by commas)."""
TEMPLATE_LIMIT: Final = timedelta(days=3 * 365)
"""A voice template is kept three years at most, whatever the term (740 ILCS 14/15; our own release says the same)."""
MIN_TRAINING_SECONDS: Final = 30.0
"""Seconds of recordings a consent names, together: the least a voice can be trained on."""
KIND: Final = "vouch-consent-1"
SWEEPER: Final = Actor.system("consent.sweep")


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that ended with a consent: what (``consent.withdrawn``, ``licence.ended``…), which, and when."""

    what: str
    ref: str
    at: datetime


@transaction.atomic
def give_consent(
    *,
    actor: Actor,
    challenge_id: UUID,
    recording_ids: Collection[UUID],
    uses: Mapping[str, bool],
    languages: Collection[str],
    term_days: int,
    territory: str,
    text_version: str,
    biometric_release: bool,
) -> Consent:
    """Writes down what the actor agrees to, on the evidence of a passed challenge and passed recordings.

    Raises NotFound, ChallengeNotPassed, ChallengeUsed, RecordingNotPassed, ConsentInvalid, TextUnknown, ReleaseMissing,
    PersonRestricted, RehearsalOnly.
    """
    challenge = passed_challenge(actor=actor, challenge_id=challenge_id)
    if Consent.objects.filter(challenge=challenge).exists():
        raise ChallengeUsed
    if active_restrictions(subjects=[("person", str(challenge.person_id))]):
        raise PersonRestricted
    recordings = _passed_recordings(challenge, recording_ids)
    terms = _terms(uses, languages, term_days, territory)
    text = agreements.offered(text_version)
    if biometric_release is not True:
        raise ReleaseMissing
    release = agreements.release_for(text.language)
    things: list[Challenge | Recording] = [challenge, *recordings]
    evidence = [_evidence(thing) for thing in things]
    rehearsal = settings.REHEARSAL or any(item["rehearsal"] for item in evidence)
    if rehearsal and not settings.REHEARSAL:
        raise RehearsalOnly("The evidence was examined in a rehearsal.")
    consent_id, moment = uuid.uuid4(), now()
    statement = {
        "kind": KIND,
        "id": str(consent_id),
        "person": {"id": str(challenge.person_id), "name": challenge.person.display_name},
        "given_at": moment.isoformat(),
        "valid_until": (moment + timedelta(days=term_days)).isoformat(),
        **terms,
        "text": {"version": text.version, "sha256": text.sha256},
        "biometric_release": {"version": release.version, "sha256": release.sha256},
        "recordings": [str(recording.id) for recording in recordings],
        "evidence": evidence,
        "rehearsal": rehearsal,
        # The log shows a hash of this statement; without the salt a guess of its content could be tested against it.
        "salt": secrets.token_hex(32),
    }
    valid_until = moment + timedelta(days=term_days)
    key, template = _keep_template(challenge, consent_id, min(valid_until, moment + TEMPLATE_LIMIT), actor)
    leaf = log.append(
        kind="consent.given",
        subject=f"consent:{consent_id}",
        actor=actor,
        data={
            "statement": statement_digest(statement),
            "person": str(challenge.person_id),
            "uses": terms["uses"],
            "languages": terms["languages"],
            "valid_until": statement["valid_until"],
            "text": text.version,
            "biometric_release": release.version,
        },
        rehearsal=rehearsal,
    )
    consent = Consent.objects.create(
        id=consent_id,
        person_id=challenge.person_id,
        challenge=challenge,
        **terms,
        valid_until=valid_until,
        text_version=text.version,
        text_sha256=text.sha256,
        biometric_release=release.version,
        biometric_sha256=release.sha256,
        evidence=evidence,
        statement=statement,
        template_key=key,
        template=template,
        rehearsal=rehearsal,
        leaf_index=leaf.index,
        given_at=moment,
    )
    consent.recordings.set(recordings)
    return consent


@transaction.atomic
def withdraw_consent(*, actor: Actor, consent_id: UUID) -> list[Consequence]:
    """Takes the actor's own consent back, at once, without a reason. Returns what ended, each with its time.

    The voices and jobs under it end in the same transaction, by the caller (they live above this room).
    Raises NotFound, ConsentEnded.
    """
    consent = Consent.objects.select_for_update(of=("self",)).filter(id=consent_id, person_id=own_id(actor)).first()
    if consent is None:
        raise NotFound
    if consent.state != ConsentState.ACTIVE.value:
        raise ConsentEnded(state=consent.state)
    return _end(consent, ConsentState.WITHDRAWN, actor)


def expire_consents() -> int:
    """Ends every consent past its term. Safe to run at any time, by several workers.

    The gate does not wait for this: it compares the clock itself.
    """
    ended = 0
    overdue = Consent.objects.filter(state=ConsentState.ACTIVE.value, valid_until__lte=now())
    for consent_id in list(overdue.values_list("id", flat=True)):
        with transaction.atomic():
            consent = overdue.select_for_update(skip_locked=True, of=("self",)).filter(id=consent_id).first()
            if consent is not None:
                _end(consent, ConsentState.EXPIRED, SWEEPER)
                ended += 1
    return ended


def statement_digest(statement: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a statement in canonical JSON: what the log's leaf holds of it."""
    return hashlib.sha256(canonical.encode(dict(statement))).hexdigest()


def _end(consent: Consent, to: ConsentState, actor: Actor) -> list[Consequence]:
    held = [
        consent.challenge.custody,
        *(recording.custody for recording in consent.recordings.select_related("custody")),
    ]
    reason = f"consent_{to.value}"
    move(consent, to, CONSENT)
    consent.ended_at = now()
    # Rows first, the log last: licences and recordings are locked before anything is appended.
    ended_licences = licences.lock_active(consent_id=consent.id)
    destroyed = custody.destroy_all(
        items=[item for item in held if isinstance(item, CustodyItem)], reason=reason, actor=actor
    )
    vault.destroy_key(key=consent.template_key, reason=reason, actor=actor)
    for licence in ended_licences:
        licences.end(licence=licence, reason=reason, actor=actor)
    Recording.objects.filter(consents=consent).update(transcript="")
    consent.ended_leaf = log.append(
        kind=f"consent.{to.value}",
        subject=f"consent:{consent.id}",
        actor=actor,
        data={"reason": reason, "licences_ended": len(ended_licences), "recordings_destroyed": len(destroyed)},
        rehearsal=consent.rehearsal,
    ).index
    consent.save(update_fields=["state", "ended_at", "ended_leaf"])
    return [
        Consequence(f"consent.{to.value}", str(consent.id), consent.ended_at),
        Consequence("template.destroyed", str(consent.template_key_id), consent.template_key.destroyed_at or now()),
        *(Consequence("licence.ended", str(one.id), one.ended_at or now()) for one in ended_licences),
        *(Consequence("recording.destroyed", str(item.id), item.destroyed_at or now()) for item in destroyed),
    ]


def _passed_recordings(challenge: Challenge, recording_ids: Collection[UUID]) -> list[Recording]:
    wanted = set(recording_ids)
    if not wanted:
        raise ConsentInvalid("A consent names at least one recording.")
    found = list(
        Recording.objects.select_for_update(of=("self",))
        .select_related("custody")
        .filter(id__in=wanted, person_id=challenge.person_id)
        .order_by("created_at", "id")
    )
    if len(found) != len(wanted):
        raise NotFound
    if any(one.challenge_id != challenge.id or one.state != RecordingState.PASSED.value for one in found):
        raise RecordingNotPassed
    total = sum(one.seconds or 0.0 for one in found)
    if total < MIN_TRAINING_SECONDS:
        raise TooLittleSpeech(f"{total:.0f} s of {MIN_TRAINING_SECONDS:.0f} s.", seconds=round(total, 1))
    return found


def _terms(uses: Mapping[str, bool], languages: Collection[str], term_days: int, territory: str) -> dict[str, Any]:
    unknown = set(uses) - set(USES)
    if unknown or not all(isinstance(value, bool) for value in uses.values()):
        raise ConsentInvalid(f"Uses are yes or no of: {', '.join(USES)}.")
    if not (uses.get("own_use") or uses.get("licence_to_others")):
        raise ConsentInvalid("A consent allows your own use, licence to others, or both.")
    if not languages or set(languages) - set(LANGUAGES):
        raise ConsentInvalid(f"Languages are one or more of: {', '.join(LANGUAGES)}.")
    if not 1 <= term_days <= MAX_TERM_DAYS:
        raise ConsentInvalid(f"The term is 1 to {MAX_TERM_DAYS} days.")
    countries = territory.split(",")
    if territory != WORLDWIDE and not (
        len(countries) <= MAX_TERRITORY and all(re.fullmatch("[A-Z]{2}", country) for country in countries)
    ):
        raise ConsentInvalid(f"The territory is '{WORLDWIDE}' or country codes such as 'DE,FR'.")
    return {
        "uses": {use: bool(uses.get(use, False)) for use in USES},
        "languages": sorted(set(languages)),
        "territory": territory,
    }


def _evidence(thing: Challenge | Recording) -> dict[str, Any]:
    """How we know, in numbers and hashes: the examination of a challenge or recording, without its audio."""
    found = thing.examination
    if thing.custody is None:
        raise ValueError("what has passed was received")
    return {
        "of": "challenge" if isinstance(thing, Challenge) else "recording",
        "id": str(thing.id),
        "examination": str(found.id),
        "leaf": found.leaf_index,
        "verdict": found.verdict,
        "evidence_sha256": examination.evidence_digest(found.evidence),
        "audio_commitment": thing.custody.commitment,
        "measures": examination.measures(found.evidence),
        "rehearsal": found.rehearsal,
    }


def _keep_template(challenge: Challenge, consent_id: UUID, not_after: datetime, actor: Actor) -> tuple[Any, Any]:
    """The live template, out of custody and under a key of the consent's own: it lives as long as the consent."""
    if challenge.template is None:
        raise ValueError("a passed challenge has a template")
    data = custody.read(item=challenge.template, actor=SWEEPER)
    owner = f"consent:{consent_id}"
    key = vault.create_key(kind="template", owner_ref=owner, actor=actor)
    return key, vault.store(key=key, kind="template", owner_ref=owner, data=data, not_after=not_after, actor=actor)
