"""``manage.py licence_audit``: an honest history has no finding; each way of cheating has one, by name, with proofs."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from cloning.models import Output, SpeechRequest, Usage
from consent import licences, seats
from consent.models import Consent, Licence
from foundation import clock, keys
from foundation.audit import verify
from foundation.identity.actors import Actor
from marketplace import auditing
from tests.marketplace.factories import ready_voice, spoken, used

pytestmark = pytest.mark.django_db
USES = {"own_use": True, "licence_to_others": True, "advertising": True}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def voice(owner):
    return ready_voice(owner, uses=USES, languages=["en", "zh"])


def granted(voice, customer, cap=1_000, **scope) -> Licence:
    return licences.grant_licence(
        actor=Actor.of(voice.owner), consent=voice.consent, licensee=customer, scope=scope, characters_cap=cap
    )


def found(**between) -> dict[str, int]:
    since, until = clock.now() - timedelta(days=2), clock.now() + timedelta(minutes=1)
    return dict(auditing.audit(**{"since": since, "until": until, **between}).counts)


def without_guards(sql: str, *values) -> None:
    """What somebody with the database's own password could do."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_an_honest_history_has_no_finding(voice, owner, customer, person):
    licence = granted(voice, customer, caps={"seats": 2, "outputs": 5, "seconds": 20})
    spoken(voice, owner, characters=80)
    spoken(voice, customer, characters=600, licence=licence)
    seat, code = seats.invite(actor=Actor.of(customer), licence_id=licence.id)
    guest = person()
    seats.join(actor=Actor.of(guest), code=code)
    spoken(voice, guest, characters=400, licence=licence)
    seats.take_back(actor=Actor.of(guest), seat_id=seat.id)
    licences.end_licence(actor=Actor.of(customer), licence_id=licence.id, reason="given_up")
    done = auditing.audit(since=clock.now() - timedelta(days=1), until=clock.now() + timedelta(minutes=1))
    assert (done.outputs, done.licences, dict(done.counts)) == (3, 1, {})
    call_command("licence_audit")


def test_what_was_spoken_without_a_licence_or_by_somebody_else_is_found(voice, customer, person):
    spoken(voice, customer, characters=10)
    spoken(voice, person(), characters=10, licence=granted(voice, customer))
    assert found() == {"unlicensed": 1, "not_licensee": 1}


def test_a_seat_counts_only_while_it_is_taken(voice, customer, person):
    licence, guest = granted(voice, customer, caps={"seats": 2}), person()
    seat, code = seats.invite(actor=Actor.of(customer), licence_id=licence.id)
    seats.join(actor=Actor.of(guest), code=code)
    seats.take_back(actor=Actor.of(guest), seat_id=seat.id)
    spoken(voice, guest, characters=10, licence=licence)
    assert found() == {"not_licensee": 1}


def test_own_use_needs_its_own_yes(owner):
    spoken(ready_voice(owner, uses={"licence_to_others": True}), owner, characters=10)
    assert found() == {"own_use": 1}


@pytest.mark.parametrize("late", [timedelta(seconds=1), timedelta(days=9)])
def test_what_was_cleared_after_the_licence_s_end_is_found_and_what_was_cleared_before_is_not(voice, customer, late):
    licence = granted(voice, customer)
    use = spoken(voice, customer, characters=10, licence=licence)
    licences.end_licence(actor=Actor.of(customer), licence_id=licence.id, reason="given_up")
    assert found() == {}
    licence.refresh_from_db()
    SpeechRequest.objects.filter(id=use.output.request_id).update(cleared_at=licence.ended_at + late)
    assert found() == {"term": 1}


def test_what_was_spoken_under_an_ended_consent_is_found(voice, owner):
    use = spoken(voice, owner, characters=10)
    Consent.objects.filter(id=voice.consent_id).update(state="withdrawn", ended_at=clock.now(), ended_leaf=0)
    assert found() == {}
    SpeechRequest.objects.filter(id=use.output.request_id).update(cleared_at=clock.now())
    assert found() == {"consent": 1}


