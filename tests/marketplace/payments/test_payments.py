"""An order's money at a provider: held, taken, let go, given back, disputed; and every event once."""

import pytest

from cloning.models import Voice
from foundation.errors import NotFound
from foundation.identity.actors import Actor, MissingScope
from marketplace import money, services, tasks
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind
from marketplace.ledger.models import Entry
from marketplace.payments import errors, registry
from marketplace.payments import services as payments
from marketplace.payments.models import Payment, ProviderEvent
from marketplace.payments.provider import Charge, EventKind, ProviderRefused, ProviderTrouble

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_ledger_adds_up():
    yield
    assert ledger.faults() == []


@pytest.fixture
def tasks_run(sale, monkeypatch):
    """What would be sent to a worker runs at once."""

    def now(task, argument):
        getattr(tasks, task.removeprefix("marketplace.")).run(argument)

    monkeypatch.setattr("marketplace.sending.deliver", now)
    return sale


def test_an_order_is_held_captured_and_fulfilled(tasks_run):
    sale = tasks_run
    sale.pay()
    assert (sale.fresh().state, sale.payment().state) == ("fulfilled", "captured")
    assert ledger.balance(kind=AccountKind.CLEARING, holder="vouch", currency="EUR") == 1_990
    # The provider's own word of it comes afterwards and changes nothing.
    assert sale.says(EventKind.CAPTURED) == "late"
    assert Entry.objects.filter(kind="capture").count() == 1


def test_the_word_that_it_was_captured_may_come_first(tasks_run):
    sale = tasks_run
    sale.begin()
    assert sale.says(EventKind.CAPTURED) == "paid"
    assert sale.says(EventKind.HELD) == "late"
    assert (sale.fresh().state, sale.payment().state) == ("fulfilled", "captured")


def test_a_declined_card_leaves_the_order_open(tasks_run):
    sale = tasks_run
    sale.begin()
    assert sale.says(EventKind.FAILED) == "failed"
    assert (sale.fresh().state, sale.payment().state) == ("placed", "begun")
    sale.says(EventKind.HELD)
    assert sale.fresh().state == "fulfilled"


def test_a_duplicate_webhook_is_acted_on_once(tasks_run):
    sale = tasks_run
    sale.begin()
    assert [sale.says(EventKind.HELD) for _ in range(3)] == ["held", "seen", "seen"]
    assert ProviderEvent.objects.count() == 1
    assert Entry.objects.filter(kind="capture").count() == 1


def test_an_event_of_a_known_id_with_another_content_is_refused(tasks_run):
    sale = tasks_run
    sale.begin()
    sale.says(EventKind.FAILED, name="evt")
    with pytest.raises(errors.EventChanged):
        sale.says(EventKind.HELD, name="evt")
    assert sale.fresh().state == "placed"


@pytest.mark.parametrize(
    "change", [{"amount_minor": 1_989}, {"amount_minor": 1}, {"amount_minor": -1_990}, {"amount_minor": 10**18},
               {"amount_minor": 0}, {"currency": "USD"}, {"currency": "XXX"}, {"currency": ""}]
)  # fmt: skip
def test_another_amount_or_currency_than_the_orders_books_nothing(tasks_run, change):
    sale = tasks_run
    sale.begin()
    before = Entry.objects.count()
    for kind in (EventKind.HELD, EventKind.CAPTURED):
        for _ in range(2):
            with pytest.raises(errors.PaymentMismatch):
                sale.says(kind, **change)
    assert (Entry.objects.count(), sale.fresh().state, sale.payment().state) == (before, "placed", "begun")
    assert set(ProviderEvent.objects.values_list("outcome", flat=True)) == {"payment_mismatch"}


def test_an_event_without_a_valid_signature_is_refused_and_not_kept(sale):
    sale.begin()
    test = registry.embedded()
    charge = Charge(sale.order.id, 1_990, "EUR")
    body, headers = test.event("evt", EventKind.HELD, f"test_{sale.order.id}", charge)
    other, _ = test.event("evt", EventKind.CAPTURED, f"test_{sale.order.id}", charge)
    for sent, under in (
        (other, headers),
        (body, {}),
        (body, {next(iter(headers)): "t=1,v1=" + "0" * 64}),
        (b"", headers),
    ):
        with pytest.raises(errors.EventNotSigned):
            payments.receive(name="test", body=sent, headers=under)
    assert not ProviderEvent.objects.exists()
    assert sale.payment().state == "begun"


def test_an_event_of_a_payment_we_do_not_know_is_refused(sale):
    for _ in range(2):
        with pytest.raises(errors.UnknownPayment):
            sale.says(EventKind.HELD)
    assert sale.fresh().state == "placed"


def test_a_voice_that_is_gone_when_the_money_is_held_is_not_charged(tasks_run):
    sale = tasks_run
    sale.begin()
    Voice.objects.filter(owner=sale.owner).update(state="training")
    sale.says(EventKind.HELD)
    assert (sale.fresh().state, sale.payment().state) == ("cancelled", "voided")
    assert ledger.balance(kind=AccountKind.CLEARING, holder="vouch", currency="EUR") == 0


