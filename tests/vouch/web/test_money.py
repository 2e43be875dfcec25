"""The pages about money: each shows its own person's, charts included; and who may not."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client

from cloning.models import UsageAccount
from foundation.clock import now
from marketplace import money
from tests.marketplace.payouts.test_payouts import account, payable  # noqa: F401 - a fixture
from tests.marketplace.statements.conftest import Month, month  # noqa: F401 - a fixture
from vouch.web.money import MONTHS, charts

pytestmark = pytest.mark.django_db


def page(person, path, **headers):
    client = Client()
    client.force_login(person)
    return client.get(path, headers=headers)


def test_an_owner_sees_earnings_chart_statements_and_payouts(payable, person):  # noqa: F811
    from marketplace.payouts import services

    account(payable.owner, name="<b>Sam</b>")
    made = payable.statement(period=UsageAccount.objects.get().period)
    services.make_batch(actor=payable.operator)
    text = page(payable.owner, "/earnings").content.decode()
    assert f"/api/v1/statement-files/{made.id}" in text
    assert "VOUCH-1-1" in text
    assert "<b>Sam</b>" not in text
    bars = re.findall(r"<rect [^>]*height=\"([0-9.]+)\"><title>([0-9-]+): (-?[0-9]+)</title>", text)
    assert len(bars) == MONTHS
    assert sum(int(minor) for _, _, minor in bars) == made.summary["totals"]["EUR"]["net"]


def test_the_page_speaks_chinese(month: Month):  # noqa: F811
    answer = page(month.owner, "/earnings", accept_language="zh-Hans")
    assert "尚无收益" in answer.content.decode()


def test_a_chart_shows_what_was_taken_back_below_zero(month: Month):  # noqa: F811
    money.settle_due()
    money.open_dispute(actor=month.operator, order_id=month.order.id)
    money.close_dispute(actor=month.operator, order_id=month.order.id, lost=True)
    (chart,) = charts(month.owner.id, now())
    assert (sum(bar.minor for bar in chart.bars), len(chart.bars)) == (0, MONTHS)
    assert all(0 <= bar.y <= 120 and bar.height >= 0 for bar in chart.bars)
    assert charts(month.owner.id, datetime(2031, 1, 31, tzinfo=UTC)) == []


def test_a_customer_sees_orders_and_the_invoice(month: Month):  # noqa: F811
    text = page(month.customer, "/orders").content.decode()
    assert f"/orders/{month.order.id}/invoice" in text
    invoice = page(month.customer, f"/orders/{month.order.id}/invoice").content.decode()
    assert "33.30 EUR" in invoice
    money.refund(actor=month.operator, order_id=month.order.id)
    assert "Given back" in page(month.customer, f"/orders/{month.order.id}/invoice").content.decode()


def test_nobody_sees_anothers_money(month: Month, person):  # noqa: F811
    money.settle_due()
    for who in (month.owner, person()):
        assert page(who, f"/orders/{month.order.id}/invoice").status_code == 404
    stranger = page(person(), "/earnings").content.decode()
    assert "Nothing earned yet." in stranger
    assert "/api/v1/statement-files/" not in stranger
    for path in ("/earnings", "/orders", f"/orders/{month.order.id}/invoice"):
        assert Client().get(path).status_code == 302
        assert page(person(role="operator"), path).status_code == 403
