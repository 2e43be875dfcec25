"""Training speech: announced after a passed challenge, uploaded into custody, examined against the live voice."""

import unicodedata
from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from consent import examination
from consent.errors import (
    ChallengeNotPassed,
    LanguageUnsupported,
    RecordingAlreadyReceived,
    TooManyRecordings,
    TranscriptInvalid,
)
from consent.models import MAX_TRANSCRIPT, Challenge, Examination, Recording
from consent.prompts import LANGUAGES
from consent.selectors import own_id
from consent.states import RECORDING, ChallengeState, RecordingState, move
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.models import CustodyItem, CustodyState
from retention.purposes import Purpose

MAX_BYTES: Final = 25 * 1024 * 1024
"""Ten minutes of 16-bit mono at 20 kHz, or hours of anything compressed: what is longer is refused by its length."""
MAX_RECORDINGS: Final = 40
"""Recordings a challenge: one for every sentence of the script."""
FRESH: Final = timedelta(hours=24)
"""How long a passed challenge vouches that the same person is still there, from its verdict on: a moderator's takes
longer than a worker's. The live template is gone 72 hours after the answer in any case."""


@transaction.atomic
def create_recording(*, actor: Actor, challenge_id: UUID, language: str, transcript: str) -> Recording:
    """Announces a recording. Raises NotFound, ChallengeNotPassed, LanguageUnsupported, TranscriptInvalid, and
    TooManyRecordings."""
    challenge = passed_challenge(actor=actor, challenge_id=challenge_id)
    if language not in LANGUAGES:
        raise LanguageUnsupported(f"Offered are: {', '.join(LANGUAGES)}.")
    if Recording.objects.filter(challenge=challenge).count() >= MAX_RECORDINGS:
        raise TooManyRecordings(f"At most {MAX_RECORDINGS}.")
    return Recording.objects.create(
        person_id=challenge.person_id, challenge=challenge, language=language, transcript=checked_transcript(transcript)
    )


def receive_content(*, actor: Actor, recording_id: UUID, stream: Iterable[bytes]) -> Examination:
    """Streams the recording's content into custody and queues its examination.

    No row is locked while the bytes come in: of two uploads to one recording the first to end wins, the other is
    destroyed. Raises NotFound, RecordingAlreadyReceived, TooLarge, EmptyBody, and what the stream raises.
    """
    recording = Recording.objects.filter(id=recording_id, person_id=own_id(actor)).first()
    if recording is None:
        raise NotFound
    if recording.state != RecordingState.AWAITING.value:
        raise RecordingAlreadyReceived
    item = custody.receive(
        stream=stream,
        purpose=Purpose.TRAINING,
        subject=Person.objects.get(id=recording.person_id),
        actor=actor,
        max_bytes=MAX_BYTES,
    )
    try:
        return _attach(recording_id, item, actor)
    except BaseException:
        custody.destroy(item=item, reason="not_received", actor=actor)
        raise


@transaction.atomic
def _attach(recording_id: UUID, item: CustodyItem, actor: Actor) -> Examination:
    recording = Recording.objects.select_for_update(of=("self",)).select_related("custody").get(id=recording_id)
    if recording.state != RecordingState.AWAITING.value:
        raise RecordingAlreadyReceived
    move(recording, RecordingState.RECEIVED, RECORDING)
    if recording.custody is not None:  # begun in pieces (`uploads`), and now come as a whole
        custody.destroy(item=recording.custody, reason="not_received", actor=actor)
    recording.custody = item
    recording.save(update_fields=["state", "custody"])
    return examination.request(recording=recording)


def passed_challenge(*, actor: Actor, challenge_id: UUID) -> Challenge:
    """The actor's own challenge, locked, if it passed within `FRESH` and its live template is still held.

    Inside a transaction. Raises NotFound, ChallengeNotPassed.
    """
    challenge = (
        Challenge.objects.select_for_update(of=("self",))
        .select_related("template", "custody", "person")
        .filter(id=challenge_id, person_id=own_id(actor))
        .first()
    )
    if challenge is None:
        raise NotFound
    fresh = challenge.decided_at is not None and challenge.decided_at > now() - FRESH
    held = challenge.template is not None and challenge.template.state == CustodyState.HELD
    if challenge.state != ChallengeState.PASSED.value or not fresh or not held:
        raise ChallengeNotPassed
    return challenge


def checked_transcript(transcript: str) -> str:
    """The transcript in Unicode's composed form, trimmed: 1 to MAX_TRANSCRIPT characters, no control or private ones.

    Raises TranscriptInvalid.
    """
    text = unicodedata.normalize("NFC", transcript).strip()
    if not text or len(text) > MAX_TRANSCRIPT:
        raise TranscriptInvalid(f"1 to {MAX_TRANSCRIPT} characters.")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\n\t" for c in text):
        raise TranscriptInvalid
    return text


def forget_transcripts() -> int:
    """Empties the transcript of every recording that is destroyed: what was said goes with the sound of it.

    Returns how many. Safe to run twice.
    """
    gone = Recording.objects.filter(custody__state=CustodyState.DESTROYED).exclude(transcript="")
    return gone.update(transcript="")
