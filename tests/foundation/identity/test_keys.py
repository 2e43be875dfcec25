"""API keys: stored hashed, never wider than their person, gone when revoked."""

import pytest

from foundation.identity import services
from foundation.identity.actors import Actor, MissingScope, WrongRole
from foundation.identity.models import ApiKey, Person
from foundation.identity.selectors import actor_for_key

pytestmark = pytest.mark.django_db


def test_the_plaintext_of_a_key_is_not_in_the_database(person):
    key, plain = services.issue_api_key(actor=Actor.system("t"), person=person(), name="k")
    secret = plain.split("_", 2)[2]
    assert secret not in str(ApiKey.objects.filter(id=key.id).values().get())
    assert actor_for_key(plain)[1].id == key.person_id


@pytest.mark.parametrize("wrong", ["", "vk_", "vk_a_b", "Bearer", "vk_" + "0" * 12 + "_x", "vk_" + "a" * 300])
def test_a_wrong_key_is_nobody(wrong):
    assert actor_for_key(wrong) is None


def test_a_key_with_one_character_changed_is_nobody(person):
    _, plain = services.issue_api_key(actor=Actor.system("t"), person=person(), name="k")
    changed = plain[:-1] + ("A" if plain[-1] != "A" else "B")
    assert actor_for_key(changed) is None


def test_a_revoked_key_is_nobody_and_revoking_twice_is_quiet(person):
    who = person()
    key, plain = services.issue_api_key(actor=Actor.system("t"), person=who, name="k")
    for _ in range(2):
        services.revoke_api_key(actor=Actor.of(who), key_id=str(key.id))
    assert actor_for_key(plain) is None


def test_a_key_cannot_give_what_its_person_may_not(person):
    who = person()
    with pytest.raises(MissingScope):
        services.issue_api_key(actor=Actor.of(who), person=who, name="k", scopes=["moderate"])
    assert not ApiKey.objects.exists()


def test_a_narrow_key_cannot_issue_a_wider_one(person):
    who = person()
    narrow = Actor.of(who, frozenset({"speak"}))
    with pytest.raises(MissingScope):
        services.issue_api_key(actor=narrow, person=who, name="k", scopes=["consent:write"])
    assert not ApiKey.objects.exists()


def test_a_disabled_person_has_no_working_key(person):
    who = person()
    _, plain = services.issue_api_key(actor=Actor.system("t"), person=who, name="k")
    Person.objects.filter(id=who.id).update(is_active=False)
    assert actor_for_key(plain) is None


def test_staff_accounts_cannot_be_made_by_people(person):
    with pytest.raises(WrongRole):
        services.register_person(
            actor=Actor.of(person()),
            email="m@example.org",
            display_name="M",
            password="long enough 42",
            role="moderator",
        )
    assert not Person.objects.filter(email="m@example.org").exists()
