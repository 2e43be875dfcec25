"""Licences paid by the month and by a share of declared revenue: ordered, charged, renewed, broken off, unpaid."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from cloning import revocation
from cloning.models import UsageAccount
from consent import licences
from consent.acts import Act
from foundation import clock, keys
from foundation.audit import canonical, log, receipts
from foundation.audit.models import Leaf
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace import auditing, charging, errors, money, renewals, selectors, services, shares
from marketplace.hooks import services as hooks
from marketplace.ledger import selectors as ledger
from marketplace.ledger.models import Entry
from marketplace.models import Order
from marketplace.statements import making, sources, verify
from marketplace.statements.calculation import Account, Calculation
from marketplace.statements.calculation import made as committed
from marketplace.statements.document import Proofs, header
from marketplace.statements.errors import BadPeriod
from marketplace.statements.models import Charge
from marketplace.statements.verify import BadStatement
from tests.marketplace.factories import heard, ready_voice, spoken
from tests.marketplace.statements.conftest import check, whole

pytestmark = pytest.mark.django_db
TERMS = {"title": "A calm voice", "price_minor": 990, "currency": "EUR", "languages": ["en"], "licence_days": 60}
MONTH = charging.MONTH


@pytest.fixture(autouse=True)
def the_ledger_adds_up(settings):
    settings.VOUCH_FEE_BP = 1_000
    yield
    assert ledger.faults() == []


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
def sell(owner, customer, operator):
    """An offer of these terms, ordered and paid."""

    def make(count=1, *, renews=False, **terms):
        made = services.create_listing(actor=Actor.of(owner), voice_id=ready_voice(owner).id, **{**TERMS, **terms})
        order = services.place_order(
            actor=Actor.of(customer), listing_id=heard(made).id, characters=count, renews=renews, act=Act("key", "his")
        )
        return pay(order, operator) if order.amount_minor else order

    return make


def pay(order, operator):
    return services.record_payment(actor=operator, order_id=order.id, reference="77")


def earlier(order, by):
    """As if the order had been fulfilled that long ago."""
    Order.objects.filter(id=order.id).update(
        fulfilled_at=order.fulfilled_at - by,
        **({"starts_at": order.starts_at - by, "ends_at": order.ends_at - by, "charge_at": order.charge_at - by}
           if order.starts_at else {}),
    )  # fmt: skip
    order.refresh_from_db()
    return order


def held(owner):
    return [one.held for one in ledger.earnings(person_id=owner.id)]


def statement(owner):
    period = UsageAccount.objects.filter(owner=owner).latest("period").period
    return whole(making.make(actor=Actor.of(owner), period=period))


def resigned(data, change):
    """The statement with another header, put together as before."""
    head, rest = data.split(b"\n", 1)
    found = canonical.decode(head)
    change(found)
    return canonical.encode(found) + b"\n" + rest


# -- by the month -----------------------------------------------------------------------------------------------------
def test_a_month_is_earned_when_it_is_over_and_stands_in_the_statement(owner, customer, sell):
    order = sell(2, unit="month")
    assert (order.amount_minor, order.quantity, order.ends_at - order.starts_at) == (1_980, 2, 2 * MONTH)
    assert order.licence.valid_until == order.ends_at
    spoken(order.listing.voice, customer, characters=900, licence=order.licence)
    assert (money.settle_due()["earn"], held(owner)) == (0, [])
    earlier(order, MONTH)
    for _ in range(2):
        money.settle_due()
    assert held(owner) == [891]
    data = statement(owner)
    summary = check(data).summary
    assert summary["totals"] == {"EUR": {"gross": 990, "fee": 99, "reversed": 0, "net": 891}}
    assert (summary["uses"], summary["charges"]["count"]) == (1, 1)
    earlier(order, MONTH + timedelta(seconds=1))
    money.settle_due()
    assert Order.objects.get().fully_earned
    assert held(owner) == [1_782]
    assert check(statement(owner)).summary["totals"]["EUR"]["gross"] == 1_980
    day = timedelta(days=1)
    found = selectors.statement(owner_id=owner.id, since=clock.now() - day, until=clock.now() + day)
    assert [(line.uses, line.amount_minor) for line in found.lines] == [(1, 1_980)]


def test_a_charge_that_is_changed_or_left_out_is_found(owner, sell):
    order = earlier(sell(3, unit="month", licence_days=90), 3 * MONTH)
    money.settle_due()
    data = statement(owner)
    assert check(data).summary["charges"] == {
        **check(data).summary["charges"], "first": 0, "count": 3,
    }  # fmt: skip

    def cut(found):
        del found["charges"][-1]

    def first(found):
        del found["charges"][0]

    def cheaper(found):
        found["charges"][1][6] -= 1

    def fewer(found):
        found["charges"][1][5] = 0
        found["charges"][1][6] = found["charges"][1][7] = 0

    def none(found):
        found["charges"], found["proofs"]["charged"] = [], None

    for change in (cut, first, cheaper, fewer, none, lambda found: found["charges"].reverse()):
        with pytest.raises(BadStatement):
            check(resigned(data, change))
    bodies = [bytes(one) for one in Leaf.objects.order_by("index").values_list("body", flat=True)]
    summary = check(data).summary
    assert verify.complete(summary, bodies) == 0
    with pytest.raises(BadStatement, match="two histories"):
        verify.complete(summary, [body for body in bodies if b'"number":1' not in body])
    short = {**summary, "final": True, "charges": {**summary["charges"], "count": 2}}
    with pytest.raises(BadStatement, match="charge"):
        verify.complete(short, bodies)
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        Charge.objects.filter(order=order).update(gross=1)


def test_a_dishonest_operator_cannot_log_a_statement_without_a_charge(owner, sell):
    """Whoever holds the log's key signs a summary that lacks the first charge: the last one's leaf has the chain."""
    earlier(sell(3, unit="month", licence_days=90), 3 * MONTH)
    money.settle_due()
    account = UsageAccount.objects.get(owner=owner)
    made = sources.charges(account=account)
    ((sheet, place),) = sources.sheets(account=account, below=0, charged=made)
    calculation = Calculation(Account(str(owner.id), account.period, bytes(32)), [sheet])
    kept = [replace(sources.as_line(one), number=number) for number, one in enumerate(made[1:])]
    priced = [calculation.charge(one)[0] for one in kept]
    summary = calculation.summary(final=False, rates=None, rates_sha256=None, payout="")
    leaf = log.append(
        kind="statement.made", subject=f"person:{owner.id}", actor=Actor.system("evil"), data=committed(summary)
    )
    note, leaves = receipts.together([leaf.index, place, made[-1].leaf_index])
    proofs = Proofs(leaves[leaf.index], None, None, [leaves[place]], [], leaves[made[-1].leaf_index])
    salt = bytes(owner.log_salt or b"")
    with pytest.raises(BadStatement, match="carries another chain"):
        check(
            header(
                summary=summary, owner_salt=salt, sheets=[sheet], rates=None, checkpoint=note, proofs=proofs,
                charges=priced,
            )
        )  # fmt: skip


def test_the_free_months_come_first_and_are_lines_of_zero(owner, sell):
    order = sell(0, unit="month", free_units=1)
    assert (order.state, order.amount_minor, order.free) == ("fulfilled", 0, 1)
    earlier(order, MONTH)
    money.settle_due()
    summary = check(statement(owner)).summary
    assert (summary["charges"]["count"], summary["totals"]["EUR"]["gross"], Entry.objects.count()) == (1, 0, 0)


def test_a_renewal_is_ordered_paid_and_begins_where_the_former_ends(sell, operator, customer, person):
    order = sell(unit="month", renews=True)
    assert renewals.renew_due() == 0
    earlier(order, MONTH - timedelta(days=5))
    assert (renewals.renew_due(), renewals.renew_due()) == (1, 0)
    following = Order.objects.get(follows=order)
    assert (following.state, following.amount_minor, following.renews, following.act) == (
        "placed",
        990,
        True,
        order.act,
    )
    assert not Order.objects.get(id=order.id).renews
    paid = pay(following, operator)
    assert (paid.starts_at, paid.ends_at) == (order.ends_at, order.ends_at + MONTH)
    assert paid.licence.valid_until == paid.ends_at
    with pytest.raises(NotFound):
        renewals.set_renewal(actor=Actor.of(person()), order_id=paid.id, renews=False)
    assert not renewals.set_renewal(actor=Actor.of(customer), order_id=paid.id, renews=False).renews
    earlier(paid, MONTH + timedelta(days=5))
    assert renewals.renew_due() == 0
    with pytest.raises(errors.NotRenewable):
        renewals.set_renewal(actor=Actor.of(customer), order_id=paid.id, renews=True)


def test_an_unpaid_renewal_lapses_and_the_licence_ends_by_its_term(sell, customer, operator):
    order = earlier(sell(unit="month", renews=True), MONTH - timedelta(days=1))
    renewals.renew_due()
    following = Order.objects.get(follows=order)
    assert renewals.lapse_due() == 0
    Order.objects.filter(id=following.id).update(due_at=clock.now())
    assert (renewals.lapse_due(), renewals.lapse_due()) == (1, 0)
    following.refresh_from_db()
    assert following.state == "cancelled"
    assert Entry.objects.filter(order=following, kind="void").count() == 1
    # A cancelled renewal with its hold is gone as well when the customer stops the former one in time.
    again = earlier(sell(unit="month", renews=True), MONTH - timedelta(days=1))
    renewals.renew_due()
    renewals.set_renewal(actor=Actor.of(customer), order_id=again.id, renews=False)
    assert Order.objects.get(follows=again).state == "cancelled"


def test_what_cannot_be_renewed_at_its_price_is_not_renewed_and_both_are_told(sell, owner, customer, monkeypatch):
    monkeypatch.setattr("marketplace.hooks.addresses.check", lambda *args: None, raising=False)
    order = earlier(sell(unit="month", renews=True), MONTH - timedelta(days=1))
    services.withdraw_listing(actor=Actor.of(owner), listing_id=order.listing_id)
    assert (renewals.renew_due(), Order.objects.get(id=order.id).renews) == (0, False)
    assert not Order.objects.filter(follows=order).exists()
    assert "order.not_renewed" in hooks.KINDS


def test_months_that_a_safety_stop_breaks_off_go_back_and_those_that_were_over_stay_earned(owner, sell):
    order = earlier(sell(2, unit="month"), MONTH + timedelta(days=3))
    revocation.stop(actor=Actor.of(owner), licence_id=order.licence_id, reason="Harm.")
    assert (renewals.refund_broken(), renewals.refund_broken()) == (1, 0)
    order.refresh_from_db()
    assert (order.state, order.refunded_minor, held(owner)) == ("refunded", 990, [891])
    assert check(statement(owner)).summary["totals"]["EUR"]["gross"] == 990


def test_what_its_holder_gives_up_stays_paid(owner, customer, sell):
    order = earlier(sell(unit="month", renews=True), MONTH - timedelta(days=1))
    licences.end_licence(actor=Actor.of(customer), licence_id=order.licence_id, reason=charging.GIVEN_UP)
    assert (renewals.refund_broken(), renewals.renew_due()) == (0, 0)
    earlier(order, timedelta(days=1))
    money.settle_due()
    assert held(owner) == [891]


def test_an_operator_refunds_the_month_under_way_by_a_reversing_entry(owner, sell, operator):
    order = earlier(sell(2, unit="month"), MONTH)
    money.refund(actor=operator, order_id=order.id)
    order.refresh_from_db()
    assert (order.state, order.refunded_minor, order.licence.state, held(owner)) == ("refunded", 990, "ended", [891])


@pytest.mark.parametrize(("count", "terms"), [(3, {"unit": "month"}), (0, {"unit": "month"}), (2, {"unit": "share"})])
def test_an_order_of_too_many_months_or_shares_is_refused(sell, count, terms):
    with pytest.raises(errors.BadTerms):
        sell(count, **terms)
    assert not Order.objects.exists()


def test_only_months_are_renewed_and_never_an_exclusive_licence(sell):
    with pytest.raises(errors.BadTerms):
        sell(100, renews=True)
    with pytest.raises(errors.BadTerms):
        sell(1, unit="month", renews=True, text="VL-EXCLUSIVE-1", terms={"exclusive": True})


# -- by a share of revenue --------------------------------------------------------------------------------------------
@pytest.fixture
def shared(sell):
    """A licence for 12.5 % of revenue, since the month before."""
    order = sell(unit="share", price_minor=1_250)
    begin = clock.now().replace(day=1) - timedelta(days=2)
    return earlier(order, order.fulfilled_at - begin)


def declare(customer, order, revenue=123_456, period=None):
    return shares.declare(
        actor=Actor.of(customer), order_id=order.id, period=period or shares.months(order)[0].period,
        revenue_minor=revenue, act=Act("session", "mine"),
    )  # fmt: skip


def test_declared_revenue_is_a_bill_and_once_paid_a_line_of_the_statement(owner, customer, operator, shared):
    assert (shared.amount_minor, shared.state, len(shares.months(shared))) == (0, "fulfilled", 1)
    bill = declare(customer, shared)
    assert (bill.kind, bill.amount_minor, bill.state, bill.licence) == ("bill", 15_432, "placed", None)
    assert Leaf.objects.filter(kind="revenue.declared").count() == 1
    assert (held(owner), Charge.objects.count()) == ([], 0)
    pay(bill, operator)
    assert held(owner) == [15_432 - 1_543]
    data = statement(owner)
    assert check(data).summary["totals"]["EUR"] == {"gross": 15_432, "fee": 1_543, "reversed": 0, "net": 13_889}

    def less(found):
        found["charges"][0][5] = 100_000
        found["charges"][0][6:] = [12_500, 1_250]

    with pytest.raises(BadStatement):
        check(resigned(data, less))
    with pytest.raises(IntegrityError, match="order_amount_follows"), transaction.atomic():
        Order.objects.filter(id=bill.id).update(amount_minor=1)


def test_a_month_without_revenue_is_declared_as_nothing_and_is_a_line_of_zero(owner, customer, shared):
    assert declare(customer, shared, 0).state == "fulfilled"
    summary = check(statement(owner)).summary
    assert (summary["charges"]["count"], summary["totals"]["EUR"]["gross"]) == (1, 0)


def test_declarations_that_cannot_be_are_refused(owner, customer, person, sell, shared):
    for period in (clock.now().strftime("%Y-%m"), "2020-01", "2026-13", "x"):
        with pytest.raises(BadPeriod):
            declare(customer, shared, period=period)
    for revenue in (-1, 10**18):
        with pytest.raises(errors.BadTerms):
            declare(customer, shared, revenue)
    for somebody in (person(), owner):
        with pytest.raises(NotFound):
            declare(somebody, shared)
    assert not Order.objects.filter(kind="bill").exists()
    bill = declare(customer, shared)
    with pytest.raises(errors.AlreadyDeclared):
        declare(customer, shared, 1)
    with pytest.raises(errors.BillStands):
        services.cancel_order(actor=Actor.of(customer), order_id=bill.id)
    with pytest.raises(errors.NotAShare):
        declare(customer, sell(unit="month"), period="2026-01")


@pytest.mark.parametrize("declared", [True, False])
def test_who_does_not_declare_or_pay_in_time_loses_the_licence(customer, shared, declared, monkeypatch):
    monkeypatch.setattr(shares, "DECLARE_WITHIN", timedelta(days=32))
    bill = declare(customer, shared) if declared else None
    assert shares.enforce_due() == 0
    if bill:
        Order.objects.filter(id=bill.id).update(due_at=clock.now())
    monkeypatch.setattr(shares, "DECLARE_WITHIN", timedelta(0))
    assert (shares.enforce_due(), shares.enforce_due()) == (1, 0)
    shared.licence.refresh_from_db()
    assert (shared.licence.state, shared.licence.ended_reason) == ("ended", "unpaid" if declared else "undeclared")


# -- the audit --------------------------------------------------------------------------------------------------------
def test_the_audit_holds_charges_against_their_orders_and_the_log(owner, customer, operator, sell, shared):
    pay(declare(customer, shared), operator)
    order = earlier(sell(2, unit="month"), 2 * MONTH + timedelta(hours=3))
    since, until = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)

    def found():
        # The previews were put there by the factory, without a use.
        counts = auditing.audit(since=since, until=until).counts
        return {kind: count for kind, count in counts.items() if kind not in ("unmetered", "log")}

    assert found() == {"uncharged": 1}
    money.settle_due()
    assert found() == {}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE marketplace_charge SET gross = gross - 1 WHERE order_id = %s", [order.id])
    assert found() == {"charge": 2}


def test_the_files_last_byte_counts(owner, sell):
    earlier(sell(unit="month"), MONTH)
    money.settle_due()
    data = statement(owner)
    with pytest.raises(BadStatement):
        verify.check(io.BytesIO(data[:-1]), keys.public_key("log"))
