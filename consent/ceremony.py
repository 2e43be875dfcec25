"""The live challenge: random words, shown once, answered by voice within two minutes, streamed while they are spoken.

A recording made beforehand cannot answer: the words are unknown until the challenge is opened, sound must begin at
once and may arrive neither faster than it can be spoken nor with a break, and each challenge takes one answer. All
times are the server's own. Failures in a row are followed by a growing pause, for the person and for the address.
"""

import ipaddress
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.crypto import salted_hmac

from consent import examination
from consent.errors import (
    AnswerTooLong,
    ChallengeAlreadyAnswered,
    ChallengeExpired,
    ChallengeUnanswered,
    ChunkInvalid,
    ChunkOutOfOrder,
    FasterThanLive,
    LateStart,
    PauseAfterFailures,
    StreamStalled,
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
"""Words a challenge: 53 bits, drawn from 453; 40 are needed."""
FRESH_WORDS: Final = 256
"""Words kept to draw from. A person is never asked a word twice, until only so many new ones are left (48 bits a
challenge; after some thirty challenges): from then on the words asked longest ago come back."""
RATE: Final = 16_000
BYTES_A_SECOND: Final = 2 * RATE
MAX_CHUNK: Final = 64 * 1024
MAX_SECONDS: Final = 60
"""Sound of one answer: six words take five to fifteen seconds."""
LIVE_SLACK: Final = timedelta(seconds=2)
"""How far the sound may run ahead of the clock: a first chunk held up on its way, a sound card's own pace."""
START_WITHIN: Final = timedelta(seconds=12)
"""Until the first chunk arrives: speech must begin within ten seconds, and a chunk is up to two seconds long."""
LONGEST_BREAK: Final = timedelta(seconds=10)
"""How far the sound may fall behind the clock, all breaks together: a weak connection catches up, an edited answer
needs longer."""
FAILURES_BEFORE_PAUSE: Final = 5
FAILURES_FORGOTTEN: Final = timedelta(hours=24)
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
ADDRESS_SALT: Final = "vouch.consent.ceremony.address"


@transaction.atomic
def open_challenge(*, actor: Actor, address: str = "") -> Challenge:
    """New words for the actor. An earlier open challenge of theirs ends. Raises PauseAfterFailures (429).

    ``address``: the network address the request came from, kept as a keyed hash while failures are remembered.
    """
    person = _lock_person(actor)
    hashed = hash_address(address)
    _refuse_during_pause(person.id, hashed)
    for earlier in Challenge.objects.select_for_update().filter(person=person, state=ChallengeState.OPEN.value):
        expire(challenge=earlier)
    moment = now()
    challenge = Challenge.objects.create(
        person=person,
        words=_draw(person.id),
        opened_at=moment,
        expires_at=moment + LIFE,
        address_hash=hashed,
        address_until=moment + LIFE + FAILURES_FORGOTTEN if hashed else None,
    )
    log.record(
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

    Raises NotFound, ChallengeAlreadyAnswered, ChallengeExpired, ChunkInvalid, ChunkOutOfOrder, AnswerTooLong, and what
    `_refuse_unless_live` raises.
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
    _refuse_unless_live(challenge, heard, len(data))
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
    log.record(
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


def forget_addresses() -> int:
    """Erases every address hash whose time is over. Safe to run at any time, by several workers."""
    overdue = Challenge.objects.filter(address_until__lte=now())
    return overdue.update(address_hash="", address_until=None)


def hash_address(address: str) -> str:
    """A network address as it is remembered: a keyed hash (HMAC-SHA-256), of an IPv6 address its /64 network, which is
    what one subscriber has. Empty for what is no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False).network_address
    return salted_hmac(ADDRESS_SALT, found.packed, algorithm="sha256").hexdigest()


def pause_until(person_id: UUID, address_hash: str = "") -> datetime | None:
    """Until when this person, or anybody at this address, may open no challenge; None when they may.

    A new challenge does not reset it. A pass forgives its own person's earlier failures and nobody else's: who can
    pass as themselves wins no attempts as another. An answer that is still being examined counts as a failure:
    attempts cannot be piled up before the first verdict.
    """
    pauses = [_pause_after(Challenge.objects.filter(person_id=person_id))]
    if address_hash:
        pauses.append(_pause_after(Challenge.objects.filter(address_hash=address_hash)))
    return max((until for until in pauses if until is not None), default=None)


def _pause_after(challenges: QuerySet[Challenge]) -> datetime | None:
    passed_later = Challenge.objects.filter(
        person_id=OuterRef("person_id"), state=ChallengeState.PASSED.value, answered_at__gt=OuterRef("answered_at")
    )
    failures = challenges.filter(~Exists(passed_later), answered_at__gt=now() - FAILURES_FORGOTTEN).exclude(
        state=ChallengeState.PASSED.value
    )
    answered = list(failures.order_by("-answered_at").values_list("answered_at", flat=True))
    if len(answered) < FAILURES_BEFORE_PAUSE or answered[0] is None:
        return None
    doublings = min(len(answered) - FAILURES_BEFORE_PAUSE, 10)
    return answered[0] + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)


def _refuse_during_pause(person_id: UUID, address_hash: str) -> None:
    until = pause_until(person_id, address_hash)
    if until is not None and until > now():
        raise PauseAfterFailures(retry_after=int((until - now()).total_seconds()) + 1, until=until.isoformat())


def _refuse_unless_live(challenge: Challenge, heard: int, length: int) -> None:
    """Holds the sound against the server's clock. ``heard``: bytes with this chunk, ``length``: of this chunk alone.

    The first chunk must come soon and be no longer than the time since the words were shown. From its arrival on the
    sound may run neither far ahead of the clock (a file being pushed) nor far behind (a break, or many). Raises
    LateStart, StreamStalled (410: this answer can only be finished as it is), FasterThanLive (429: the same chunk may
    be sent again a little later).
    """
    moment, spoken = now(), timedelta(seconds=heard / BYTES_A_SECOND)
    first = challenge.custody.parts.order_by("index").first() if challenge.custody else None
    if first is None:
        if moment - challenge.opened_at > START_WITHIN:
            raise LateStart
        began = challenge.opened_at
    else:
        began = max(challenge.opened_at, first.arrived_at - timedelta(seconds=first.size / BYTES_A_SECOND))
    if spoken > moment - began + LIVE_SLACK:
        raise FasterThanLive(retry_after=1)
    if first is not None and moment - began - spoken > LONGEST_BREAK:
        raise StreamStalled


def _draw(person_id: UUID) -> list[str]:
    from consent.biometrics import words  # plain Python, but its package's neighbours are heavy: load when needed

    most = (len(words.asked()) - FRESH_WORDS) // WORDS
    earlier = Challenge.objects.filter(person_id=person_id).order_by("-opened_at").values_list("words", flat=True)
    asked = [word for row in earlier[:most] for word in row]
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
