"""Money after the order: what an owner has earned, and what operators refund, dispute and pay out."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace import money
from marketplace.ledger import selectors
from marketplace.payments import services as payments
from marketplace.states import Currency
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.api.marketplace import OrderView


class EarningsView(serializers.Serializer[Any]):
    currency = serializers.CharField()
    held = serializers.IntegerField(help_text="Minor units earned that may still be disputed.")
    payable = serializers.IntegerField(help_text="Minor units earned that can be paid out.")


class LegView(serializers.Serializer[Any]):
    entry = serializers.UUIDField(source="entry_id")
    kind = serializers.CharField(source="entry.kind")
    order = serializers.UUIDField(source="entry.order_id", allow_null=True)
    account = serializers.CharField(source="account.kind")
    currency = serializers.CharField(source="account.currency")
    amount_minor = serializers.IntegerField(help_text="Below zero: owed to you; above zero: moved on or paid out.")
    at = serializers.DateTimeField(source="entry.at")


class Outcome(serializers.Serializer[Any]):
    lost = serializers.BooleanField(help_text="True: the customer gets back what was not released yet.")


class NewPayout(serializers.Serializer[Any]):
    person = serializers.UUIDField()
    currency = serializers.ChoiceField(choices=Currency.values)
    reference = serializers.CharField(max_length=60, help_text="The bank's; one reference is booked once.")


class PayoutView(serializers.Serializer[Any]):
    entry = serializers.UUIDField(source="id")
    at = serializers.DateTimeField()


class Earnings(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(responses=EarningsView(many=True), summary="What I have earned and was not paid yet, by currency")
    def get(self, request: Request) -> Response:
        return Response(EarningsView(selectors.earnings(person_id=self.person.id), many=True).data)


class Movements(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @listed(LegView, summary="The latest movements on my accounts, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.legs_of(person_id=self.person.id), LegView)


class RefundOrder(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=None, responses=OrderView, summary="Operators: give back what an order did not use")
    def post(self, request: Request, order_id: UUID) -> Response:
        return Response(OrderView(payments.refund_order(actor=self.actor, order_id=order_id)).data)


class DisputeOrder(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=None, responses=OrderView, summary="Operators: the payment of an order is disputed")
    def post(self, request: Request, order_id: UUID) -> Response:
        return Response(OrderView(money.open_dispute(actor=self.actor, order_id=order_id)).data)


class CloseDispute(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=Outcome, responses=OrderView, summary="Operators: how a dispute ended")
    def post(self, request: Request, order_id: UUID) -> Response:
        fields = checked(Outcome, request.data)
        return Response(OrderView(money.close_dispute(actor=self.actor, order_id=order_id, **fields)).data)


class Payouts(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(
        request=NewPayout, responses={201: PayoutView}, summary="Operators: all that is payable to a person was sent"
    )
    def post(self, request: Request) -> Response:
        fields = checked(NewPayout, request.data)
        entry = money.pay_out(actor=self.actor, person_id=fields.pop("person"), **fields)
        return Response(PayoutView(entry).data, status=201)


urlpatterns = [
    path("earnings", Earnings.as_view()),
    path("earnings/movements", Movements.as_view()),
    path("orders/<uuid:order_id>/refund", RefundOrder.as_view()),
    path("orders/<uuid:order_id>/dispute", DisputeOrder.as_view()),
    path("orders/<uuid:order_id>/dispute/close", CloseDispute.as_view()),
    path("payouts", Payouts.as_view()),
]
