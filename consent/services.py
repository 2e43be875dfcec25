"""Giving consent, taking it back, its end by term. Each commits together with its leaf in the log, or not at all."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from consent import agreements, compact, licences, reviews, statements, templates, terms
from consent.acts import Act
from consent.compact import statement_digest
from consent.consequences import Consequence
from consent.errors import (
    ChallengeUsed,
    ConsentEnded,
    ConsentInvalid,
    OwnVoiceForbidden,
    PersonRestricted,
    RecordingNotPassed,
    ReleaseMissing,
    TooLittleSpeech,
)
from consent.models import Challenge, Consent, Recording, Review
from consent.recordings import passed_challenge
from consent.selectors import own_id
from consent.statements import Ground
from consent.states import CONSENT, ConsentState, RecordingState, move
from consent.terms import WORLDWIDE
from consent.uses import USES
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from retention import custody
from retention.models import CustodyItem
from safety import protected
from safety.selectors import active_restrictions

__all__ = [
    "MIN_TRAINING_SECONDS",
    "USES",
    "WORLDWIDE",
    "Consequence",
    "expire_consents",
    "give_consent",
    "statement_digest",
    "withdraw_consent",
]

MIN_TRAINING_SECONDS: Final = 30.0
"""Seconds of recordings a consent names, together: the least a voice can be trained on."""
SWEEPER: Final = Actor.system("consent.sweep")


@transaction.atomic
def give_consent(
    *,
    actor: Actor,
    act: Act,
    challenge_id: UUID,
    recording_ids: Collection[UUID],
    uses: Mapping[str, bool],
    languages: Collection[str],
    term_days: int,
    territory: str,
    text_version: str,
    biometric_release: bool,
    review_id: UUID | None = None,
) -> Consent:
    """Writes down what the actor agrees to, on the evidence of a passed challenge and passed recordings.

    ``review_id``: the approved review of a representative, who gives the consent for the speaker that was heard live.
    Raises NotFound, ChallengeNotPassed, ChallengeUsed, RecordingNotPassed, TooLittleSpeech, ConsentInvalid,
    TextUnknown, ReleaseMissing, PersonRestricted, RehearsalOnly, ReviewNotApproved.
    """
    challenge = unused_challenge(actor=actor, challenge_id=challenge_id)
    refuse_restricted(challenge.person_id)
    review = reviews.usable(actor=actor, review_id=review_id, kind=compact.REPRESENTATIVE) if review_id else None
    recordings = passed_recordings(challenge.person_id, recording_ids, ground=challenge)
    agreed = terms.checked(uses, languages, term_days, territory)
    text = agreements.offered(text_version, kind=agreements.REPRESENTED if review else agreements.CONSENT)
    ground = Ground(
        person=challenge.person,
        speaker=review.speaker_name if review else challenge.person.display_name,
        challenge=challenge,
        review=review,
        recordings=recordings,
        evidence=[
            statements.examined(challenge),
            *(statements.examined(one) for one in recordings),
            *([reviews.evidence(review)] if review else []),
        ],
    )
    return write(
        ground, agreed=agreed, term_days=term_days, text=text, released=biometric_release, act=act, actor=actor
    )


def write(
    ground: Ground,
    *,
    agreed: dict[str, Any],
    term_days: int,
    text: agreements.Agreement,
    released: bool,
    act: Act,
    actor: Actor,
) -> Consent:
    """The record itself: template, leaf, signature, row. Inside a transaction, everything it rests on locked.

    Raises ReleaseMissing, TextUnknown, RehearsalOnly.
    """
    if released is not True and ground.challenge is not None:
        raise ReleaseMissing
    release = agreements.release_for(text.language) if ground.challenge is not None else None
    moment = now()
    statement = statements.build(
        ground, terms=agreed, term_days=term_days, text=text, release=release, act=act, moment=moment
    )
    valid_until = moment + timedelta(days=term_days)
    key = template = None
    if ground.challenge is not None:
        not_after = min(valid_until, moment + templates.LIMIT)
        protected.enrol(
            person_id=ground.person.id,
            consent_ref=str(ground.consent_id),
            embedding=templates.unit(templates.of(ground.challenge)),
            not_after=not_after,
            actor=actor,
        )
        key, template = templates.keep(
            challenge=ground.challenge, consent_id=ground.consent_id, not_after=not_after, actor=actor
        )
    leaf = log.append(
        kind="consent.given",
        subject=f"consent:{ground.consent_id}",
        actor=actor,
        data={
            "statement": statement_digest(statement),
            "person": str(ground.person.id),
            "basis": ground.basis,
            "former": str(ground.former.id) if ground.former else None,
            "uses": agreed["uses"],
            "languages": agreed["languages"],
            "valid_until": statement["valid_until"],
            "text": text.version,
            "biometric_release": release.version if release else None,
        },
        rehearsal=ground.rehearsal,
    )
    consent = Consent.objects.create(
        id=ground.consent_id,
        person_id=ground.person.id,
        challenge=ground.challenge,
        former=ground.former,
        version=ground.version,
        basis=ground.basis,
        review=ground.review,
        **agreed,
        valid_until=valid_until,
        text_version=text.version,
        text_sha256=text.sha256,
        biometric_release=release.version if release else "",
        biometric_sha256=release.sha256 if release else "",
        evidence=ground.evidence,
        statement=statement,
        signature=statements.sign(statement, leaf.index),
        template_key=key,
        template=template,
        rehearsal=ground.rehearsal,
        leaf_index=leaf.index,
        given_at=moment,
    )
    consent.recordings.set(ground.recordings)
    return consent


@transaction.atomic
def withdraw_consent(*, actor: Actor, consent_id: UUID) -> list[Consequence]:
    """Takes the actor's own consent back, at once, without a reason. Returns what ended, each with its time.

    The voices, jobs and offers under it end in the same transaction, by the caller (they live above this room).
    Raises NotFound, ConsentEnded.
    """
    consent = Consent.objects.select_for_update(of=("self",)).filter(id=consent_id, person_id=own_id(actor)).first()
    if consent is None:
        raise NotFound
    if consent.state != ConsentState.ACTIVE.value:
        raise ConsentEnded(state=consent.state)
    return _end(consent, ConsentState.WITHDRAWN, actor)


def expire_consents() -> int:
    """Ends every consent past its term, every voice template and every review past its own. Returns how many consents.

    Safe to run at any time, by several workers. The gate does not wait for this: it compares the clock itself.
    """
    ended = 0
    overdue = Consent.objects.filter(state=ConsentState.ACTIVE.value, valid_until__lte=now())
    for consent_id in list(overdue.values_list("id", flat=True)):
        with transaction.atomic():
            consent = overdue.select_for_update(skip_locked=True, of=("self",)).filter(id=consent_id).first()
            if consent is not None:
                _end(consent, ConsentState.EXPIRED, SWEEPER)
                ended += 1
    templates.destroy_overdue()
    reviews.lapse_overdue()
    return ended


def unused_challenge(*, actor: Actor, challenge_id: UUID) -> Challenge:
    """The actor's own passed challenge, locked, that carries no consent and no protection yet. Raises NotFound,
    ChallengeNotPassed, ChallengeUsed, OwnVoiceForbidden (while the actor forbids the cloning of their voice)."""
    challenge = passed_challenge(actor=actor, challenge_id=challenge_id)
    if protected.of_person(challenge.person_id) is not None:
        raise OwnVoiceForbidden
    if protected.rests_on(f"challenge:{challenge.id}"):
        raise ChallengeUsed
    if Consent.objects.filter(challenge=challenge).exists():
        raise ChallengeUsed
    return challenge


def refuse_restricted(person_id: UUID) -> None:
    """Raises PersonRestricted."""
    if active_restrictions(subjects=[("person", str(person_id))]):
        raise PersonRestricted


def held_recordings(consent: Consent) -> list[CustodyItem]:
    """The custody items a consent and those it renews rest on: the live answers, and the recordings."""
    return held_recordings_of([consent])[consent.id]


def held_recordings_of(consents: Sequence[Consent]) -> dict[UUID, list[CustodyItem]]:
    """The same of several consents, by their ids, in as many queries as of the one that was renewed most often."""
    found: dict[UUID, list[CustodyItem | None]] = {one.id: [] for one in consents}
    uses = Consent.recordings.through.objects.filter(consent__in=found).select_related("recording__custody")
    for use in uses:
        found[use.consent_id].append(use.recording.custody)
    of = {one.id: one.id for one in consents}
    generation = list(consents)
    while generation:
        answers = {one.challenge_id: of[one.id] for one in generation if one.challenge_id is not None}
        for answer in Challenge.objects.filter(id__in=answers).select_related("custody"):
            found[answers[answer.id]].append(answer.custody)
        of = {one.former_id: of[one.id] for one in generation if one.former_id is not None}
        generation = list(Consent.objects.filter(id__in=of)) if of else []
    return {consent_id: [item for item in items if item is not None] for consent_id, items in found.items()}


def _end(consent: Consent, to: ConsentState, actor: Actor) -> list[Consequence]:
    reason = f"consent_{to.value}"
    move(consent, to, CONSENT)
    consent.ended_at = now()
    # Rows first, the log last: licences and recordings are locked before anything is appended.
    ended_licences = licences.lock_active(consent_id=consent.id)
    destroyed = custody.destroy_all(items=held_recordings(consent), reason=reason, actor=actor)
    gone = end_templates(consent, reason=reason, actor=actor)
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
        *gone,
        *(Consequence("licence.ended", str(one.id), one.ended_at or now()) for one in ended_licences),
        *(Consequence("recording.destroyed", str(item.id), item.destroyed_at or now()) for item in destroyed),
    ]


def end_templates(consent: Consent, *, reason: str, actor: Actor) -> list[Consequence]:
    """Ends the consent's voice template and its place in the search for enrolled voices."""
    found = [
        ("template.destroyed", templates.destroy(consent=consent, reason=reason, actor=actor)),
        (
            "search_template.destroyed",
            protected.unenrol(consent_ref=str(consent.id), reason=reason, actor=actor),
        ),
    ]
    return [Consequence(what, str(consent.id), at) for what, at in found if at is not None]


def passed_recordings(
    person_id: UUID, recording_ids: Collection[UUID], *, ground: Challenge | Review
) -> list[Recording]:
    """The person's own recordings, locked, in order: all passed, all made on this very ground, long enough together.

    Inside a transaction. Raises ConsentInvalid, NotFound, RecordingNotPassed, TooLittleSpeech.
    """
    wanted = set(recording_ids)
    if not wanted:
        raise ConsentInvalid("A consent names at least one recording.")
    found = list(
        Recording.objects.select_for_update(of=("self",))
        .select_related("custody")
        .filter(id__in=wanted, person_id=person_id)
        .order_by("created_at", "id")
    )
    if len(found) != len(wanted):
        raise NotFound
    if any(
        ground.id not in (one.challenge_id, one.review_id) or one.state != RecordingState.PASSED.value for one in found
    ):
        raise RecordingNotPassed
    total = sum(one.seconds or 0.0 for one in found)
    if total < MIN_TRAINING_SECONDS:
        raise TooLittleSpeech(f"{total:.0f} s of {MIN_TRAINING_SECONDS:.0f} s.", seconds=round(total, 1))
    return found
