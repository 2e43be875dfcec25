"""Orders, and the owner's statement."""

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import NotAllowed
from marketplace import selectors, services
from marketplace.models import MAX_ORDER_CHARACTERS, Order
from vouch.api.acts import act_of
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged

MAX_PERIOD = timedelta(days=366)
"""A statement covers a year at most."""


class NewOrder(serializers.Serializer[Any]):
    listing = serializers.UUIDField()
    characters = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ORDER_CHARACTERS,
        help_text="Or seconds, outputs or months, by the listing's unit; 1 for a share of revenue.",
    )
    trial = serializers.BooleanField(default=False, help_text="The listing's free part alone, once.")
    renews = serializers.BooleanField(default=False, help_text="By the month: another order follows before the end.")
    quoted_minor = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=10**15,
        help_text="What you were told it costs; another price is refused.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["trial"] == ("characters" in attrs):
            raise serializers.ValidationError({"characters": "How many, or a trial: one of the two."})
        return attrs


class Payment(serializers.Serializer[Any]):
    reference = serializers.CharField(max_length=120)


class OrderView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField(help_text="licence, bill (a share of declared revenue) or membership")
    listing = serializers.UUIDField(source="listing_id", allow_null=True)
    follows = serializers.UUIDField(source="follows_id", allow_null=True, help_text="The order it renews, or bills.")
    period = serializers.CharField(help_text="Of a bill: the month that was declared.")
    characters = serializers.IntegerField(help_text="What the licence allows in all.")
    unit = serializers.CharField()
    quantity = serializers.IntegerField(
        help_text="What is paid for: characters, milliseconds, outputs, months, or revenue."
    )
    free = serializers.IntegerField(help_text="What comes before it for nothing, in the same unit.")
    price_minor = serializers.IntegerField()
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    state = serializers.CharField()
    licence = serializers.UUIDField(source="licence_id", allow_null=True)
    renews = serializers.BooleanField()
    starts_at = serializers.DateTimeField(allow_null=True, help_text="Of what is paid by the month.")
    ends_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="By when a renewal or a bill is to be paid.")
    rehearsal = serializers.BooleanField()
    placed_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    fulfilled_at = serializers.DateTimeField(allow_null=True)
    disputed_at = serializers.DateTimeField(allow_null=True)
    refunded_minor = serializers.IntegerField(allow_null=True)


class Period(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not timedelta(0) < attrs["until"] - attrs["since"] <= MAX_PERIOD:
            raise serializers.ValidationError("A statement covers more than nothing and at most 366 days.")
        return attrs


class LineView(serializers.Serializer[Any]):
    licence = serializers.CharField(allow_null=True)
    currency = serializers.CharField()
    price_minor = serializers.IntegerField()
    uses = serializers.IntegerField()
    characters = serializers.IntegerField()
    milliseconds = serializers.IntegerField()
    amount_minor = serializers.IntegerField()


class StatementView(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    lines = LineView(many=True)
    totals = serializers.DictField(child=serializers.IntegerField(), help_text="Minor units by currency.")


class Orders(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(OrderView, summary="Orders I placed, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.orders_of(actor=self.actor), OrderView)

    @extend_schema(
        request=NewOrder, responses={201: OrderView}, summary="Order a licence; a free one is granted at once"
    )
    def post(self, request: Request) -> Response:
        fields = checked(NewOrder, request.data)
        order: Order = services.place_order(
            actor=self.actor,
            listing_id=fields["listing"],
            characters=fields.get("characters", 0),
            quoted_minor=fields.get("quoted_minor"),
            renews=fields["renews"],
            act=act_of(request),
        )
        return Response(OrderView(order).data, status=201)


class OrderItem(ApiView):
    @extend_schema(responses=OrderView, summary="An order I placed or received")
    def get(self, request: Request, order_id: UUID) -> Response:
        if self.actor.role != "operator":
            self.actor.require_scope("market:read")
        return Response(OrderView(selectors.order(actor=self.actor, order_id=order_id)).data)


class CancelOrder(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=None, responses=OrderView, summary="Cancel an order of mine that is not paid")
    def post(self, request: Request, order_id: UUID) -> Response:
        return Response(OrderView(services.cancel_order(actor=self.actor, order_id=order_id)).data)


class PayOrder(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=Payment, responses=OrderView, summary="Operators: the money of an order arrived")
    def post(self, request: Request, order_id: UUID) -> Response:
        fields = checked(Payment, request.data)
        return Response(OrderView(services.record_payment(actor=self.actor, order_id=order_id, **fields)).data)


class FulfilOrder(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=None, responses=OrderView, summary="Operators: grant the licence of a paid order")
    def post(self, request: Request, order_id: UUID) -> Response:
        return Response(OrderView(services.fulfil(actor=self.actor, order_id=order_id)).data)


class Statements(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(
        parameters=[OpenApiParameter("since", str, required=True), OpenApiParameter("until", str, required=True)],
        responses=StatementView,
        summary="What my voices were used for, and what they earned",
    )
    def get(self, request: Request) -> Response:
        fields = checked(Period, request.query_params)
        if self.actor.person_id is None:
            raise NotAllowed("Only a person has statements.")
        return Response(StatementView(selectors.statement(owner_id=self.actor.person_id, **fields)).data)


urlpatterns = [
    path("orders", Orders.as_view()),
    path("orders/<uuid:order_id>", OrderItem.as_view()),
    path("orders/<uuid:order_id>/cancel", CancelOrder.as_view()),
    path("orders/<uuid:order_id>/payment", PayOrder.as_view()),
    path("orders/<uuid:order_id>/fulfil", FulfilOrder.as_view()),
    path("statements", Statements.as_view()),
]
