"""Paying for an order, and what payment providers tell us."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import NotFound
from marketplace.payments import registry
from marketplace.payments import services as payments
from marketplace.payments.models import PaymentState
from vouch.api.core import ApiView, checked

PROVIDERS = ("stripe", "test")


class PaymentView(serializers.Serializer[Any]):
    order = serializers.UUIDField(source="order_id")
    provider = serializers.CharField()
    reference = serializers.CharField()
    token = serializers.CharField(help_text="What the browser needs to pay at the provider (Stripe: client_secret).")
    state = serializers.ChoiceField(choices=PaymentState.values)


class Card(serializers.Serializer[Any]):
    card = serializers.RegexField(r"^[a-z0-9]{1,20}$", help_text="`declined` and `expired` fail; any other works.")


class EventOutcome(serializers.Serializer[Any]):
    outcome = serializers.CharField()


class BeginPayment(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=None, responses=PaymentView, summary="Begin to pay an open order of mine")
    def post(self, request: Request, order_id: UUID) -> Response:
        return Response(PaymentView(payments.begin(actor=self.actor, order_id=order_id)).data)


class TestCard(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(
        request=Card, responses=EventOutcome, summary="Test provider only: pay an order of mine with a test card"
    )
    def post(self, request: Request, order_id: UUID) -> Response:
        fields = checked(Card, request.data)
        test = registry.embedded()
        payment = payments.begin(actor=self.actor, order_id=order_id)
        body, headers = test.pay(payment.reference, payments.charge_of(payment.order), fields["card"])
        return Response({"outcome": payments.receive(name=test.name, body=body, headers=headers)})


class ProviderEvents(ApiView):
    idempotent: ClassVar[bool] = False  # an event has its own id
    public: ClassVar[bool] = True

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses=EventOutcome,
        summary="A payment provider's signed event; each is acted on once",
        auth=[],
    )
    def post(self, request: Request, provider: str) -> Response:
        if provider not in PROVIDERS:
            raise NotFound
        outcome = payments.receive(name=provider, body=request.body, headers=request.headers)
        return Response({"outcome": outcome})


urlpatterns = [
    path("orders/<uuid:order_id>/pay", BeginPayment.as_view()),
    path("orders/<uuid:order_id>/pay/test", TestCard.as_view()),
    path("payments/events/<slug:provider>", ProviderEvents.as_view()),
]