def test_a_cancelled_order_lets_go_of_the_money(tasks_run):
    sale = tasks_run
    sale.begin()
    with sale.capture():
        services.cancel_order(actor=Actor.of(sale.customer), order_id=sale.order.id)
    assert sale.payment().state == "voided"


def test_money_taken_for_an_order_that_was_cancelled_meanwhile_goes_back(tasks_run):
    sale = tasks_run
    sale.begin()
    services.cancel_order(actor=Actor.of(sale.customer), order_id=sale.order.id)
    assert sale.says(EventKind.CAPTURED) == "refund"
    assert (sale.payment().state, sale.payment().refund_minor) == ("refunded", 1_990)


def test_a_hold_that_lapsed_cancels_the_order(tasks_run):
    sale = tasks_run
    sale.begin()
    assert sale.says(EventKind.VOIDED) == "voided"
    assert sale.fresh().state == "cancelled"


def test_a_refund_goes_back_to_the_provider_once(tasks_run, monkeypatch):
    sale = tasks_run
    sale.pay()
    asked = []
    monkeypatch.setattr(
        "marketplace.payments.embedded.EmbeddedProvider.refund", lambda self, ref, charge, minor: asked.append(minor)
    )
    with sale.capture():
        payments.refund_order(actor=sale.operator, order_id=sale.order.id)
    tasks.refund_payment.run(str(sale.order.id))
    assert (asked, sale.payment().state, sale.fresh().refunded_minor) == ([1_990], "refunded", 1_990)


def test_disputes_follow_the_providers_word(tasks_run):
    sale = tasks_run
    sale.pay()
    assert sale.says(EventKind.DISPUTED, amount_minor=500) == "disputed"
    assert sale.fresh().disputed_at is not None
    assert sale.says(EventKind.DISPUTED, name="again") == "late"
    assert sale.says(EventKind.DISPUTE_LOST) == "dispute_lost"
    assert (sale.fresh().state, sale.payment().refund_minor) == ("refunded", 0)


def test_a_dispute_that_is_won_ends(tasks_run):
    sale = tasks_run
    sale.pay()
    sale.says(EventKind.DISPUTED)
    assert sale.says(EventKind.DISPUTE_WON) == "dispute_won"
    assert (sale.fresh().disputed_at, sale.fresh().state) == (None, "fulfilled")


def test_a_provider_that_is_down_is_asked_again_later(sale, monkeypatch):
    sale.begin()
    Payment.objects.update(state="held")

    def down(*_):
        raise ProviderTrouble("timeout")

    with monkeypatch.context() as patch:
        patch.setattr("marketplace.payments.embedded.EmbeddedProvider.capture", down)
        tasks.capture_payment.run(str(sale.order.id))
        assert sale.fresh().state == "placed"
    assert payments.unfinished() == [("marketplace.capture_payment", sale.order.id)]
    tasks.capture_payment.run(str(sale.order.id))
    tasks.capture_payment.run(str(sale.order.id))
    assert payments.unfinished() == [("marketplace.fulfil_order", sale.order.id)]
    tasks.fulfil_order.run(str(sale.order.id))
    tasks.fulfil_order.run(str(sale.order.id))
    assert (sale.fresh().state, payments.unfinished()) == ("fulfilled", [])


def test_what_a_provider_refuses_is_noted_and_rests(sale, monkeypatch):
    sale.begin()
    Payment.objects.update(state="held")

    def never(*_):
        raise ProviderRefused("hold expired")

    monkeypatch.setattr("marketplace.payments.embedded.EmbeddedProvider.capture", never)
    tasks.capture_payment.run(str(sale.order.id))
    assert (sale.payment().error, payments.unfinished()) == ("provider_declined: hold expired", [])


def test_a_licence_that_cannot_be_granted_leaves_the_order_paid_for_a_refund(sale):
    sale.begin()
    sale.says(EventKind.CAPTURED)
    Voice.objects.filter(owner=sale.owner).update(state="training")
    tasks.fulfil_order.run(str(sale.order.id))
    assert (sale.fresh().state, sale.payment().error) == ("paid", "not fulfilled: voice_not_ready")
    money.refund(actor=sale.operator, order_id=sale.order.id)


def test_who_may_not_begin_to_pay(sale, person, settings):
    with pytest.raises(NotFound):
        payments.begin(actor=Actor.of(sale.owner), order_id=sale.order.id)
    with pytest.raises(NotFound):
        payments.begin(actor=Actor.of(person()), order_id=sale.order.id)
    with pytest.raises(MissingScope):
        payments.begin(actor=Actor.of(sale.customer, frozenset({"market:read"})), order_id=sale.order.id)
    settings.VOUCH_PAYMENTS = "off"
    with pytest.raises(errors.PaymentsOff):
        payments.begin(actor=Actor.of(sale.customer), order_id=sale.order.id)
    assert not Payment.objects.exists()


def test_nothing_is_due_for_an_order_that_is_not_open(tasks_run):
    sale = tasks_run
    sale.pay()
    with pytest.raises(errors.NothingDue):
        sale.begin()


def test_a_payment_is_begun_once(sale):
    assert sale.begin() == sale.begin()
