"""Listings, orders and statements over HTTP; and who may not."""

import uuid

import pytest

from consent.models import Licence
from marketplace.models import Listing, Order
from tests.marketplace.factories import heard, published, ready_voice, used

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner):
    return ready_voice(owner, rehearsal=True)


def terms(voice, **fields):
    free = {"title": "A calm voice", "price_minor": 0, "currency": "EUR", "languages": ["en"], "licence_days": 30}
    return {"voice": str(voice.id), **free, **fields}


def test_an_owner_lists_and_a_customer_gets_a_licence(api, person, owner, voice):
    listing = api(owner).post("listings", json=terms(voice))
    assert listing.status_code == 201
    client = api(person())
    assert client.get("listings").json() == []
    published(Listing.objects.get(), person(role="moderator"))
    assert [row["id"] for row in client.get("listings").json()] == [listing.json()["id"]]
    order = client.post("orders", json={"listing": listing.json()["id"], "characters": 5_000})
    assert (order.status_code, order.json()["state"], order.json()["rehearsal"]) == (201, "fulfilled", True)
    assert str(Licence.objects.get().id) == order.json()["licence"]
    assert client.get(f"orders/{order.json()['id']}").json() == order.json()


def test_a_resent_order_makes_no_second_licence(api, person, owner, voice):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    heard(Listing.objects.get())
    client, body = api(person()), {"listing": listing, "characters": 5_000}
    first = client.post("orders", json=body, Idempotency_Key="order-1")
    second = client.post("orders", json=body, Idempotency_Key="order-1")
    assert first.json() == second.json()
    assert (Order.objects.count(), Licence.objects.count()) == (1, 1)


def test_a_priced_order_is_fulfilled_when_an_operator_records_its_payment(api, person):
    owner = person()
    listing = api(owner).post("listings", json=terms(ready_voice(owner), price_minor=199)).json()["id"]
    heard(Listing.objects.get())
    customer = api(person())
    order = customer.post("orders", json={"listing": listing, "characters": 1_833}).json()
    assert (order["state"], order["amount_minor"], order["licence"]) == ("placed", 364, None)
    for nobody in (customer, api(owner), api(person(role="moderator"))):
        refused = nobody.post(f"orders/{order['id']}/payment", json={"reference": "77"})
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert Order.objects.get().state == "placed"
    paid = api(person(role="operator")).post(f"orders/{order['id']}/payment", json={"reference": "77"})
    assert (paid.status_code, paid.json()["state"]) == (200, "fulfilled")


def test_a_rehearsal_voice_is_not_for_sale(api, owner, voice):
    answer = api(owner).post("listings", json=terms(voice, price_minor=1))
    assert (answer.status_code, answer.json()["code"]) == (422, "rehearsal_not_for_sale")
    assert not Listing.objects.exists()


def test_an_owner_does_not_order_their_own_voice(api, owner, voice):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    heard(Listing.objects.get())
    answer = api(owner).post("orders", json={"listing": listing, "characters": 100})
    assert (answer.status_code, answer.json()["code"]) == (403, "own_voice")
    assert not Order.objects.exists()


def test_foreign_and_unknown_things_look_the_same(api, person, owner, voice):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    heard(Listing.objects.get())
    order = api(person()).post("orders", json={"listing": listing, "characters": 100}).json()["id"]
    stranger = api(person())
    for answer in (
        stranger.post("listings", json=terms(voice)),
        stranger.post("listings", json={**terms(voice), "voice": str(uuid.uuid4())}),
        stranger.post(f"listings/{listing}/withdraw"),
        stranger.post(f"listings/{uuid.uuid4()}/withdraw"),
        stranger.get(f"orders/{order}"),
        stranger.get(f"orders/{uuid.uuid4()}"),
        stranger.post(f"orders/{order}/cancel"),
        stranger.get(f"listings/{uuid.uuid4()}"),
        stranger.post("orders", json={"listing": str(uuid.uuid4()), "characters": 100}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert Listing.objects.get().state == "live"
    assert Order.objects.count() == 1


@pytest.mark.parametrize("role", ["auditor", "operator", None])
def test_who_has_no_part_in_the_market_changes_nothing(api, person, owner, voice, role):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    heard(Listing.objects.get())
    client = api(person(role=role) if role else None)
    answers = [
        client.post("listings", json=terms(voice)),
        client.post(f"listings/{listing}/withdraw"),
        client.post("orders", json={"listing": listing, "characters": 100}),
    ]
    assert {answer.status_code for answer in answers} == {403 if role else 401}
    assert Listing.objects.get().state == "live"
    assert not Order.objects.exists()


def test_a_key_without_the_scope_does_not_trade(api, person, owner, voice):
    client = api(owner, scopes=["market:read"])
    answer = client.post("listings", json=terms(voice))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"price_minor": -1},
        {"price_minor": 10**18},
        {"price_minor": 1.5},
        {"currency": "XXX"},
        {"languages": []},
        {"licence_days": 36_500},
        {"title": ""},
    ],
)
def test_malformed_terms_are_refused(api, owner, voice, fields):
    answer = api(owner).post("listings", json=terms(voice, **fields))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert not Listing.objects.exists()


@pytest.mark.parametrize("characters", [0, -5, 10**18, "many"])
def test_malformed_orders_are_refused(api, person, owner, voice, characters):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    heard(Listing.objects.get())
    answer = api(person()).post("orders", json={"listing": listing, "characters": characters})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert not Order.objects.exists()


def test_a_statement_is_the_owners_own(api, person, owner, voice):
    used(voice, owner, characters=80)
    period = "statements?since=2020-01-01T00:00:00Z&until=2020-12-31T00:00:00Z"
    assert api(owner).get(period).json()["lines"] == []
    from foundation.clock import now

    year = now().year
    period = f"statements?since={year}-01-01T00:00:00Z&until={year + 1}-01-01T00:00:00Z"
    (line,) = api(owner).get(period).json()["lines"]
    assert (line["characters"], line["amount_minor"], line["licence"]) == (80, 0, None)
    assert api(person()).get(period).json()["lines"] == []
    assert api(None).get(period).status_code == 401


@pytest.mark.parametrize(
    "query",
    ["", "?since=2026-01-01T00:00:00Z", "?since=x&until=y", "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"],
)
def test_a_statement_needs_a_period_that_makes_sense(api, owner, query):
    answer = api(owner).get(f"statements{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
