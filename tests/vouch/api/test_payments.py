"""Paying over HTTP, the providers' door, and who may not."""

import pytest

from marketplace import tasks
from marketplace.ledger.models import Entry
from marketplace.models import Order
from marketplace.payments import registry
from marketplace.payments.models import Payment, ProviderEvent
from marketplace.payments.provider import Charge, EventKind
from tests.marketplace.payments.conftest import Sale, sale  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


def run_now(task: str, argument: str) -> None:
    getattr(tasks, task.removeprefix("marketplace.")).run(argument)


def event(sale: Sale, kind: EventKind = EventKind.HELD):  # noqa: F811
    charge = Charge(sale.order.id, sale.order.amount_minor, sale.order.currency)
    return registry.embedded().event("evt", kind, f"test_{sale.order.id}", charge)


def test_a_customer_pays_with_a_test_card(api, sale: Sale, monkeypatch):  # noqa: F811
    monkeypatch.setattr("marketplace.sending.deliver", run_now)
    customer = api(sale.customer)
    begun = customer.post(f"orders/{sale.order.id}/pay").json()
    assert (begun["provider"], begun["state"], begun["order"]) == ("test", "begun", str(sale.order.id))
    assert customer.post(f"orders/{sale.order.id}/pay/test", json={"card": "declined"}).json() == {"outcome": "failed"}
    with sale.capture():
        assert customer.post(f"orders/{sale.order.id}/pay/test", json={"card": "ok"}).json() == {"outcome": "held"}
    (order,) = customer.get("orders").json()
    assert (order["state"], order["licence"] is not None) == ("fulfilled", True)


def test_a_providers_event_comes_in_signed_and_twice_is_once(api, sale: Sale):  # noqa: F811
    sale.begin()
    body, headers = event(sale)
    first = api(None).post("payments/events/test", content=body, **headers)
    again = api(None).post("payments/events/test", content=body, **headers)
    assert (first.status_code, first.json(), again.json()) == (200, {"outcome": "held"}, {"outcome": "seen"})


def test_an_event_with_a_bad_signature_is_refused_by_name(api, sale: Sale):  # noqa: F811
    sale.begin()
    body, headers = event(sale)
    for content, under in ((body, {}), (body + b" ", headers)):
        answer = api(None).post("payments/events/test", content=content, **under)
        assert (answer.status_code, answer.json()["code"]) == (403, "event_not_signed")
    assert not ProviderEvent.objects.exists()


def test_a_provider_that_is_not_in_use_has_no_door(api, sale: Sale, settings):  # noqa: F811
    body, headers = event(sale)
    assert api(None).post("payments/events/other", content=body, **headers).status_code == 404
    assert api(None).post("payments/events/stripe", content=body, **headers).json()["code"] == "payments_off"
    settings.VOUCH_PAYMENTS = "off"
    assert api(None).post("payments/events/test", content=body, **headers).json()["code"] == "payments_off"
    answer = api(sale.customer).post(f"orders/{sale.order.id}/pay/test", json={"card": "ok"})
    assert answer.json()["code"] == "payments_off"


def test_nobody_pays_or_sees_anothers_order(api, person, sale: Sale):  # noqa: F811
    before = Entry.objects.count()
    for who in (sale.owner, person(), person(role="moderator")):
        for door, body in ((f"orders/{sale.order.id}/pay", None), (f"orders/{sale.order.id}/pay/test", {"card": "ok"})):
            assert api(who).post(door, json=body).status_code in (403, 404)
    assert api(sale.owner).get("orders").json() == []
    for door in ("orders", f"orders/{sale.order.id}"):
        assert api(None).get(door).status_code == 401
    assert api(None).post(f"orders/{sale.order.id}/pay").status_code == 401
    assert (Payment.objects.count(), Entry.objects.count(), Order.objects.get().state) == (0, before, "placed")


@pytest.mark.parametrize("quoted", [1, 1_989, 0])
def test_a_price_that_changed_since_the_quote_is_refused(api, person, sale: Sale, quoted):  # noqa: F811
    body = {"listing": str(sale.order.listing_id), "characters": 10_000, "quoted_minor": quoted}
    customer = person()
    answer = api(customer).post("orders", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["amount_minor"]) == (409, "price_changed", 1_990)
    assert not Order.objects.filter(customer=customer).exists()
    assert api(customer).post("orders", json={**body, "quoted_minor": 1_990}).status_code == 201


@pytest.mark.parametrize("quoted", [-1, 10**18, "x"])
def test_a_quote_that_cannot_be_is_refused(api, sale: Sale, quoted):  # noqa: F811
    body = {"listing": str(sale.order.listing_id), "characters": 1, "quoted_minor": quoted}
    answer = api(sale.customer).post("orders", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


def test_a_trial_and_a_number_exclude_each_other(api, person, sale: Sale):  # noqa: F811
    customer = api(person())
    listing = {"listing": str(sale.order.listing_id)}
    for body in (listing, {**listing, "trial": True, "characters": 5}, {**listing, "trial": False}):
        answer = customer.post("orders", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert customer.post("orders", json={**listing, "trial": True}).json()["code"] == "bad_terms"
    assert Order.objects.count() == 1
