"""Payouts: where I want to be paid, what was sent to me, and for operators the files for the bank."""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import NotFound
from marketplace.payouts import files, selectors, services
from marketplace.payouts.models import NAME_CHARS
from marketplace.states import Currency
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.api.core.schema import refusals

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "xml": "application/xml"}


class AccountFields(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS, help_text="As the bank knows it.")
    iban = serializers.CharField(max_length=42)
    bic = serializers.CharField(max_length=11, allow_blank=True, default="")
    currency = serializers.ChoiceField(choices=Currency.values, help_text="What you are paid in.")


class SentPayoutView(serializers.Serializer[Any]):
    reference = serializers.CharField()
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    iban_end = serializers.SerializerMethodField(help_text="The last four characters of the account it went to.")
    made_at = serializers.DateTimeField(source="batch.made_at")

    def get_iban_end(self, payout: Any) -> str:
        return str(payout.iban[-4:])


class BatchView(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    transfers = serializers.IntegerField()
    made_at = serializers.DateTimeField()


class MyPayoutAccount(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "PUT": "market:write"}

    @extend_schema(responses={200: AccountFields, **refusals(404)}, summary="Where I am paid")
    def get(self, request: Request) -> Response:
        return Response(AccountFields(selectors.account_of(actor=self.actor)).data)

    @extend_schema(request=AccountFields, responses=AccountFields, summary="Say where I want to be paid")
    def put(self, request: Request) -> Response:
        fields = checked(AccountFields, request.data)
        made = services.set_account(actor=self.actor, account=fields.pop("iban"), **fields)
        return Response(AccountFields(made).data)


class MyPayouts(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @listed(SentPayoutView, summary="What was sent to me, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.payouts_of(actor=self.actor), SentPayoutView)


class Batches(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "operate", "POST": "operate"}

    @listed(BatchView, summary="Operators: payout files, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.batches(actor=self.actor), BatchView)

    @extend_schema(request=None, responses={201: BatchView}, summary="Operators: book all that can be paid out now")
    def post(self, request: Request) -> Response:
        made = services.make_batch(actor=self.actor)
        return Response(BatchView(selectors.batch(actor=self.actor, number=made.number)).data, status=201)


class Exchange(serializers.Serializer[Any]):
    sold_minor = serializers.IntegerField(min_value=1, max_value=10**12)
    sold = serializers.CharField(max_length=3, help_text="Currency.")
    bought_minor = serializers.IntegerField(min_value=1, max_value=10**12)
    bought = serializers.CharField(max_length=3, help_text="Currency.")
    reference = serializers.CharField(max_length=60, help_text="The bank's; one reference is booked once.")


class ExchangeView(serializers.Serializer[Any]):
    entries = serializers.ListField(child=serializers.UUIDField())


class Exchanges(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=Exchange, responses={201: ExchangeView}, summary="Operators: the bank changed our money")
    def post(self, request: Request) -> Response:
        booked = services.change_money(actor=self.actor, **checked(Exchange, request.data))
        return Response({"entries": [str(entry.id) for entry in booked]}, status=201)


class BatchFile(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "operate"}

    @extend_schema(
        parameters=[OpenApiParameter("form", str, OpenApiParameter.PATH, enum=sorted(MEDIA_TYPES))],
        responses={
            (200, "application/xml"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
            **refusals(422),
        },
        summary="Operators: a payout file as CSV or ISO 20022 pain.001",
    )
    def get(self, request: Request, number: int, form: str) -> HttpResponse:
        if form not in MEDIA_TYPES:
            raise NotFound
        found = selectors.batch(actor=self.actor, number=number)
        data = files.as_csv(services.transfers(found)) if form == "csv" else services.as_pain_001(found)
        response = HttpResponse(data, content_type=MEDIA_TYPES[form])
        response["Content-Disposition"] = f'attachment; filename="payouts-{number}.{form}"'
        return response


urlpatterns = [
    path("payout-account", MyPayoutAccount.as_view()),
    path("payouts/mine", MyPayouts.as_view()),
    path("exchanges", Exchanges.as_view()),
    path("payout-files", Batches.as_view()),
    path("payout-files/<int:number>/<slug:form>", BatchFile.as_view()),
]
