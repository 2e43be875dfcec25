"""In a browser: a month is ordered and ended, revenue declared, a trial begun, a large month's statement awaited."""

from datetime import timedelta

import pytest

from cloning.account_models import Membership
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace import services, tasks
from marketplace.models import Order, StatementJob
from marketplace.statements import jobs
from tests.marketplace.factories import heard, ready_voice, spoken
from tests.vouch.web.test_browser import until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]


def offer(owner, **terms):
    fields = {"price_minor": 0, "currency": "EUR", "languages": ["en"], "licence_days": 60, **terms}
    made = services.create_listing(actor=Actor.of(owner), voice_id=ready_voice(owner, rehearsal=True).id, **fields)
    return heard(made)


def test_months_revenue_a_trial_and_a_large_month(page, sign_in, person, settings, monkeypatch):
    settings.VOUCH_TIER = "accounts"
    owner, customer = person(), person()
    monthly, shared = offer(owner, title="A calm alto", unit="month"), offer(owner, title="A deep bass", unit="share")
    sign_in(customer).goto("/market")
    card = page.locator(f"#offer-{monthly.id}")
    assert "per month of 30 days" in card.inner_text()
    card.get_by_label("Renew it").check()
    with page.expect_navigation():
        card.get_by_role("button", name="Order").click()
    order = until(lambda: Order.objects.filter(listing=monthly).first())
    assert (order.renews, order.quantity) == (True, 1)
    with page.expect_navigation():
        page.locator(f"#offer-{shared.id}").get_by_role("button", name="Order").click()
    made = until(lambda: Order.objects.filter(listing=shared).first())
    Order.objects.filter(id=made.id).update(fulfilled_at=now().replace(day=1) - timedelta(days=2))
    page.goto("/orders")
    page.locator(f"#order-{order.id}").get_by_role("button", name="End it then").click()
    page.locator(f"#order-{order.id}").get_by_role("button", name="Renew it").wait_for()
    page.get_by_label("Revenue of").fill("5000")
    with page.expect_navigation():
        page.get_by_role("button", name="Declare and sign").click()
    bill = until(lambda: Order.objects.filter(kind="bill").first())
    assert (bill.quantity, bill.state) == (5_000, "fulfilled")
    page.goto("/membership")
    page.get_by_role("button", name="Begin the trial").click()
    page.get_by_text("32000 Hz, 48000 Hz").wait_for()
    assert Membership.objects.get().person == customer
    spoken(monthly.voice, owner, characters=5)
    monkeypatch.setattr(jobs, "AT_ONCE", 0)
    sign_in(owner).goto("/earnings")
    page.get_by_role("button", name="Make the statement").click()
    page.get_by_text("Computing the statement: 0 of 1 uses.").wait_for()
    tasks.make_statement.run(str(until(lambda: StatementJob.objects.first()).id))
    page.get_by_role("link", name="Download").wait_for()
