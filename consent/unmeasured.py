"""The way without biometrics: two moderators have made sure who speaks, and no voice is compared with any other.

NIST SP 800-63B-4 asks that such a way exists. Its recordings are examined for their quality and for machine-made speech
like all others; no template is computed, kept or searched for.
"""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from django.db import transaction

from consent import agreements, recordings, reviews, services, statements, terms
from consent.acts import Act
from consent.compact import WITHOUT_BIOMETRICS
from consent.errors import LanguageUnsupported, TooManyRecordings
from consent.models import Consent, Recording
from consent.prompts import LANGUAGES
from consent.recordings import checked_transcript
from consent.statements import Ground
from foundation.identity.actors import Actor

KIND: Final = WITHOUT_BIOMETRICS


@transaction.atomic
def create_recording(*, actor: Actor, review_id: UUID, language: str, transcript: str) -> Recording:
    """Announces a recording under the actor's own approved review; its content follows as for any other.

    Raises NotFound, ReviewNotApproved, LanguageUnsupported, TooManyRecordings, TranscriptInvalid.
    """
    review = reviews.usable(actor=actor, review_id=review_id, kind=KIND)
    if language not in LANGUAGES:
        raise LanguageUnsupported(f"Offered are: {', '.join(LANGUAGES)}.")
    if Recording.objects.filter(review=review).count() >= recordings.MAX_RECORDINGS:
        raise TooManyRecordings(f"At most {recordings.MAX_RECORDINGS}.")
    return Recording.objects.create(
        person_id=review.person_id, review=review, language=language, transcript=checked_transcript(transcript)
    )


@transaction.atomic
def give_consent(
    *,
    actor: Actor,
    act: Act,
    review_id: UUID,
    recording_ids: Collection[UUID],
    uses: Mapping[str, bool],
    languages: Collection[str],
    term_days: int,
    territory: str,
    text_version: str,
) -> Consent:
    """As `services.give_consent`, on an approved review instead of a challenge; without template and release.

    Raises NotFound, ReviewNotApproved, RecordingNotPassed, TooLittleSpeech, ConsentInvalid, TextUnknown,
    PersonRestricted, RehearsalOnly.
    """
    review = reviews.usable(actor=actor, review_id=review_id, kind=KIND)
    services.refuse_restricted(review.person_id)
    given = services.passed_recordings(review.person_id, recording_ids, ground=review)
    agreed = terms.checked(uses, languages, term_days, territory)
    ground = Ground(
        person=review.person,
        speaker=review.speaker_name,
        challenge=None,
        review=review,
        recordings=given,
        evidence=[*(statements.examined(one) for one in given), reviews.evidence(review)],
    )
    text = agreements.offered(text_version, kind=agreements.UNMEASURED)
    return services.write(ground, agreed=agreed, term_days=term_days, text=text, released=False, act=act, actor=actor)
