"""A licence's counters: exact in any order of events, and under real concurrency."""

import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from consent import errors, licences
from consent.models import Licence
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from tests.consent.factories import consent

SYSTEM = Actor.system("test")


def licence(person: Any, cap: int) -> Licence:
    return licences.grant_licence(
        actor=SYSTEM, consent=consent(person()), licensee=person(), scope={}, characters_cap=cap
    )


@pytest.mark.django_db
def test_counters_follow_the_model_in_any_order_of_events(person: Any) -> None:
    made = licence(person, cap=100)

    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        steps=st.lists(st.tuples(st.sampled_from(["reserve", "settle", "release"]), st.integers(-1, 120)), max_size=15)
    )
    def history(steps: list[tuple[str, int]]) -> None:
        used = reserved = 0
        Licence.objects.filter(id=made.id).update(characters_used=0, characters_reserved=0)
        for verb, n in steps:
            legal = n >= 1 and (used + reserved + n <= 100 if verb == "reserve" else reserved >= n)
            call = getattr(licences, verb)
            if legal:
                call(licence_id=made.id, characters=n)
                reserved += n if verb == "reserve" else -n
                used += n if verb == "settle" else 0
            else:
                with pytest.raises((errors.LicenceCapReached, errors.NothingReserved, errors.LicenceInvalid)):
                    call(licence_id=made.id, characters=n)
            made.refresh_from_db()
            assert (made.characters_used, made.characters_reserved) == (used, reserved)
            assert used + reserved <= made.characters_cap

    history()


@pytest.mark.django_db
def test_the_database_itself_keeps_the_cap(person: Any) -> None:
    made = licence(person, cap=10)
    for change in (
        {"characters_used": 11},
        {"characters_used": 6, "characters_reserved": 5},
        {"characters_reserved": -1},
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            Licence.objects.filter(id=made.id).update(**change)


@pytest.mark.django_db
def test_what_was_reserved_is_settled_even_when_the_licence_has_ended(person: Any) -> None:
    made = licence(person, cap=10)
    licences.reserve(licence_id=made.id, characters=7)
    with pytest.raises(NotFound):
        licences.end_licence(actor=Actor.of(person()), licence_id=made.id, reason="test")
    licences.end_licence(actor=Actor.of(made.licensee), licence_id=made.id, reason="given_up")
    licences.end_licence(actor=Actor.of(made.licensee), licence_id=made.id, reason="given_up")
    licences.settle(licence_id=made.id, characters=4)
    licences.release(licence_id=made.id, characters=3)
    with pytest.raises(errors.LicenceEnded):
        licences.reserve(licence_id=made.id, characters=1)
    made.refresh_from_db()
    assert (made.characters_used, made.characters_reserved) == (4, 0)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_pass_the_cap(person: Any) -> None:
    made = licence(person, cap=50)
    taken: list[int] = []

    def work() -> None:
        try:
            for _ in range(10):
                try:
                    licences.reserve(licence_id=made.id, characters=3)
                except errors.LicenceCapReached:
                    continue
                licences.settle(licence_id=made.id, characters=3)
                taken.append(3)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.refresh_from_db()
    assert made.characters_used == sum(taken) == 48
    assert made.characters_reserved == 0
