"""Earnings, refunds, disputes and payouts over HTTP; and who may not."""

import pytest

from consent import licences
from foundation import clock
from marketplace import money
from marketplace.ledger.models import Entry
from marketplace.models import Listing, Order
from tests.marketplace.factories import heard, ready_voice

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def operator(api, person):
    return api(person(role="operator"))


@pytest.fixture
def order(api, owner, customer, operator):
    listing = api(owner).post(
        "listings",
        json={
            "voice": str(ready_voice(owner).id),
            "title": "A calm voice",
            "price_minor": 199,
            "currency": "EUR",
            "languages": ["en"],
            "licence_days": 30,
        },
    )
    heard(Listing.objects.get())
    made = api(customer).post("orders", json={"listing": listing.json()["id"], "characters": 10_000}).json()["id"]
    assert operator.post(f"orders/{made}/payment", json={"reference": "77"}).status_code == 200
    licence = Order.objects.get(id=made).licence_id
    licences.reserve(licence_id=licence, characters=1_000)
    licences.settle(licence_id=licence, characters=1_000)
    money.settle_due()
    return made


def test_an_owner_sees_what_was_earned_and_nobody_else_does(api, owner, customer, order):
    assert api(owner).get("earnings").json() == [{"currency": "EUR", "held": 199, "payable": 0}]
    movements = api(owner).get("earnings/movements").json()
    assert [(row["kind"], row["account"], row["amount_minor"]) for row in movements] == [("earn", "holdback", -199)]
    assert api(customer).get("earnings").json() == []
    assert api(customer).get("earnings/movements").json() == []
    assert api(None).get("earnings").status_code == 401
    assert api(None).get("earnings/movements").status_code == 401


def test_an_operator_refunds_what_was_not_used(operator, order):
    answer = operator.post(f"orders/{order}/refund")
    assert (answer.status_code, answer.json()["state"], answer.json()["refunded_minor"]) == (200, "refunded", 1_791)
    again = operator.post(f"orders/{order}/refund")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_a_dispute_is_opened_and_lost(operator, order):
    assert operator.post(f"orders/{order}/dispute").json()["disputed_at"] is not None
    closed = operator.post(f"orders/{order}/dispute/close", json={"lost": True}).json()
    assert (closed["state"], closed["refunded_minor"], closed["disputed_at"]) == ("refunded", 1_990, None)


def test_an_operator_pays_out_once_what_is_payable(operator, owner, order):
    body = {"person": str(owner.id), "currency": "EUR", "reference": "SEPA 1"}
    early = operator.post("payouts", json=body)
    assert (early.status_code, early.json()["code"]) == (422, "nothing_payable")
    before = Entry.objects.count()
    clock.move_forward(money.HOLDBACK)
    money.settle_due()
    first, second = operator.post("payouts", json=body), operator.post("payouts", json=body)
    assert (first.status_code, first.json()) == (201, second.json())
    assert Entry.objects.count() == before + 2


def test_nobody_else_moves_money(api, person, owner, customer, order):
    before = Entry.objects.count()
    doors = [
        (f"orders/{order}/refund", None),
        (f"orders/{order}/dispute", None),
        (f"orders/{order}/dispute/close", {"lost": True}),
        ("payouts", {"person": str(owner.id), "currency": "EUR", "reference": "x"}),
    ]
    for who in (owner, customer, person(role="moderator"), person(role="auditor")):
        for door, body in doors:
            answer = api(who).post(door, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    for door, body in doors:
        assert api(None).post(door, json=body).status_code == 401
    assert (Entry.objects.count(), Order.objects.get().state) == (before, "fulfilled")


@pytest.mark.parametrize(
    "change", [{"currency": "XXX"}, {"person": "no"}, {"reference": ""}, {"reference": "x" * 61}, {"currency": None}]
)
def test_a_payout_of_bad_fields_is_refused(operator, owner, order, change):
    before = Entry.objects.count()
    body = {"person": str(owner.id), "currency": "EUR", "reference": "SEPA 1", **change}
    answer = operator.post("payouts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert Entry.objects.count() == before
