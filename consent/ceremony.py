"""The live challenge: random words, shown once, answered by voice within two minutes, streamed while they are spoken.

A recording made beforehand cannot answer: the words are unknown until the challenge is opened, sound may not arrive
faster than it can be spoken, and each challenge takes one answer. Failures in a row are followed by a growing pause.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from consent import examination
from consent.errors import (
    AnswerTooLong,
    ChallengeAlreadyAnswered,
    ChallengeExpired,
    ChallengeUnanswered,
    ChunkInvalid,
    ChunkOutOfOrder,
    FasterThanLive,
    PauseAfterFailures,
)
from consent.models import Challenge, Examination
from consent.selectors import own_id
from consent.states import CHALLENGE, ChallengeState, move
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.purposes import Purpose

LIFE: Final = timedelta(seconds=120)
"""From the moment the words are shown to the last moment an answer counts, by the server's clock."""
WORDS: Final = 6
"""Words a challenge: 60 bits with the vocabulary of 1,024 and more; 40 are needed."""
NOT_AGAIN: Final = 300
"""A person's latest words that are not drawn again: an old answer never holds a word of a new challenge."""
RATE: Final = 16_000
BYTES_A_SECOND: Final = 2 * RATE
MAX_CHUNK: Final = 64 * 1024
MAX_SECONDS: Final = 60
"""Sound of one answer: six words take five to fifteen seconds."""
LIVE_SLACK: Final = timedelta(seconds=2)
"""How much more sound than time since the opening is forgiven: clocks of sound cards differ, none by this much."""
FAILURES_BEFORE_PAUSE: Final = 5
FAILURES_FORGOTTEN: Final = timedelta(hours=24)
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)


@transaction.atomic
def open_challenge(*, actor: Actor) -> Challenge:
    """New words for the actor. An earlier open challenge of theirs ends. Raises PauseAfterFailures (429)."""
    person = _lock_person(actor)
    _refuse_during_pause(person.id)
    for earlier in Challenge.objects.select_for_update().filter(person=person, state=ChallengeState.OPEN.value):
        expire(challenge=earlier)
    moment = now()
    challenge = Challenge.objects.create(
        person=person, words=_draw(person.id), opened_at=moment, expires_at=moment + LIFE
    )
    log.append(
        kind="challenge.opened",
        subject=f"challenge:{challenge.id}",
        actor=actor,
        data={"words": len(challenge.words), "expires_at": challenge.expires_at.isoformat()},
        rehearsal=settings.REHEARSAL,
    )
    return challenge


@transaction.atomic
def add_chunk(*, actor: Actor, challenge_id: UUID, index: int, data: bytes) -> int:
    """Takes the next piece of the live answer (16-bit mono PCM, 16 kHz) and returns the number expected next.

    Raises NotFound, ChallengeAlreadyAnswered, ChallengeExpired, ChunkInvalid, ChunkOutOfOrder, FasterThanLive (429:
    the same chunk may be sent again), AnswerTooLong.
    """
    challenge = _lock_open(actor, challenge_id)
    if not data or len(data) > MAX_CHUNK or len(data) % 2:
        raise ChunkInvalid
    item = challenge.custody
    expected = item.parts.count() if item else 0
    if index != expected:
        raise ChunkOutOfOrder(expected=expected)
    heard = (item.size if item else 0) + len(data)
    if heard > MAX_SECONDS * BYTES_A_SECOND:
        raise AnswerTooLong(f"At most {MAX_SECONDS} seconds.")
    if timedelta(seconds=heard / BYTES_A_SECOND) > now() - challenge.opened_at + LIVE_SLACK:
        raise FasterThanLive(retry_after=1)
    if item is None:
        item = custody.open_parts(purpose=Purpose.CHALLENGE, subject=challenge.person, actor=actor)
        challenge.custody = item
        challenge.save(update_fields=["custody"])
    custody.append(item=item, data=data, actor=actor)
    return expected + 1


