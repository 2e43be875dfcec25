"""The live challenge: what counts as an answer, and everything that does not."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import connection

from consent import ceremony, errors
from consent.biometrics import words
from consent.models import Challenge, Examination
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotFound, VouchError
from foundation.identity.actors import Actor
from foundation.vault.errors import PastDeadline
from retention import custody
from retention.models import CustodyItem
from tests.consent.factories import SECOND, answered, decide, passed_challenge

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Time passes only where a test moves it: a slow machine is not a late speaker."""
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


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


def test_no_word_comes_back_until_few_are_left_and_then_the_oldest(person: Any) -> None:
    owner = person()
    known = words.asked()
    most = (len(known) - ceremony.FRESH_WORDS) // ceremony.WORDS
    moment = now() - timedelta(days=1)
    used = [list(known[at : at + ceremony.WORDS]) for at in range(0, (most + 1) * ceremony.WORDS, ceremony.WORDS)]
    Challenge.objects.bulk_create(
        Challenge(
            person=owner,
            words=asked,
            state="expired",
            opened_at=moment + timedelta(seconds=number),
            expires_at=moment + timedelta(seconds=number + 120),
        )
        for number, asked in enumerate(used)
    )
    barred = {word for asked in used[1:] for word in asked}
    assert len(barred) > 150
    for _ in range(3):
        assert not barred & set(ceremony._draw(owner.id))


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
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    move_forward(timedelta(seconds=121))
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


def test_a_file_pushed_in_one_go_is_faster_than_life_however_long_one_waited_before(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    move_forward(timedelta(seconds=10))
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=1, data=SECOND)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=2, data=SECOND)
    with pytest.raises(errors.FasterThanLive):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=3, data=SECOND)
    assert CustodyItem.objects.get().size == 3 * len(SECOND)


def test_a_stream_that_begins_late_is_refused(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    move_forward(timedelta(seconds=13))
    with pytest.raises(errors.LateStart):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    assert not CustodyItem.objects.exists()


@pytest.mark.parametrize("breaks", [[12], [4, 4, 4]], ids=["one-long", "many-short"])
def test_a_stream_that_breaks_off_takes_no_more(person: Any, breaks: list[int]) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    *short, last = breaks
    for index, seconds in enumerate(short, start=1):
        move_forward(timedelta(seconds=seconds + 1))
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=SECOND)
    move_forward(timedelta(seconds=last + 1))
    with pytest.raises(errors.StreamStalled):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=len(breaks), data=SECOND)
    found = ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    assert found.challenge.custody.size == len(breaks) * len(SECOND)


def test_a_weak_connection_may_catch_up(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    move_forward(timedelta(seconds=6))
    for index in range(1, 7):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=SECOND)


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
    for index in range(30):
        move_forward(timedelta(seconds=2))
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


# -- by address -------------------------------------------------------------------------------------------------------
HOME, ELSEWHERE = "192.0.2.7", "192.0.2.8"


def fail(person: Any, address: str = HOME) -> None:
    actor = Actor.of(person)
    challenge = ceremony.open_challenge(actor=actor, address=address)
    move_forward(timedelta(seconds=1))
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    decide(ceremony.answer_challenge(actor=actor, challenge_id=challenge.id), "refuse", reason="wrong_words")


def test_five_failures_of_five_people_pause_their_address_and_no_other(person: Any) -> None:
    for _ in range(5):
        fail(person())
    with pytest.raises(errors.PauseAfterFailures):
        ceremony.open_challenge(actor=Actor.of(person()), address=HOME)
    ceremony.open_challenge(actor=Actor.of(person()), address=ELSEWHERE)
    move_forward(timedelta(seconds=61))
    ceremony.open_challenge(actor=Actor.of(person()), address=HOME)


def test_a_pass_forgives_its_own_persons_failures_and_nobody_elses(person: Any) -> None:
    """Who can pass as themselves wins no attempts as somebody else."""
    honest = person()
    for _ in range(4):
        fail(person())
    fail(honest)
    move_forward(timedelta(seconds=61))
    passed_challenge(honest)
    ceremony.open_challenge(actor=Actor.of(honest), address=HOME)
    fail(person())
    with pytest.raises(errors.PauseAfterFailures):
        ceremony.open_challenge(actor=Actor.of(honest), address=HOME)


def test_an_address_is_kept_as_a_keyed_hash_and_forgotten_in_time(person: Any) -> None:
    fail(person())
    challenge = Challenge.objects.get()
    assert len(challenge.address_hash) == 64
    assert challenge.address_hash != hashlib.sha256(HOME.encode()).hexdigest()
    assert ceremony.forget_addresses() == 0
    move_forward(ceremony.LIFE + ceremony.FAILURES_FORGOTTEN)
    assert ceremony.forget_addresses() == 1
    challenge.refresh_from_db()
    assert (challenge.address_hash, challenge.address_until) == ("", None)


def test_an_ipv6_subscriber_is_one_address() -> None:
    same = {ceremony.hash_address(one) for one in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")}
    assert len(same) == 1
    assert ceremony.hash_address("2001:db8:1:3::1") not in same
    assert ceremony.hash_address("::ffff:192.0.2.7") == ceremony.hash_address(HOME)
    assert ceremony.hash_address("") == ceremony.hash_address("not an address") == ""


# -- races ------------------------------------------------------------------------------------------------------------


def at_once(work: list[Callable[[], Any]]) -> list[Any]:
    """What each returned or raised; all begin together, each on its own connection."""
    gate = threading.Barrier(len(work))

    def run(one: Callable[[], Any]) -> Any:
        try:
            gate.wait(timeout=30)
            return one()
        except VouchError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


@pytest.mark.django_db(transaction=True)
def test_of_answers_racing_for_one_challenge_exactly_one_counts(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=SECOND)
    outcomes = at_once([lambda: ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)] * 4)
    assert sorted(type(one).__name__ for one in outcomes) == ["ChallengeAlreadyAnswered"] * 3 + ["Examination"]
    assert Examination.objects.count() == 1
    assert Leaf.objects.filter(kind="challenge.answered").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_chunks_racing_for_one_place_exactly_one_is_kept(person: Any) -> None:
    actor = Actor.of(person())
    challenge = ceremony.open_challenge(actor=actor)
    ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=0, data=b"ab")
    outcomes = at_once(
        [
            partial(ceremony.add_chunk, actor=actor, challenge_id=challenge.id, index=1, data=data)
            for data in (b"cd", b"ef", b"gh")
        ]
    )
    assert sorted(str(one) for one in outcomes if isinstance(one, int)) == ["2"]
    assert sum(isinstance(one, errors.ChunkOutOfOrder) for one in outcomes) == 2
    item = custody.close(item=CustodyItem.objects.get(), actor=Actor.system("test"))
    assert custody.read(item=item, actor=Actor.system("test")) in (b"abcd", b"abef", b"abgh")


@pytest.mark.django_db(transaction=True)
def test_of_challenges_opened_at_once_one_stays_open(person: Any) -> None:
    actor = Actor.of(person())
    outcomes = at_once([lambda: ceremony.open_challenge(actor=actor)] * 3)
    assert all(isinstance(one, Challenge) for one in outcomes)
    assert Challenge.objects.filter(state="open").count() == 1
    words = [word for challenge in Challenge.objects.all() for word in challenge.words]
    assert len(words) == len(set(words))
