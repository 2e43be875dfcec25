"""Prices by character, second and output; the free part; trials; and what is refused."""

import pytest
from django.db import IntegrityError, transaction

from consent.errors import LicenceCapReached
from foundation.identity.actors import Actor
from marketplace import errors, money, selectors, services
from marketplace.ledger import selectors as ledger
from marketplace.models import MAX_FREE_UNITS, Listing, Order
from marketplace.states import OrderState
from tests.marketplace.factories import heard, ready_voice, spoken
from tests.marketplace.statements.conftest import check, whole

pytestmark = pytest.mark.django_db
TERMS = {"title": "A calm voice", "price_minor": 250, "currency": "EUR", "languages": ["en"], "licence_days": 30}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def operator(person):
    return Actor.of(person(role="operator"))


@pytest.fixture
def voice(owner):
    return ready_voice(owner)


def offer(owner, voice, **change):
    return heard(services.create_listing(actor=Actor.of(owner), voice_id=voice.id, **{**TERMS, **change}))


def buy(customer, listing, count, operator=None):
    order = services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=count)
    if operator is not None and order.amount_minor:
        order = services.record_payment(actor=operator, order_id=order.id, reference="77")
    return order


def statement_of(owner):
    from cloning.models import UsageAccount
    from marketplace.statements import making

    period = UsageAccount.objects.get(owner=owner).period
    return check(whole(making.make(actor=Actor.of(owner), period=period))).summary


def test_outputs_are_counted_priced_and_capped(owner, customer, operator, voice):
    order = buy(customer, offer(owner, voice, unit="output"), 2, operator)
    assert (order.amount_minor, order.quantity, order.licence.outputs_cap) == (500, 2, 2)
    spoken(voice, customer, characters=900, licence=order.licence)
    money.settle_due()
    assert ledger.earnings(person_id=owner.id)[0].held == 250
    spoken(voice, customer, characters=1, licence=order.licence)
    money.settle_due()
    assert statement_of(owner)["totals"]["EUR"]["gross"] == ledger.earnings(person_id=owner.id)[0].held == 500
    with pytest.raises(LicenceCapReached):
        spoken(voice, customer, characters=1, licence=order.licence)
    assert Order.objects.get().fully_earned


def test_seconds_are_counted_in_milliseconds(owner, customer, operator, voice):
    order = buy(customer, offer(owner, voice, unit="second", price_minor=7), 60, operator)
    assert (order.amount_minor, order.quantity, order.licence.milliseconds_cap) == (420, 60_000, 60_000)
    spoken(voice, customer, characters=20, licence=order.licence)  # 1.5 s
    money.settle_due()
    assert statement_of(owner)["totals"]["EUR"]["gross"] == ledger.earnings(person_id=owner.id)[0].held == 10


def test_the_free_part_comes_first_and_once(owner, customer, operator, voice):
    listing = offer(owner, voice, free_units=1_000, price_minor=100)
    first = buy(customer, listing, 2_000, operator)
    assert (first.amount_minor, first.quantity, first.free, first.characters) == (200, 2_000, 1_000, 3_000)
    spoken(voice, customer, characters=1_500, licence=first.licence)
    assert statement_of(owner)["totals"]["EUR"]["gross"] == 50
    assert buy(customer, listing, 2_000).free == 0


def test_a_trial_is_the_free_part_alone_and_every_use_of_it_a_line_of_zero(owner, customer, voice):
    listing = offer(owner, voice, free_units=500)
    order = buy(customer, listing, 0)
    assert (order.state, order.amount_minor, order.characters) == (OrderState.FULFILLED, 0, 500)
    spoken(voice, customer, characters=500, licence=order.licence)
    summary = statement_of(owner)
    assert (summary["uses"], summary["totals"]["EUR"]["gross"]) == (1, 0)
    with pytest.raises(errors.BadTerms):
        buy(customer, listing, 0)


def test_a_cancelled_order_does_not_use_up_the_free_part(owner, customer, voice):
    listing = offer(owner, voice, free_units=500)
    order = buy(customer, listing, 10_000)
    services.cancel_order(actor=Actor.of(customer), order_id=order.id)
    assert buy(customer, listing, 0).free == 500


def test_the_json_statement_prices_by_the_same_rule(owner, customer, operator, voice):
    from datetime import timedelta

    from foundation.clock import now

    order = buy(customer, offer(owner, voice, unit="output", free_units=1), 2, operator)
    for _ in range(2):
        spoken(voice, customer, characters=5, licence=order.licence)
    day = timedelta(days=1)
    found = selectors.statement(owner_id=owner.id, since=now() - day, until=now() + day)
    assert found.totals == {"EUR": 250}


@pytest.mark.parametrize(
    "change", [{"unit": "month", "licence_days": 29}, {"unit": "month", "free_units": 4},
               {"unit": "share", "price_minor": 10_001}, {"unit": "share", "free_units": 1}, {"unit": "word"},
               {"free_units": -1},
               {"free_units": MAX_FREE_UNITS + 1}, {"price_minor": -1}, {"price_minor": 10**18}, {"currency": "XXX"}]
)  # fmt: skip
def test_an_offer_that_cannot_be_is_refused(owner, voice, change):
    with pytest.raises(errors.BadTerms):
        offer(owner, voice, **change)
    assert not Listing.objects.exists()


@pytest.mark.parametrize("count", [-1, 0, 10**18, 10_000_001])
def test_an_order_of_nothing_or_too_much_is_refused(owner, customer, voice, count):
    listing = offer(owner, voice)
    with pytest.raises(errors.BadTerms):
        buy(customer, listing, count)
    assert not Order.objects.exists()


def test_an_amount_beyond_the_ledgers_bound_is_refused_before_anything_is_booked(owner, customer, voice):
    listing = offer(owner, voice, unit="output", price_minor=10_000_000)
    with pytest.raises(errors.BadTerms):
        buy(customer, listing, 1_000_000)
    assert not Order.objects.exists()


def test_a_price_cannot_change_under_an_open_order(owner, customer, operator, voice):
    """Terms never change: a withdrawn offer's open order keeps its price, and the database refuses another amount."""
    listing = offer(owner, voice)
    order = buy(customer, listing, 2_000)
    services.withdraw_listing(actor=Actor.of(owner), listing_id=listing.id)
    offer(owner, voice, price_minor=900)
    for change in ({"price_minor": 900}, {"amount_minor": 1}, {"quantity": 1}):
        with pytest.raises(IntegrityError, match="order_amount_follows"), transaction.atomic():
            Order.objects.filter(id=order.id).update(**change)
    paid = services.record_payment(actor=operator, order_id=order.id, reference="77")
    assert (paid.amount_minor, paid.state) == (500, "fulfilled")
