"""The pages about money: what an owner has earned, and what a customer ordered. Numbers are the rooms' own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace import selectors as market
from marketplace import shares
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind, EntryKind
from marketplace.memberships import MAX_MONTHS
from marketplace.models import MAX_QUANTITY, Order
from marketplace.payouts import selectors as payouts
from marketplace.payouts.models import NAME_CHARS
from marketplace.pricing import Unit
from marketplace.statements import selectors as statements
from marketplace.states import Currency, OrderKind, OrderState
from vouch.api.periods import account_of
from vouch.web.access import actor_of, needs

ROWS: Final = 50
"""Rows of one list: newest first, the API has the rest."""
MONTHS: Final = 12
WIDTH: Final = 720
HEIGHT: Final = 120


@dataclass(frozen=True)
class Bar:
    """One month of a chart: its place in the picture, and what it says. ``minor``: net, below zero after reversals."""

    month: str
    minor: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """A currency's last months. ``zero``: where nothing was earned lies."""

    currency: str
    bars: list[Bar]
    zero: float


@require_safe
@needs("market:read")
def earnings(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    person_id = _person(actor)
    try:
        account = payouts.account_of(actor=actor)
    except NotFound:
        account = None
    return render(
        request,
        "web/earnings.html",
        {
            "earnings": ledger.earnings(person_id=person_id),
            "charts": charts(person_id, now()),
            "statements": statements.statements_of(actor=actor)[:ROWS],
            "payouts": payouts.payouts_of(actor=actor)[:ROWS],
            "account": account,
            "currencies": Currency.values,
            "name_chars": NAME_CHARS,
            "month": now().strftime("%Y-%m"),
            "width": WIDTH,
            "height": HEIGHT,
        },
    )


@require_safe
@needs("market:read")
def orders(request: HttpRequest) -> HttpResponse:
    found = market.orders_of(actor=actor_of(request)).select_related("licence")[:ROWS]
    rows = [_row(one) for one in found]
    return render(request, "web/orders.html", {"orders": rows, "max_revenue": MAX_QUANTITY})


@require_safe
@needs("market:read")
def membership(request: HttpRequest) -> HttpResponse:
    """What the person's account has, what is left of it, and what can be had."""
    account = account_of(_person(actor_of(request)))
    return render(request, "web/membership.html", {"account": account, "max_months": MAX_MONTHS})


def _row(order: Order) -> dict[str, Any]:
    """An order as its customer sees it: what can be paid, declared or renewed."""
    shared = order.unit == Unit.SHARE and order.kind == OrderKind.LICENCE
    return {
        "order": order,
        "payable": order.state == OrderState.PLACED and settings.VOUCH_PAYMENTS == "test",
        "months": [month for month in shares.months(order) if month.bill is None] if shared else [],
        "renewable": order.state == OrderState.FULFILLED
        and order.ends_at is not None
        and order.ends_at > now()
        and not order.followers.exclude(state=OrderState.CANCELLED).exists(),
    }


@require_safe
@needs("market:read")
def invoice(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """The invoice of an order that was paid; only its customer's."""
    found = market.orders_of(actor=actor_of(request)).select_related("seller").filter(id=order_id).first()
    if found is None or found.paid_at is None or found.amount_minor == 0:
        raise NotFound
    payer = found.follows if found.kind == OrderKind.BILL and found.follows is not None else found
    rest = found.amount_minor - (found.refunded_minor or 0)
    return render(request, "web/invoice.html", {"order": found, "licence_id": payer.licence_id, "rest": rest})


def charts(person_id: UUID, at: datetime) -> list[Chart]:
    """What was earned net of fees in each of the last months, by currency; a currency without earnings has none."""
    months = [_back(at, count) for count in reversed(range(MONTHS))]
    own = ledger.legs_of(person_id=person_id).filter(account__kind=AccountKind.HOLDBACK, entry__at__gte=months[0])
    moved = own.filter(Q(entry__kind=EntryKind.EARN) | Q(entry__kind=EntryKind.REVERSE)).order_by()
    sums = moved.annotate(month=TruncMonth("entry__at")).values("account__currency", "month").annotate(
        total=Sum("amount_minor")
    )  # fmt: skip
    found: dict[str, dict[str, int]] = {}
    for row in sums:
        found.setdefault(row["account__currency"], {})[row["month"].strftime("%Y-%m")] = -row["total"]
    names = [month.strftime("%Y-%m") for month in months]
    return [_chart(currency, [(name, found[currency].get(name, 0)) for name in names]) for currency in sorted(found)]


def _chart(currency: str, months: list[tuple[str, int]]) -> Chart:
    top, bottom = max(0, *(minor for _, minor in months)), min(0, *(minor for _, minor in months))
    scale = HEIGHT / max(top - bottom, 1)
    zero, step = round(top * scale, 1), WIDTH / len(months)
    bars = [
        Bar(
            month,
            minor,
            round(place * step + step * 0.15, 1),
            round(zero - max(minor, 0) * scale, 1),
            round(step * 0.7, 1),
            round(abs(minor) * scale, 1),
        )
        for place, (month, minor) in enumerate(months)
    ]
    return Chart(currency, bars, zero)


def _back(at: datetime, months: int) -> datetime:
    """The first moment of the month so many months before."""
    count = at.year * 12 + at.month - 1 - months
    return at.replace(year=count // 12, month=count % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _person(actor: Actor) -> Any:
    if actor.person_id is None:
        raise NotFound
    return actor.person_id
