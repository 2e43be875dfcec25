"""What orders and uses mean in the ledger."""

from datetime import timedelta

import pytest

from consent import licences
from consent.models import Licence
from foundation import clock
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from marketplace import errors, money, services
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind
from marketplace.ledger.errors import NothingToPay
from marketplace.ledger.models import Entry
from marketplace.models import Order
from marketplace.states import WrongState
from safety.models import Case
from tests.marketplace.factories import heard, ready_voice

pytestmark = pytest.mark.django_db
TERMS = {"title": "A calm voice", "price_minor": 199, "currency": "EUR", "languages": ["en"], "licence_days": 30}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def operator(person):
    return Actor.of(person(role="operator"))


@pytest.fixture(autouse=True)
def the_ledger_adds_up():
    yield
    assert ledger.faults() == []


@pytest.fixture
def placed(owner, customer):
    listing = heard(services.create_listing(actor=Actor.of(owner), voice_id=ready_voice(owner).id, **TERMS))
    return services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=10_000)


@pytest.fixture
def paid(placed, operator):
    return services.record_payment(actor=operator, order_id=placed.id, reference="77")


def use(order: Order, characters: int) -> None:
    licences.reserve(licence_id=order.licence_id, characters=characters)
    licences.settle(licence_id=order.licence_id, characters=characters)


def on(kind: AccountKind, holder: object, name: str = "order") -> int:
    return ledger.balance(kind=kind, holder=f"{name}:{holder}", currency="EUR")


def clearing() -> int:
    return ledger.balance(kind=AccountKind.CLEARING, holder="vouch", currency="EUR")


def test_an_order_is_held_and_captured(placed, operator):
    assert (on(AccountKind.RESERVED, placed.id), clearing()) == (-1_990, 0)
    services.record_payment(actor=operator, order_id=placed.id, reference="77")
    assert on(AccountKind.RESERVED, placed.id) == on(AccountKind.AUTHORISED, placed.id) == 0
    assert (on(AccountKind.PREPAID, placed.id), clearing()) == (-1_990, 1_990)


def test_a_cancelled_order_holds_nothing(placed, customer):
    services.cancel_order(actor=Actor.of(customer), order_id=placed.id)
    assert on(AccountKind.RESERVED, placed.id) == on(AccountKind.AUTHORISED, placed.id) == clearing() == 0


