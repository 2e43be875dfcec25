"""Forbidding that a voice is cloned: by the speaker with a live challenge, or by a representative with documents.

A voice under protection is found when anybody offers it (`safety.protected.search`), in a challenge of the speaker's
own too: who forbade it lifts the protection first. Protection and a consent of one's own exclude each other.
"""

from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from consent import recordings, reviews, services, templates
from consent.errors import AlreadyProtected, ConsentInForce, LanguageUnsupported, RecordingNotPassed, TooManyRecordings
from consent.models import Consent, Recording
from consent.prompts import LANGUAGES
from consent.recordings import checked_transcript
from consent.review_models import ReviewKind
from consent.selectors import own_id
from consent.states import ConsentState, RecordingState
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from retention import custody
from safety import protected
from safety.models import ProtectedVoice
from safety.states import ProtectionSource

ACTOR: Final = Actor.system("consent.protection")
OWN_LABEL: Final = "A speaker's own voice"


def mine(*, actor: Actor) -> QuerySet[ProtectedVoice]:
    """The voices the actor put under protection, newest first."""
    return ProtectedVoice.objects.filter(person_id=own_id(actor)).order_by("-created_at", "id")


def own(*, actor: Actor) -> ProtectedVoice | None:
    """The protection in force of the actor's own voice."""
    return protected.of_person(own_id(actor))


@transaction.atomic
def forbid_own(*, actor: Actor, challenge_id: UUID) -> ProtectedVoice:
    """Puts the actor's own voice under protection, by their own passed and unused challenge.

    Raises NotFound, ChallengeNotPassed, ChallengeUsed, AlreadyProtected, ConsentInForce (withdraw it first).
    """
    if own(actor=actor) is not None:
        raise AlreadyProtected
    challenge = services.unused_challenge(actor=actor, challenge_id=challenge_id)
    if Consent.objects.filter(person_id=challenge.person_id, state=ConsentState.ACTIVE.value).exists():
        raise ConsentInForce
    try:
        with transaction.atomic():
            return protected.add(
                embedding=templates.unit(templates.of(challenge)),
                source=ProtectionSource.OWN,
                label=OWN_LABEL,
                person_id=challenge.person_id,
                basis_ref=f"challenge:{challenge.id}",
                actor=actor,
            )
    except IntegrityError as error:
        raise AlreadyProtected from error


@transaction.atomic
def lift(*, actor: Actor, protected_id: UUID) -> ProtectedVoice:
    """Ends a protection the actor asked for; its template is destroyed. Raises NotFound. Safe to call twice."""
    voice = mine(actor=actor).filter(id=protected_id).first()
    if voice is None:
        raise NotFound
    protected.remove(voice=voice, reason="lifted_by_owner", actor=actor)
    voice.refresh_from_db()
    return voice


# -- by a representative ----------------------------------------------------------------------------------------------


@transaction.atomic
def create_recording(*, actor: Actor, review_id: UUID, language: str, transcript: str) -> Recording:
    """Announces a recording of the represented speaker, under the actor's approved review; its content follows.

    Raises NotFound, ReviewNotApproved, LanguageUnsupported, TooManyRecordings, TranscriptInvalid.
    """
    review = reviews.usable(actor=actor, review_id=review_id, kind=ReviewKind.REPRESENTATIVE)
    if language not in LANGUAGES:
        raise LanguageUnsupported(f"Offered are: {', '.join(LANGUAGES)}.")
    if Recording.objects.filter(review=review).count() >= recordings.MAX_RECORDINGS:
        raise TooManyRecordings(f"At most {recordings.MAX_RECORDINGS}.")
    return Recording.objects.create(
        person_id=review.person_id, review=review, language=language, transcript=checked_transcript(transcript)
    )


@transaction.atomic
def forbid_represented(*, actor: Actor, review_id: UUID, recording_id: UUID) -> Recording:
    """Has the voice of a passed recording put under protection, by a worker: it listens. Asking again is harmless.

    Raises NotFound, ReviewNotApproved, RecordingNotPassed, AlreadyProtected.
    """
    review = reviews.usable(actor=actor, review_id=review_id, kind=ReviewKind.REPRESENTATIVE)
    recording = _passed(review.id, recording_id)
    if protected.rests_on(_basis(review.id)):
        raise AlreadyProtected
    transaction.on_commit(lambda: _enqueue(review.id, recording.id))
    return recording


def listen_and_forbid(*, review_id: UUID, recording_id: UUID, embed: Any = None) -> ProtectedVoice | None:
    """The worker's part: embeds the recording and protects the voice. None when it is done already. Safe to run twice.

    Everything is asked again under lock: the review may have lapsed, and its two approvals are counted again.
    ``embed``: (wave, rate) to an embedding, the examiners' own by default. Raises ReviewNotApproved,
    RecordingNotPassed, PastDeadline.
    """
    from consent.decoding import decode

    if embed is None:
        from consent.biometrics import speaker

        embed = speaker.embed
    item = _passed(review_id, recording_id).custody
    if item is None:
        raise RecordingNotPassed
    wave, rate = decode(custody.read(item=item, actor=ACTOR))
    embedding = [float(number) for number in embed(wave, rate)]
    with transaction.atomic():
        person_id = _passed(review_id, recording_id).person_id
        asker = Actor(person_id, "member", frozenset(), "")
        review = reviews.usable(actor=asker, review_id=review_id, kind=ReviewKind.REPRESENTATIVE)
        if protected.rests_on(_basis(review.id)):
            return None
        return protected.add(
            embedding=embedding,
            source=ProtectionSource.REPRESENTATIVE,
            label=review.speaker_name[: protected.MAX_LABEL],
            public_name=review.speaker_name[: protected.MAX_LABEL],
            person_id=review.person_id,
            basis_ref=_basis(review.id),
            actor=ACTOR,
        )


def _enqueue(review_id: UUID, recording_id: UUID) -> None:
    from consent.tasks import protect_represented

    protect_represented.delay(str(review_id), str(recording_id))


def _basis(review_id: UUID) -> str:
    return f"review:{review_id}"


def _passed(review_id: UUID, recording_id: UUID) -> Recording:
    found = Recording.objects.select_related("custody").filter(id=recording_id, review_id=review_id).first()
    if found is None or found.state != RecordingState.PASSED.value:
        raise RecordingNotPassed
    return found
