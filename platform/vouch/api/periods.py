"""What goes on after an order: renewals by the month, declared revenue, and memberships of the platform."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import membership
from marketplace import memberships, renewals, selectors, shares
from marketplace.models import MAX_QUANTITY
from vouch.api.acts import act_of
from vouch.api.core import ApiView, checked
from vouch.api.marketplace import OrderView


class RenewalChoice(serializers.Serializer[Any]):
    renews = serializers.BooleanField(help_text="False: it ends with what is paid.")


class Revenue(serializers.Serializer[Any]):
    period = serializers.RegexField(r"^[0-9]{4}-(0[1-9]|1[0-2])$", help_text="A calendar month (UTC), YYYY-MM.")
    revenue_minor = serializers.IntegerField(
        min_value=0, max_value=MAX_QUANTITY, help_text="Minor units of the order's currency, before costs; 0 too."
    )


class MonthView(serializers.Serializer[Any]):
    period = serializers.CharField()
    due_at = serializers.DateTimeField(help_text="Declared later, the licence ends.")
    bill = OrderView(allow_null=True, help_text="None: not declared yet.")


class RevenueView(serializers.Serializer[Any]):
    months = MonthView(many=True, help_text="As many as the licence's term has, oldest first.")


class NewMembership(serializers.Serializer[Any]):
    months = serializers.IntegerField(min_value=1, max_value=memberships.MAX_MONTHS)
    renews = serializers.BooleanField(default=False)
    quoted_minor = serializers.IntegerField(required=False, min_value=0, max_value=10**15)


class AccountView(serializers.Serializer[Any]):
    tier = serializers.ChoiceField(choices=[membership.FREE, membership.MEMBER])
    rates = serializers.ListField(child=serializers.IntegerField(), help_text="Hz, the default first.")
    until = serializers.DateTimeField(allow_null=True, help_text="When the membership that was begun or paid ends.")
    trial_days = serializers.IntegerField(help_text="Of the free trial that can be begun; 0: none.")
    price_minor = serializers.IntegerField(help_text="Of 30 days; 0: none is sold.")
    currency = serializers.CharField()
    free_characters = serializers.IntegerField(allow_null=True, help_text="A month, for own use; null: no bound.")
    free_characters_left = serializers.IntegerField(allow_null=True)
    free_again_at = serializers.DateTimeField()


def account_of(person_id: UUID) -> dict[str, Any]:
    """What ``AccountView`` shows of a person."""
    tier = membership.tier_of(person_id)
    found = membership.allowance(person_id)
    by_account = settings.VOUCH_TIER == membership.BY_ACCOUNT
    return {
        "tier": tier,
        "rates": membership.RATES[tier],
        "until": membership.covered_until(person_id) if by_account else None,
        "trial_days": membership.trial_left(person_id) if tier == membership.FREE else 0,
        "price_minor": settings.VOUCH_MEMBERSHIP_MINOR if by_account else 0,
        "currency": settings.VOUCH_MEMBERSHIP_CURRENCY,
        "free_characters": found.cap,
        "free_characters_left": found.left,
        "free_again_at": found.renewed_at,
    }


class SetRenewal(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=RenewalChoice, responses=OrderView, summary="Whether an order of mine by the month goes on")
    def post(self, request: Request, order_id: UUID) -> Response:
        fields = checked(RenewalChoice, request.data)
        return Response(OrderView(renewals.set_renewal(actor=self.actor, order_id=order_id, **fields)).data)


class OrderRevenue(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @extend_schema(responses=RevenueView, summary="The months of an order by a share, declared or to declare")
    def get(self, request: Request, order_id: UUID) -> Response:
        found = selectors.order(actor=self.actor, order_id=order_id)
        return Response(RevenueView({"months": shares.months(found)}).data)

    @extend_schema(
        request=Revenue, responses={201: OrderView}, summary="Declare a month's revenue, signed; the bill for the share"
    )
    def post(self, request: Request, order_id: UUID) -> Response:
        fields = checked(Revenue, request.data)
        bill = shares.declare(actor=self.actor, order_id=order_id, act=act_of(request), **fields)
        return Response(OrderView(bill).data, status=201)


class MyMembership(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @extend_schema(responses=AccountView, summary="My tier, what is left of my free quota, and what can be had")
    def get(self, request: Request) -> Response:
        return Response(AccountView(account_of(self.person.id)).data)

    @extend_schema(request=NewMembership, responses={201: OrderView}, summary="Order months of membership")
    def post(self, request: Request) -> Response:
        fields = checked(NewMembership, request.data)
        return Response(OrderView(memberships.order(actor=self.actor, act=act_of(request), **fields)).data, status=201)


class Trial(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=None, responses={201: AccountView}, summary="Begin my free trial of membership, once")
    def post(self, request: Request) -> Response:
        membership.begin_trial(actor=self.actor)
        return Response(AccountView(account_of(self.person.id)).data, status=201)


urlpatterns = [
    path("orders/<uuid:order_id>/renewal", SetRenewal.as_view()),
    path("orders/<uuid:order_id>/revenue", OrderRevenue.as_view()),
    path("membership", MyMembership.as_view()),
    path("membership/trial", Trial.as_view()),
]
