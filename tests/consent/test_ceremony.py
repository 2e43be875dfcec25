"""The live challenge: what counts as an answer, and everything that does not."""

from datetime import timedelta
from typing import Any

import pytest

from consent import ceremony, errors
from consent.models import Challenge, Examination
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault.errors import PastDeadline
from retention import custody
from retention.models import CustodyItem
from tests.consent.factories import SECOND, answered, decide, passed_challenge

pytestmark = pytest.mark.django_db


def test_an_answer_is_kept_in_custody_and_examined_once(person: Any) -> None:
    challenge, found = answered(person())
    assert challenge.state == "answered"
    assert len(set(challenge.words)) == ceremony.WORDS
    assert custody.read(item=challenge.custody, actor=Actor.system("test")) == SECOND * 2
    assert challenge.custody.deadline - challenge.custody.received_at <= timedelta(hours=72)
    assert (found.state, found.verdict, found.rehearsal) == ("queued", "", True)


def test_words_asked_before_are_not_asked_again_soon(person: Any) -> None:
    owner = person()
    seen: list[str] = []
    for _ in range(5):
        challenge = ceremony.open_challenge(actor=Actor.of(owner))
        assert not set(seen) & set(challenge.words)
        seen += challenge.words


def test_the_log_does_not_show_the_words(person: Any) -> None:
    challenge, _ = answered(person())
    bodies = b"".join(bytes(leaf.body) for leaf in Leaf.objects.all())
    assert b"challenge.opened" in bodies
    assert not any(f'"{word}"'.encode() in bodies for word in challenge.words)


def test_a_second_answer_is_refused(person: Any) -> None:
    owner = person()
    challenge, _ = answered(owner)
    actor = Actor.of(owner)
    with pytest.raises(errors.ChallengeAlreadyAnswered):
        ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    with pytest.raises(errors.ChallengeAlreadyAnswered):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=2, data=SECOND)
    assert Examination.objects.count() == 1


def test_a_late_chunk_and_a_late_answer_are_refused(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    move_forward(timedelta(seconds=60))
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    move_forward(timedelta(seconds=61))
    with pytest.raises(errors.ChallengeExpired):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=1, data=SECOND)
    with pytest.raises(errors.ChallengeExpired):
        ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    assert not Examination.objects.exists()
    assert ceremony.expire_overdue() == 1
    assert ceremony.expire_overdue() == 0
    challenge.refresh_from_db()
    assert challenge.state == "expired"
    with pytest.raises(PastDeadline):
        custody.read(item=challenge.custody, actor=Actor.system("test"))


def test_another_persons_challenge_does_not_exist(person: Any) -> None:
    challenge = ceremony.open_challenge(actor=Actor.of(person()))
    stranger = Actor.of(person())
    with pytest.raises(NotFound):
        ceremony.add_chunk(actor=stranger, challenge_id=challenge.id, index=0, data=SECOND)
    with pytest.raises(NotFound):
        ceremony.answer_challenge(actor=stranger, challenge_id=challenge.id)
    assert not CustodyItem.objects.exists()


def test_sound_faster_than_life_is_refused_and_may_be_sent_again_later(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    with pytest.raises(errors.FasterThanLive) as refused:
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=1, data=SECOND * 2)
    assert refused.value.extra["retry_after"] == 1
    move_forward(timedelta(seconds=2))
    assert ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=1, data=SECOND * 2) == 2


@pytest.mark.parametrize("index", [0, 2, 7])
def test_chunks_replayed_or_left_out_are_refused(person: Any, index: int) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=b"ab")
    with pytest.raises(errors.ChunkOutOfOrder) as refused:
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=b"ab")
    assert refused.value.extra == {"expected": 1}


@pytest.mark.parametrize("data", [b"", b"abc", bytes(64 * 1024 + 2)])
def test_a_chunk_of_the_wrong_shape_is_refused(person: Any, data: bytes) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    with pytest.raises(errors.ChunkInvalid):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=data)


def test_a_flood_ends_at_one_minute_of_sound(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    move_forward(timedelta(seconds=100))
    for index in range(30):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=SECOND * 2)
    with pytest.raises(errors.AnswerTooLong):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=30, data=SECOND)


def test_silence_is_no_answer(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    with pytest.raises(errors.ChallengeUnanswered):
        ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)


def test_a_new_challenge_ends_the_open_one(person: Any) -> None:
    actor = Actor.of(person())
    first = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=first.id, index=0, data=SECOND)
    ceremony.open_challenge(actor=actor)
    with pytest.raises(errors.ChallengeExpired):
        ceremony.answer_challenge(actor=actor, challenge_id=first.id)
    assert Challenge.objects.filter(state="open").count() == 1
    assert CustodyItem.objects.get().destroyed_reason == "purpose_ended"


def test_five_failures_pause_and_the_pause_grows_and_a_new_challenge_does_not_reset_it(person: Any) -> None:
    owner = person()
    actor = Actor.of(owner)
    for _ in range(5):
        decide(answered(owner)[1], "refuse", reason="wrong_words")
    with pytest.raises(errors.PauseAfterFailures) as refused:
        ceremony.open_challenge(actor=actor)
    assert 0 < refused.value.extra["retry_after"] <= 61
    move_forward(timedelta(seconds=61))
    decide(answered(owner)[1], "inconclusive", reason="noisy")
    move_forward(timedelta(seconds=61))
    with pytest.raises(errors.PauseAfterFailures):
        ceremony.open_challenge(actor=actor)
    move_forward(timedelta(seconds=61))
    passed_challenge(owner)
    decide(answered(owner)[1], "refuse", reason="wrong_words")
    ceremony.open_challenge(actor=actor)


def test_answers_still_being_examined_count_against_the_pause(person: Any) -> None:
    owner = person()
    for _ in range(5):
        answered(owner, seconds=1)
    with pytest.raises(errors.PauseAfterFailures):
        ceremony.open_challenge(actor=Actor.of(owner))


def test_one_persons_failures_do_not_pause_another(person: Any) -> None:
    owner = person()
    for _ in range(5):
        decide(answered(owner, seconds=1)[1], "refuse")
    assert ceremony.pause_until(owner.id) > now()
    ceremony.open_challenge(actor=Actor.of(person()))
