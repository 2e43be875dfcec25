"""Scope is enforced before synthesis, and a refusal cites the clause and the number."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from cloning import errors, gate, jobs, services, texts
from cloning.models import SpeechRequest
from cloning.topics import topics
from consent import licences, seats
from consent.errors import LicenceCapReached
from consent.models import Licence
from consent.scopes import TOPICS
from foundation import clock
from foundation.identity.actors import Actor
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db
USES = {"own_use": True, "licence_to_others": True, "advertising": True, "cross_lingual": False}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def voice(owner):
    return make.voice(owner, make.consent(owner, uses=USES, languages=["en", "zh"]))


def ask(who, voice, text=make.TEXT, language="en", **declared) -> SpeechRequest:
    return services.request_speech(actor=Actor.of(who), voice_id=voice.id, text=text, language=language, **declared)


def refused(who, voice, **asked) -> errors.GateRefused:
    with pytest.raises(errors.GateRefused) as found:
        ask(who, voice, **asked)
    assert not SpeechRequest.objects.filter(requester=who).exists()
    return found.value


def test_the_last_character_is_spoken_and_the_next_one_is_refused_with_both_numbers(customer, voice):
    make.licence(voice.consent, customer, cap=10_000)
    for _ in range(2):
        request = ask(customer, voice, text="a b" + "c" * 4_997)
        gate.clear_speech(actor=make.SYSTEM, request=request)
        jobs.settle(SpeechRequest.objects.get(id=request.id), seconds=1.0)
    with pytest.raises(errors.LicenceCap) as full:
        ask(customer, voice, text="a")
    assert full.value.detail == "cap: 10 000 of 10 000 characters used"
    assert (full.value.code, full.value.extra["clause"]) == ("licence_cap", "caps.characters")
    assert Licence.objects.get().characters_used == 10_000


def test_a_text_longer_than_what_is_left_is_told_how_much_it_needs(customer, voice):
    make.licence(voice.consent, customer, cap=10)
    found = refused(customer, voice, text="twelve chars")
    assert (found.detail, found.extra["characters_left"]) == ("cap: 0 of 10 characters used; this text needs 12", 10)


@pytest.mark.parametrize(
    ("scope", "asked", "clause"),
    [
        ({"languages": ["zh"]}, {}, "languages"),
        ({"channels": ["online"]}, {}, "channels"),
        ({"channels": ["online"]}, {"channel": "broadcast"}, "channels"),
        ({"territory": ["DE"]}, {"territory": "FR"}, "territory"),
        ({"territory": ["DE"]}, {}, "territory"),
        ({"uses": []}, {"uses": ["advertising"]}, "uses.advertising"),
        ({}, {"uses": ["political"]}, "uses.political"),
        ({}, {"language": "zh", "text": "你好，世界"}, "uses.cross_lingual"),
        ({"blocked": ["medical"]}, {"text": "Your prescription is ready."}, "blocked.medical"),
        ({"caps": {"seconds": 3}}, {}, "caps.seconds"),
    ],
)
def test_what_the_scope_does_not_cover_is_refused_by_its_clause(customer, voice, scope, asked, clause):
    make.licence(voice.consent, customer, scope=scope)
    found = refused(customer, voice, **asked)
    assert found.extra["clause"] == clause
    assert clause.split(".")[0].rstrip("s") in found.detail
    assert Licence.objects.get().characters_reserved == 0


def test_what_the_scope_covers_is_spoken_as_declared(customer, voice):
    scope = {"channels": ["online"], "territory": ["DE", "FR"], "uses": ["advertising"], "blocked": ["politics"]}
    make.licence(voice.consent, customer, scope=scope)
    request = ask(customer, voice, channel="online", territory="DE", uses=["advertising"])
    assert request.job.state == "queued"
    assert gate.clear_speech(actor=make.SYSTEM, request=request)
    assert SpeechRequest.objects.get(id=request.id).cleared_at is not None


@pytest.mark.parametrize(
    ("declared", "code"),
    [({"channel": "billboard"}, "unknown_channel"), ({"territory": "Germany"}, "unknown_territory"),
     ({"uses": ["weather"]}, "unknown_use")],
)  # fmt: skip
def test_words_nobody_knows_are_refused(customer, voice, declared, code):
    with pytest.raises(errors.TextInvalid) as found:
        ask(customer, voice, **declared)
    assert found.value.code == code


def test_a_cap_of_outputs_is_exact_and_a_failed_one_is_given_back(customer, voice):
    make.licence(voice.consent, customer, scope={"caps": {"outputs": 2}})
    first = ask(customer, voice)
    ask(customer, voice)
    with pytest.raises(errors.LicenceCap, match="cap: 2 of 2 outputs used"):
        ask(customer, voice)
    jobs.release(first)
    assert ask(customer, voice).job.state == "queued"


def test_seconds_are_set_aside_before_and_counted_after(customer, voice):
    make.licence(voice.consent, customer, scope={"caps": {"seconds": 15}})
    request = ask(customer, voice)
    held = Licence.objects.get()
    assert held.milliseconds_reserved == request.reserved_ms == texts.longest_ms(make.TEXT) > 4_000
    jobs.settle(request, seconds=4.2)
    held.refresh_from_db()
    assert (held.milliseconds_used, held.milliseconds_reserved, held.outputs_used) == (4_200, 0, 1)


def test_a_recording_longer_than_its_licence_has_room_for_is_not_settled(customer, voice):
    make.licence(voice.consent, customer, scope={"caps": {"seconds": 15}})
    request = ask(customer, voice)
    with pytest.raises(LicenceCapReached):
        jobs.settle(request, seconds=15.5)
    assert Licence.objects.get().milliseconds_used == 0


def test_of_two_licences_the_one_that_covers_it_is_used_or_the_one_that_is_named(customer, voice):
    wide = make.licence(voice.consent, customer, cap=100)
    narrow = make.licence(voice.consent, customer, cap=1_000, scope={"channels": ["audiobook"]})
    assert ask(customer, voice).licence == wide
    assert ask(customer, voice, text="Short.", channel="audiobook", licence_id=narrow.id).licence == narrow
    with pytest.raises(errors.LicenceScope):
        ask(customer, voice, licence_id=narrow.id)


def test_the_worker_keeps_to_the_licence_the_request_was_made_under(customer, voice):
    """After the first request the other licence has most left: the second look must not wander to it."""
    make.licence(voice.consent, customer, cap=100)
    make.licence(voice.consent, customer, cap=99)
    request = ask(customer, voice)
    assert gate.clear_speech(actor=make.SYSTEM, request=request)


def test_a_licence_of_somebody_else_cannot_be_named(customer, voice, person):
    other = make.licence(voice.consent, person())
    assert refused(customer, voice, licence_id=other.id).code == "no_licence"


def test_a_seat_lets_another_person_speak_until_it_is_given_back(customer, voice, person):
    guest = person()
    held = make.licence(voice.consent, customer, scope={"caps": {"seats": 2}})
    assert refused(guest, voice).code == "no_licence"
    seat, code = seats.invite(actor=Actor.of(customer), licence_id=held.id)
    seats.join(actor=Actor.of(guest), code=code)
    assert ask(guest, voice).licence == held
    seats.take_back(actor=Actor.of(customer), seat_id=seat.id)
    with pytest.raises(errors.NoLicence):
        ask(guest, voice)


def test_a_licence_ends_on_its_day(customer, voice):
    held = make.licence(voice.consent, customer)
    clock.move_forward(held.valid_until - clock.now() + timedelta(seconds=1))
    assert refused(customer, voice, licence_id=held.id).extra["clause"] == "term"
    assert refused(customer, voice).code == "no_licence"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The weather is lovely this morning.", set()),
        ("Please v0te f o r the candidate.", {"politics"}),
        ("您的处方已经准备好了。", {"medical"}),
        ("I hereby agree, said the defendant.", {"contracts", "legal"}),
        ("请把钱转账到这个银行账户。", {"money"}),
    ],
)
def test_topics_are_recognised_in_both_languages(text, found):
    assert topics(text) == found <= set(TOPICS)


def _race(person: Any, count: int) -> None:
    owner, customer = person(), person()
    voice = make.voice(owner, make.consent(owner))
    room = count // 3
    held = make.licence(voice.consent, customer, cap=len(make.TEXT) * room + len(make.TEXT) - 1)
    gate_opens, answers = threading.Barrier(count), []

    def request() -> None:
        try:
            gate_opens.wait()
            ask(customer, voice)
            answers.append("queued")
        except errors.LicenceCap as refusal:
            answers.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=request) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held.refresh_from_db()
    assert sorted(answers) == ["licence_cap"] * (count - room) + ["queued"] * room
    assert held.characters_reserved == SpeechRequest.objects.count() * len(make.TEXT) == room * len(make.TEXT)
    assert held.outputs_reserved == room


@pytest.mark.django_db(transaction=True)
def test_a_dozen_at_once_against_the_last_units_of_a_cap_never_pass_it(person):
    _race(person, 12)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_hundred_at_once_against_the_last_units_of_a_cap_never_pass_it(person):
    _race(person, 100)


def test_the_audited_moment_is_the_worker_s(customer, voice):
    make.licence(voice.consent, customer)
    request = ask(customer, voice)
    assert request.cleared_at is None
    gate.clear_speech(actor=make.SYSTEM, request=request)
    assert request.cleared_at is not None


def test_licences_granted_by_the_owner_alone_say_who_did_not_sign(customer, voice):
    held = licences.grant_licence(
        actor=Actor.system("test"), consent=voice.consent, licensee=customer, scope={}, characters_cap=5
    )
    assert held.statement["signatures"] == {"licensor": None, "licensee": None}