def test_earnings_follow_the_statement_s_rounding_however_they_are_cut(paid, owner):
    for characters in (1, 4, 5, 333, 1_500, 157):
        use(paid, characters)
        money.settle_due()
    assert on(AccountKind.HOLDBACK, owner.id, "person") == -(2_000 * 199 // 1_000)
    assert on(AccountKind.PREPAID, paid.id) == -(1_990 - 398)
    assert money.settle_due() == {"earn": 0, "release": 0}


def test_a_licence_that_is_used_up_has_earned_what_it_cost(paid, owner):
    use(paid, 10_000)
    assert money.settle_due()["earn"] == 1
    assert (on(AccountKind.PREPAID, paid.id), on(AccountKind.HOLDBACK, owner.id, "person")) == (0, -1_990)
    assert not Order.objects.filter(fully_earned=False).exists()


def test_earnings_wait_before_they_can_be_paid_out(paid, owner, operator):
    use(paid, 1_000)
    money.settle_due()
    pay = {"actor": operator, "person_id": owner.id, "currency": "EUR", "reference": "SEPA 1"}
    with pytest.raises(NothingToPay):
        money.pay_out(**pay)
    clock.move_forward(money.HOLDBACK)
    assert money.settle_due()["release"] == 1
    assert ledger.earnings(person_id=owner.id) == [ledger.Earnings("EUR", held=0, payable=199)]
    entry = money.pay_out(**pay)
    assert money.pay_out(**pay) == entry
    assert (clearing(), ledger.earnings(person_id=owner.id)[0].payable) == (1_990 - 199, 0)


def test_a_refund_gives_back_what_was_not_used_and_ends_the_licence(paid, owner, operator):
    use(paid, 1_000)
    refunded = money.refund(actor=operator, order_id=paid.id)
    assert (refunded.state, refunded.refunded_minor, clearing()) == ("refunded", 1_791, 199)
    assert on(AccountKind.HOLDBACK, owner.id, "person") == -199
    assert Licence.objects.get(id=paid.licence_id).state == "ended"
    with pytest.raises(WrongState):
        money.refund(actor=operator, order_id=paid.id)


def test_a_paid_order_that_cannot_be_fulfilled_is_refunded_whole(placed, operator, owner):
    from consent.models import Consent

    Consent.objects.update(state="withdrawn", ended_at=clock.now(), ended_leaf=0)
    with pytest.raises(errors.NotForOthers):
        services.record_payment(actor=operator, order_id=placed.id, reference="77")
    assert money.refund(actor=operator, order_id=placed.id).refunded_minor == 1_990
    assert clearing() == 0


def test_no_refund_while_a_text_is_being_spoken(paid, operator):
    licences.reserve(licence_id=paid.licence_id, characters=10)
    with pytest.raises(errors.OrderBusy):
        money.refund(actor=operator, order_id=paid.id)
    assert clearing() == 1_990
    licences.release(licence_id=paid.licence_id, characters=10)
    money.refund(actor=operator, order_id=paid.id)


def test_a_disputed_order_neither_earns_nor_releases_and_goes_on_when_it_is_won(paid, owner, operator):
    use(paid, 1_000)
    money.settle_due()
    money.open_dispute(actor=operator, order_id=paid.id)
    case = Case.objects.get()
    assert (case.kind, case.subject_ref) == ("licence_dispute", str(paid.licence_id))
    use(paid, 1_000)
    clock.move_forward(money.HOLDBACK)
    assert money.settle_due() == {"earn": 0, "release": 0}
    with pytest.raises(errors.WrongDispute):
        money.refund(actor=operator, order_id=paid.id)
    money.close_dispute(actor=operator, order_id=paid.id, lost=False)
    assert money.settle_due() == {"earn": 1, "release": 1}


def test_a_lost_dispute_takes_back_what_was_not_released(paid, owner, operator):
    use(paid, 1_000)
    money.settle_due()
    clock.move_forward(money.HOLDBACK)
    money.settle_due()
    use(paid, 1_000)
    money.settle_due()
    money.open_dispute(actor=operator, order_id=paid.id)
    lost = money.close_dispute(actor=operator, order_id=paid.id, lost=True)
    assert (lost.state, lost.refunded_minor) == ("refunded", 1_990 - 199)
    assert ledger.earnings(person_id=owner.id) == [ledger.Earnings("EUR", held=0, payable=199)]
    clock.move_forward(money.HOLDBACK)
    assert money.settle_due() == {"earn": 0, "release": 0}


def test_disputes_are_opened_on_paid_orders_once_and_closed_once(placed, operator):
    with pytest.raises(errors.WrongDispute):
        money.open_dispute(actor=operator, order_id=placed.id)
    services.record_payment(actor=operator, order_id=placed.id, reference="77")
    with pytest.raises(errors.WrongDispute):
        money.close_dispute(actor=operator, order_id=placed.id, lost=True)
    money.open_dispute(actor=operator, order_id=placed.id)
    with pytest.raises(errors.WrongDispute):
        money.open_dispute(actor=operator, order_id=placed.id)


@pytest.mark.parametrize("role", ["member", "moderator", "auditor"])
def test_only_operators_move_money(paid, person, owner, role):
    before = list(Entry.objects.values_list("id", flat=True))
    actor = Actor.of(person(role=role))
    for act in (
        lambda: money.refund(actor=actor, order_id=paid.id),
        lambda: money.open_dispute(actor=actor, order_id=paid.id),
        lambda: money.close_dispute(actor=actor, order_id=paid.id, lost=True),
        lambda: money.pay_out(actor=actor, person_id=owner.id, currency="EUR", reference="x"),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert list(Entry.objects.values_list("id", flat=True)) == before
    assert Order.objects.get().state == "fulfilled"


def test_earnings_of_the_holdback_s_last_second_stay(paid, owner):
    use(paid, 1_000)
    money.settle_due()
    clock.move_forward(money.HOLDBACK - timedelta(minutes=1))
    assert money.settle_due()["release"] == 0
