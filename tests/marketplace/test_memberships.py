"""Memberships are ordered, paid, earned by the platform, renewed and given back like what is licensed by the month."""

import pytest

from cloning import membership
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from marketplace import charging, errors, memberships, money, renewals, services
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind
from marketplace.models import Charge, Order

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sold(settings):
    settings.VOUCH_TIER, settings.VOUCH_MEMBERSHIP_MINOR, settings.VOUCH_FEE_BP = "accounts", 500, 1_000
    yield
    assert ledger.faults() == []


@pytest.fixture
def operator(person):
    return Actor.of(person(role="operator"))


@pytest.fixture
def customer(person):
    return person()


def buy(customer, operator, months=2, **how):
    order = memberships.order(actor=Actor.of(customer), months=months, **how)
    return services.record_payment(actor=operator, order_id=order.id, reference="77")


def earlier(order, by):
    moved = {name: getattr(order, name) - by for name in ("starts_at", "ends_at", "charge_at")}
    Order.objects.filter(id=order.id).update(**moved)
    order.refresh_from_db()
    return order


def fees():
    return -ledger.balance(kind=AccountKind.FEES, holder="vouch", currency="EUR")


def test_a_membership_is_ordered_paid_and_earned_month_by_month(customer, operator):
    placed = memberships.order(actor=Actor.of(customer), months=2, quoted_minor=1_000)
    assert (placed.state, placed.amount_minor, membership.tier_of(customer.id)) == ("placed", 1_000, "free")
    with pytest.raises(errors.OrderOpen):
        memberships.order(actor=Actor.of(customer), months=1)
    order = services.record_payment(actor=operator, order_id=placed.id, reference="77")
    assert (order.state, membership.tier_of(customer.id)) == ("fulfilled", "member")
    assert order.ends_at == membership.covered_until(customer.id)
    earlier(order, charging.MONTH)
    for _ in range(2):
        money.settle_due()
    assert (fees(), Charge.objects.count()) == (500, 0)
    assert money.settle_due()["release"] == 0


def test_it_is_renewed_at_its_price_and_not_at_another(customer, operator, settings):
    order = earlier(buy(customer, operator, months=1, renews=True), charging.MONTH - renewals.AHEAD)
    assert (renewals.renew_due(), renewals.renew_due()) == (1, 0)
    following = Order.objects.get(follows=order)
    assert (following.kind, following.amount_minor, following.due_at) == (
        "membership",
        500,
        order.ends_at + renewals.GRACE,
    )
    paid = services.record_payment(actor=operator, order_id=following.id, reference="78")
    assert paid.membership.begins_at == order.membership.ends_at
    settings.VOUCH_MEMBERSHIP_MINOR = 600
    earlier(paid, 2 * charging.MONTH - renewals.AHEAD)
    assert (renewals.renew_due(), Order.objects.filter(follows=paid).exists()) == (0, False)


def test_a_refund_gives_back_what_is_not_over_and_ends_it(customer, operator):
    order = earlier(buy(customer, operator), charging.MONTH)
    money.refund(actor=operator, order_id=order.id)
    order.refresh_from_db()
    assert (order.state, order.refunded_minor, fees()) == ("refunded", 500, 500)
    assert membership.tier_of(customer.id) == "free"


def test_a_dispute_that_is_lost_takes_back_what_the_platform_earned(customer, operator):
    order = earlier(buy(customer, operator), charging.MONTH)
    money.settle_due()
    money.open_dispute(actor=operator, order_id=order.id)
    money.close_dispute(actor=operator, order_id=order.id, lost=True)
    order.refresh_from_db()
    assert (order.refunded_minor, fees(), membership.tier_of(customer.id)) == (1_000, 0, "free")


def test_what_cannot_be_ordered_is_refused(customer, settings):
    actor = Actor.of(customer)
    for months in (0, -1, 13, 10**18):
        with pytest.raises(errors.BadTerms):
            memberships.order(actor=actor, months=months)
    with pytest.raises(errors.PriceChanged):
        memberships.order(actor=actor, months=1, quoted_minor=499)
    with pytest.raises(NotAllowed):
        memberships.order(actor=Actor.system("x"), months=1)
    settings.VOUCH_TIER = "member"
    with pytest.raises(errors.MembershipNotSold):
        memberships.order(actor=actor, months=1)
    assert not Order.objects.exists()