@transaction.atomic
def answer_challenge(*, actor: Actor, challenge_id: UUID) -> Examination:
    """Ends the answer and queues its examination. Once.

    Raises NotFound, ChallengeAlreadyAnswered (409), ChallengeExpired (410), ChallengeUnanswered.
    """
    challenge = _lock_open(actor, challenge_id)
    if challenge.custody is None:
        raise ChallengeUnanswered
    item = custody.close(item=challenge.custody, actor=actor)
    move(challenge, ChallengeState.ANSWERED, CHALLENGE)
    challenge.answered_at = now()
    challenge.save(update_fields=["state", "answered_at"])
    log.append(
        kind="challenge.answered",
        subject=f"challenge:{challenge.id}",
        actor=actor,
        data={"custody": str(item.id), "commitment": item.commitment, "seconds": item.size / BYTES_A_SECOND},
        rehearsal=settings.REHEARSAL,
    )
    return examination.request(challenge=challenge)


def expire(*, challenge: Challenge) -> None:
    """Ends an open challenge nobody will answer any more; what was said goes with it. The caller holds the lock."""
    move(challenge, ChallengeState.EXPIRED, CHALLENGE)
    challenge.save(update_fields=["state"])
    if challenge.custody is not None:
        custody.destroy(item=challenge.custody, reason="purpose_ended", actor=Actor.system("consent.ceremony"))


def expire_overdue() -> int:
    """Ends every challenge whose time is over. Safe to run at any time, by several workers."""
    ended = 0
    overdue = Challenge.objects.filter(state=ChallengeState.OPEN.value, expires_at__lte=now())
    for challenge_id in list(overdue.values_list("id", flat=True)):
        with transaction.atomic():
            challenge = overdue.select_for_update(skip_locked=True, of=("self",)).filter(id=challenge_id).first()
            if challenge is not None:
                expire(challenge=challenge)
                ended += 1
    return ended


def pause_until(person_id: UUID) -> datetime | None:
    """Until when this person may open no challenge; None when they may. A new challenge does not reset it, a pass does.

    An answer that is still being examined counts as a failure: attempts cannot be piled up before the first verdict.
    """
    recent = Challenge.objects.filter(person_id=person_id, answered_at__gt=now() - FAILURES_FORGOTTEN)
    passed = recent.filter(state=ChallengeState.PASSED.value).order_by("-answered_at").first()
    failures = recent.exclude(state=ChallengeState.PASSED.value)
    if passed is not None:
        failures = failures.filter(answered_at__gt=passed.answered_at)
    count = failures.count()
    latest = failures.order_by("-answered_at").first()
    if count < FAILURES_BEFORE_PAUSE or latest is None or latest.answered_at is None:
        return None
    doublings = min(count - FAILURES_BEFORE_PAUSE, 10)
    return latest.answered_at + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)


def _refuse_during_pause(person_id: UUID) -> None:
    until = pause_until(person_id)
    if until is not None and until > now():
        raise PauseAfterFailures(retry_after=int((until - now()).total_seconds()) + 1, until=until.isoformat())


def _draw(person_id: UUID) -> list[str]:
    from consent.biometrics import words  # plain Python, but its package's neighbours are heavy: load when needed

    earlier = Challenge.objects.filter(person_id=person_id).order_by("-opened_at").values_list("words", flat=True)
    asked = [word for row in earlier[: NOT_AGAIN // WORDS] for word in row]
    return words.draw(WORDS, exclude=asked, rng=secrets.SystemRandom())


def _lock_person(actor: Actor) -> Person:
    """The actor's own row: one opening at a time. Raises NotFound for an actor that is nobody."""
    return Person.objects.select_for_update(no_key=True).get(id=own_id(actor))


def _lock_open(actor: Actor, challenge_id: UUID) -> Challenge:
    found = (
        Challenge.objects.select_for_update(of=("self",))
        .select_related("person", "custody")
        .filter(id=challenge_id, person_id=own_id(actor))
        .first()
    )
    if found is None:
        raise NotFound
    if found.state == ChallengeState.EXPIRED.value:
        raise ChallengeExpired
    if found.state != ChallengeState.OPEN.value:
        raise ChallengeAlreadyAnswered
    if now() > found.expires_at:
        raise ChallengeExpired
    return found
