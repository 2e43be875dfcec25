"""Nobody's id stands in a leaf; a person's salt alone tells which leaves name them, and erasing it ends that."""

import re
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from foundation.audit import canonical, events, log, people, selectors
from foundation.audit.commitments import Commitment, person_tag
from foundation.audit.models import Leaf, Opening
from foundation.identity import services
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from tests.foundation.audit.factories import example

SYSTEM = Actor.system("test")
AT = "2026-01-01T00:00:00.000000+00:00"


def written(kind: str, subject: str, actor: Actor, **data: Any) -> dict[str, Any]:
    with transaction.atomic():
        leaf = log.append(kind=kind, subject=subject, actor=actor, data=example(kind, **data))
    assert events.conforms(bytes(leaf.body))
    return dict(canonical.decode(bytes(leaf.body)))


@pytest.mark.django_db
def test_no_leaf_holds_an_id_of_a_person_wherever_a_room_writes_it(person: Any) -> None:
    one, other = person(), person()
    voice = str(uuid4())
    body = written("consent.given", f"person:{other.id}", Actor.of(one), person=str(one.id))
    report = written("report.made", f"case:{voice}", SYSTEM, subject_kind="person", subject_ref=str(other.id))
    legs = written("ledger.booked", f"entry:{voice}", SYSTEM, legs=[["owner", f"person:{one.id}", "EUR", 5]])
    text = canonical.encode([body, report, legs]).decode()
    assert str(one.id) not in text
    assert str(other.id) not in text
    assert report["subject"] == f"case:{voice}"  # what is no person stays as it is
    for found, who, leaf in (
        (body["actor"], one, body), (body["subject"], other, body), (f"person:{body['data']['person']}", one, body),
        (f"person:{report['data']['subject_ref']}", other, report), (legs["data"]["legs"][0][1], one, legs),
    ):  # fmt: skip
        assert found == f"person:{person_tag(who.id, bytes(who.log_salt), kind=leaf['kind'], at=leaf['at'])}"


@pytest.mark.django_db
def test_two_leaves_do_not_show_that_they_name_the_same_person(person: Any) -> None:
    actor = Actor.of(person())
    assert written("clock.moved", "clock", actor)["actor"] != written("clock.moved", "clock", actor)["actor"]


@pytest.mark.django_db
def test_a_person_sees_the_leaves_that_name_them_and_no_other_also_those_from_before_tags(person: Any) -> None:
    one, other, auditor = person(), person(), person("auditor")
    did = written("clock.moved", "clock", Actor.of(one))
    about = written("key.api_revoked", f"person:{one.id}", SYSTEM)
    old = {**about, "subject": f"person:{one.id}"}
    for body in (did, about, old):
        assert selectors.may_see(Actor.of(one), body)
        assert selectors.may_see(Actor.of(auditor), body)
        assert not selectors.may_see(Actor.of(other), body)
        assert not people.sight(SYSTEM)(body)


@pytest.mark.django_db
def test_with_the_salt_erased_nobody_can_tell_whom_a_leaf_names_and_no_byte_of_the_log_changed(person: Any) -> None:
    one = person()
    salt = bytes(one.log_salt)
    body = written("clock.moved", "clock", Actor.of(one))
    before = [bytes(leaf.body) for leaf in Leaf.objects.order_by("index")]
    assert body["actor"] == f"person:{person_tag(one.id, salt, kind='clock.moved', at=body['at'])}"
    people.erase_salt(person=one)
    assert [bytes(leaf.body) for leaf in Leaf.objects.order_by("index")] == before
    assert Person.objects.get(id=one.id).log_salt is None
    assert not selectors.may_see(Actor.of(one), body)
    # Later leaves that name them hide them too, under a salt that nobody kept.
    later = written("key.api_revoked", f"person:{one.id}", SYSTEM)
    assert str(one.id) not in canonical.encode(later).decode()
    assert later["subject"] != f"person:{person_tag(one.id, salt, kind=later['kind'], at=later['at'])}"
    assert not selectors.may_see(Actor.of(one), later)


@pytest.mark.django_db
def test_a_value_committed_to_for_a_person_can_be_shown_until_they_are_erased(person: Any) -> None:
    one, other = person(), person()
    mine, theirs = (people.commit_for("DE89 3704", person_id=who.id) for who in (one, other))
    assert mine != theirs
    kept = Opening.objects.get(digest=mine)
    assert Commitment(kept.digest, kept.salt).matches("DE89 3704")
    people.erase_salt(person=one)
    assert list(Opening.objects.values_list("digest", flat=True)) == [theirs]


@pytest.mark.django_db
def test_everybody_has_a_salt_of_their_own_also_who_was_there_before() -> None:
    made = services.register_person(
        actor=SYSTEM, email="a@example.org", display_name="A", password="correct horse battery"
    )
    assert len(bytes(made.log_salt or b"")) == 32
    Person.objects.update(log_salt=None)
    Person.objects.create(email="b@example.org", display_name="B")
    import_module("foundation.identity.migrations.0003_log_salt").give_salts(apps, None)
    salts = [bytes(salt or b"") for salt in Person.objects.values_list("log_salt", flat=True)]
    assert {len(salt) for salt in salts} == {32}
    assert len(set(salts)) == len(salts)


@given(st.uuids(), st.binary(min_size=32, max_size=32), st.sampled_from(sorted(events.EVENTS)), st.uuids())
def test_a_tag_is_a_uuid_that_depends_on_person_salt_kind_and_time(
    person_id: UUID, salt: bytes, kind: str, other: UUID
) -> None:
    tag = person_tag(person_id, salt, kind=kind, at=AT)
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", str(tag))
    assert tag == person_tag(person_id, salt, kind=kind, at=AT)
    others = {
        person_tag(other, salt, kind=kind, at=AT) if other != person_id else None,
        person_tag(person_id, bytes([salt[0] ^ 1]) + salt[1:], kind=kind, at=AT),
        person_tag(person_id, salt, kind=kind + "x", at=AT),
        person_tag(person_id, salt, kind=kind, at=AT.replace("2026", "2027")),
    }
    assert tag not in others
