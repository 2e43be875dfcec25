"""Owners are paid once what is payable, in the currency they chose; a file tells the bank."""

import pytest

from foundation import clock
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace import money
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind
from marketplace.ledger.errors import NotEnough, NothingToPay
from marketplace.ledger.models import Entry
from marketplace.payouts import errors, selectors, services
from marketplace.payouts.models import Payout, PayoutBatch
from marketplace.statements import making
from tests.marketplace.statements.conftest import Month, month  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
IBAN = "GB82WEST12345698765432"


@pytest.fixture(autouse=True)
def the_ledger_adds_up():
    yield
    assert ledger.faults() == []


@pytest.fixture
def payable(month: Month, settings) -> Month:  # noqa: F811
    settings.VOUCH_PAYER_NAME, settings.VOUCH_PAYER_IBAN = "Vouch Ltd", "DE89370400440532013000"
    money.settle_due()
    clock.move_forward(money.HOLDBACK)
    money.settle_due()
    return month


def account(who, **change):
    fields = {"name": "Sam Speaker", "account": IBAN, "bic": "", "currency": "EUR"}
    return services.set_account(actor=Actor.of(who), **{**fields, **change})


def owed(who, currency="EUR"):
    return -ledger.balance(kind=AccountKind.PAYABLE, holder=f"person:{who.id}", currency=currency)


def test_what_is_payable_is_paid_out_once(payable):
    account(payable.owner)
    due = owed(payable.owner)
    batch = services.make_batch(actor=payable.operator)
    (payout,) = batch.payouts.all()
    assert (due > 0, payout.amount_minor, owed(payable.owner)) == (True, due, 0)
    assert f"{due // 100}.{due % 100:02d}".encode() in services.as_pain_001(batch)
    with pytest.raises(NothingToPay):
        services.make_batch(actor=payable.operator)
    assert (PayoutBatch.objects.count(), Entry.objects.filter(kind="payout").count()) == (1, 1)


def test_who_gave_no_account_is_not_paid_and_loses_nothing(payable):
    due = owed(payable.owner)
    with pytest.raises(NothingToPay):
        services.make_batch(actor=payable.operator)
    assert owed(payable.owner) == due


def test_everything_is_converted_into_the_owners_currency(payable):
    account(payable.owner, currency="JPY")
    due = owed(payable.owner)
    with pytest.raises(NothingToPay):
        services.make_batch(actor=payable.operator)
    assert owed(payable.owner) == due
    rates = {"v": 1, "date": "2020-01-01", "base": "EUR", "rates": {"JPY": "160.25"}}
    making.publish_rates(actor=payable.operator, table=rates)
    with pytest.raises(NothingToPay):  # there is no yen at the provider yet
        services.make_batch(actor=payable.operator)
    for _ in range(2):
        change(payable.operator, sold_minor=due, bought_minor=700)
    (payout,) = services.make_batch(actor=payable.operator).payouts.all()
    assert (payout.amount_minor, payout.currency) == (due * 16_025 // 10_000, "JPY")
    assert (owed(payable.owner), owed(payable.owner, "JPY")) == (0, 0)
    position = {c: ledger.balance(kind=AccountKind.EXCHANGE, holder="vouch", currency=c) for c in ("EUR", "JPY")}
    assert position == {"EUR": 0, "JPY": payout.amount_minor - 700}


def change(operator, **fields):
    """The bank changed our money, once under its reference."""
    whole = {"sold_minor": 1, "sold": "EUR", "bought_minor": 1, "bought": "JPY", "reference": "FX 1", **fields}
    return services.change_money(actor=operator, **whole)


@pytest.mark.parametrize(
    "fields", [{"sold_minor": 0}, {"sold_minor": -5}, {"bought_minor": 10**18}, {"bought": "EUR"}, {"sold": "XXX"},
               {"reference": " "}]
)  # fmt: skip
def test_an_exchange_that_cannot_be_is_refused(payable, fields):
    before = Entry.objects.count()
    with pytest.raises(errors.BadExchange):
        change(payable.operator, **fields)
    assert Entry.objects.count() == before


def test_more_than_there_is_cannot_be_changed(payable):
    with pytest.raises(NotEnough):
        change(payable.operator, sold_minor=10**9)


def test_without_the_payers_account_nothing_is_booked(payable, settings):
    account(payable.owner)
    settings.VOUCH_PAYER_IBAN = ""
    with pytest.raises(errors.PayerUnknown):
        services.make_batch(actor=payable.operator)
    assert not Payout.objects.exists()


@pytest.mark.parametrize(
    "change", [{"account": "DE00"}, {"account": IBAN[:-1] + "1"}, {"bic": "x"}, {"name": " "}, {"name": "x" * 141},
               {"currency": "XXX"}]
)  # fmt: skip
def test_a_bad_account_is_refused(month: Month, change):  # noqa: F811
    with pytest.raises(errors.BadAccount):
        account(month.owner, **change)
    with pytest.raises(NotFound):
        selectors.account_of(actor=Actor.of(month.owner))


def test_who_may_not(payable, person):
    account(payable.owner)
    for who in (payable.owner, payable.customer, person(role="moderator")):
        for act in (
            lambda actor: services.make_batch(actor=actor),
            lambda actor: selectors.batches(actor=actor),
            lambda actor: change(actor),
            lambda actor: services.exchange(
                actor=actor, person_id=payable.owner.id, source="EUR", target="JPY", day=clock.now().date()
            ),
        ):
            with pytest.raises(NotAllowed):
                act(Actor.of(who))
    assert not PayoutBatch.objects.exists()
    assert list(selectors.payouts_of(actor=Actor.of(payable.customer))) == []