@pytest.mark.parametrize(
    ("scope", "request_", "kinds"),
    [
        ({"languages": ["zh"]}, {}, {"languages": 1}),
        ({"channels": ["online"]}, {"channel": "cinema"}, {"channels": 1}),
        ({"channels": ["online"]}, {"channel": "online"}, {}),
        ({"channels": ["online"]}, {}, {"channels": 1}),
        ({"territory": ["DE"]}, {"territory": "FR"}, {"territory": 1}),
        ({"territory": ["DE"]}, {"territory": "DE"}, {}),
        ({"uses": []}, {"uses": ["advertising"]}, {"uses": 1}),
        ({}, {"uses": ["advertising"]}, {}),
        ({}, {"uses": ["political"]}, {"uses": 1}),
        ({}, {"language": "zh"}, {"uses": 1}),
        ({"moderation": "every"}, {}, {"approval": 1}),
    ],
)
def test_what_a_scope_does_not_cover_is_found(voice, customer, scope, request_, kinds):
    use = spoken(voice, customer, characters=10, licence=granted(voice, customer, **scope))
    SpeechRequest.objects.filter(id=use.output.request_id).update(**request_)
    assert found() == kinds


def test_over_use_is_found_where_it_begins_also_when_the_period_cuts_it(voice, customer):
    licence = granted(voice, customer, cap=100, caps={"outputs": 3, "seconds": 4})
    for _ in range(2):
        spoken(voice, customer, characters=50, licence=licence)
    assert found() == {}
    without_guards("UPDATE consent_licence SET characters_cap = 300, milliseconds_cap = 9000, outputs_cap = 9")
    middle = clock.now()
    for _ in range(2):
        spoken(voice, customer, characters=50, licence=licence)
    # The database refuses a counter above its cap, so whoever hides an over-use has to lower the counter too.
    without_guards(
        "UPDATE consent_licence SET characters_cap = 100, milliseconds_cap = 4000, outputs_cap = 3,"
        " characters_used = 100, milliseconds_used = 4000, outputs_used = 3"
    )
    over = {"cap.characters": 2, "cap.seconds": 2, "cap.outputs": 1, "counter": 1}
    assert found() == found(since=middle) == over
    assert found(until=middle) == {"counter": 1}


def test_a_second_licence_beside_an_exclusive_one_is_found(voice, customer, person):
    other = person()
    plain = granted(voice, other)
    without_guards(
        "UPDATE consent_licence SET scope = '{\"exclusive\": true}' WHERE id = %s", granted(voice, customer).id
    )
    spoken(voice, other, characters=10, licence=plain)
    assert found() == {"exclusive": 1, "licence_log": 1}


def test_rows_that_do_not_say_what_the_log_says_are_found(voice, customer):
    licence = granted(voice, customer)
    first = spoken(voice, customer, characters=10, licence=licence)
    second = spoken(voice, customer, characters=10, licence=licence)
    without_guards("UPDATE cloning_usage SET characters = 9 WHERE id = %s", first.id)
    assert found() == {"log": 1, "counter": 1}
    with transaction.atomic():  # rolled back: what is left behind would break the database's own references
        without_guards("DELETE FROM cloning_usage WHERE id = %s", second.id)
        assert found() == {"log": 1, "counter": 1, "unmetered": 1}
        without_guards("DELETE FROM cloning_output WHERE id = %s", second.output_id)
        assert found() == {"log": 1, "counter": 1, "unrecorded": 1}
        transaction.set_rollback(True)


def test_a_licence_that_was_widened_behind_the_log_s_back_is_found(voice, customer):
    granted(voice, customer)
    without_guards("UPDATE consent_licence SET characters_cap = 999999")
    assert found() == {"licence_log": 1}


def test_an_output_whose_leaf_is_another_s_is_found(voice, customer):
    used(voice, customer, characters=10, licence=granted(voice, customer))
    assert set(found()) == {"log", "counter"}


@pytest.mark.django_db(transaction=True)
def test_the_command_exits_with_1_and_its_report_proves_the_entries_offline(person, tmp_path, capsys):
    owner, customer = person(), person()
    voice = ready_voice(owner)
    spoken(voice, customer, characters=10)
    path = tmp_path / "audit.json"
    with pytest.raises(CommandError) as ended:
        call_command("licence_audit", json=path)
    assert ended.value.returncode == 1
    output = Output.objects.get()
    assert f"BREACH unlicensed: output:{output.id}" in capsys.readouterr().out
    report = json.loads(path.read_text())
    assert report["counts"] == {"unlicensed": 1}
    (finding,) = report["findings"]
    leaf = verify.verify_receipt(report["proofs"][str(finding["leaves"][0])], keys.public_key("log"))
    assert (leaf.subject, leaf.data["licence"]) == (finding["subject"], None)
    with pytest.raises(CommandError) as ended:
        call_command("licence_audit", since=clock.now(), until=clock.now() - timedelta(days=1))
    assert ended.value.returncode == 2
    assert Usage.objects.count() == 1
