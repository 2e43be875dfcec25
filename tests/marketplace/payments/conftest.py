"""An order that waits for its money, and the provider that will bring it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from foundation.identity.actors import Actor
from foundation.identity.models import Person
from marketplace import services
from marketplace.models import Order
from marketplace.payments import registry
from marketplace.payments import services as payments
from marketplace.payments.models import Payment
from marketplace.payments.provider import Charge, EventKind
from tests.marketplace.factories import heard, ready_voice

TERMS = {"title": "A calm voice", "price_minor": 199, "currency": "EUR", "languages": ["en"], "licence_days": 30}


@dataclass
class Sale:
    owner: Person
    customer: Person
    operator: Actor
    order: Order
    capture: Callable[[], AbstractContextManager[Any]]

    def fresh(self) -> Order:
        return Order.objects.get(id=self.order.id)

    def payment(self) -> Payment:
        return Payment.objects.get(order=self.order)

    def begin(self) -> Payment:
        return payments.begin(actor=Actor.of(self.customer), order_id=self.order.id)

    def says(self, kind: EventKind, *, name: str = "", **change: Any) -> str:
        """The test provider's event of this kind about the order comes in; what it sets off happens."""
        fields = {"order_id": self.order.id, "amount_minor": self.order.amount_minor, "currency": self.order.currency}
        body, headers = registry.embedded().event(
            name or f"evt-{kind}", kind, f"test_{self.order.id}", Charge(**{**fields, **change})
        )
        with self.capture():
            return payments.receive(name="test", body=body, headers=headers)

    def pay(self) -> None:
        self.begin()
        self.says(EventKind.HELD)


@pytest.fixture
def sale(person: Callable[..., Any], settings: Any, django_capture_on_commit_callbacks: Any) -> Sale:
    settings.VOUCH_PAYMENTS = "test"
    owner, customer = person(), person()
    listing = heard(services.create_listing(actor=Actor.of(owner), voice_id=ready_voice(owner).id, **TERMS))
    order = services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=10_000)
    return Sale(
        owner,
        customer,
        Actor.of(person(role="operator")),
        order,
        lambda: django_capture_on_commit_callbacks(execute=True),
    )
