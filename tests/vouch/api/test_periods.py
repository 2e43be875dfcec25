"""Renewals, declared revenue and memberships over HTTP and on the pages; and who may not."""

from datetime import timedelta

import pytest
from django.test import Client

from cloning.account_models import Membership
from foundation.clock import now
from marketplace.models import Listing, Order
from tests.marketplace.factories import heard, ready_voice

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


def ordered(api, owner, customer, count=1, **terms):
    fields = {"title": "A calm voice", "price_minor": 0, "currency": "EUR", "languages": ["en"], "licence_days": 60}
    api(owner).post("listings", json={"voice": str(ready_voice(owner).id), **fields, **terms})
    listing = heard(Listing.objects.latest("created_at"))
    body = {"listing": str(listing.id), "characters": count, "renews": terms["unit"] == "month"}
    made = api(customer).post("orders", json=body)
    assert made.status_code == 201, made.json()
    return made.json()


def page(person, path, **headers):
    client = Client(headers=headers)
    client.force_login(person)
    return client.get(path).content.decode()


def test_an_order_by_the_month_renews_until_its_customer_says_no(api, person, owner, customer):
    order = ordered(api, owner, customer, unit="month")
    assert (order["state"], order["renews"], order["unit"]) == ("fulfilled", True, "month")
    assert f'data-renewal="{order["id"]}" value="stop"' in page(customer, "/orders")
    path = f"orders/{order['id']}/renewal"
    for who in (owner, person(), person(role="operator")):
        assert api(who).post(path, json={"renews": False}).status_code in (403, 404)
    assert api(None).post(path, json={"renews": False}).status_code == 401
    assert Order.objects.get().renews
    assert api(customer).post(path, json={"renews": False}).json()["renews"] is False


def test_revenue_is_declared_by_the_customer_alone_and_billed(api, person, owner, customer):
    order = ordered(api, owner, customer, unit="share", price_minor=1_000)
    Order.objects.update(fulfilled_at=now().replace(day=1) - timedelta(days=2))
    path = f"orders/{order['id']}/revenue"
    (month,) = api(customer).get(path).json()["months"]
    assert month["bill"] is None
    assert f'data-declare="{order["id"]}"' in page(customer, "/orders")
    body = {"period": month["period"], "revenue_minor": 12_345}
    for who in (owner, person(), person(role="operator")):
        assert api(who).post(path, json=body).status_code in (403, 404)
    assert api(person()).get(path).status_code == 404
    assert api(None).post(path, json=body).status_code == 401
    assert Order.objects.count() == 1
    bill = api(customer).post(path, json=body).json()
    assert (bill["kind"], bill["amount_minor"], bill["follows"], bill["period"]) == (
        "bill", 1_234, order["id"], month["period"],
    )  # fmt: skip
    assert api(customer).post(path, json=body).json()["code"] == "already_declared"
    assert api(customer).post(path, json={**body, "revenue_minor": -1}).json()["code"] == "invalid_fields"
    paid = api(person(role="operator")).post(f"orders/{bill['id']}/payment", json={"reference": "77"})
    assert paid.json()["state"] == "fulfilled"
    text = page(customer, f"/orders/{bill['id']}/invoice", accept_language="zh-Hans")
    assert "申报的收入" in text
    assert "123.45 EUR" in text
    assert "10 %" in text


def test_a_person_sees_what_is_left_begins_a_trial_and_orders_months(api, person, settings, customer):
    settings.VOUCH_TIER, settings.VOUCH_MEMBERSHIP_MINOR, settings.VOUCH_FREE_CHARACTERS = "accounts", 500, 20_000
    client = api(customer)
    found = client.get("membership").json()
    assert (found["tier"], found["rates"], found["free_characters_left"], found["trial_days"]) == (
        "free", [24_000], 20_000, 14,
    )  # fmt: skip
    assert "20000 of 20000 left" in page(customer, "/membership")
    for path, body in (("membership/trial", None), ("membership", {"months": 1})):
        assert api(None).post(path, json=body).status_code == 401
        assert api(person(role="operator")).post(path, json=body).status_code == 403
    assert not Membership.objects.exists()
    begun = client.post("membership/trial").json()
    assert (begun["tier"], begun["rates"], begun["free_characters"]) == ("member", [32_000, 48_000], None)
    assert client.post("membership/trial").json()["code"] == "member_already"
    order = client.post("membership", json={"months": 2, "quoted_minor": 1_000}).json()
    assert (order["kind"], order["listing"], order["amount_minor"], order["state"]) == (
        "membership", None, 1_000, "placed",
    )  # fmt: skip
    api(person(role="operator")).post(f"orders/{order['id']}/payment", json={"reference": "77"})
    assert "会员" in page(customer, f"/orders/{order['id']}/invoice", accept_language="zh-Hans")
    assert page(customer, "/orders").count("<li id=") == 1
