"""Statements that verify offline: an owner's month as a file, and the rates it converts by."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.statements import jobs, making
from marketplace.statements import selectors as statements
from marketplace.statements.models import JobState, StatementJob
from marketplace.states import Currency
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged

MEDIA_TYPE = "application/jsonl"


class NewStatement(serializers.Serializer[Any]):
    period = serializers.RegexField(r"^[0-9]{4}-(0[1-9]|1[0-2])$", help_text="A calendar month (UTC), YYYY-MM.")
    currency = serializers.ChoiceField(
        choices=Currency.values, required=False, help_text="Converts everything into one currency, by the rate table."
    )


class TotalView(serializers.Serializer[Any]):
    gross = serializers.IntegerField()
    fee = serializers.IntegerField()
    reversed = serializers.IntegerField(help_text="Earned before and taken back after a lost dispute.")
    net = serializers.IntegerField()


class PayableView(serializers.Serializer[Any]):
    currency = serializers.CharField()
    minor = serializers.IntegerField()


class MadeStatementView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    period = serializers.CharField(source="account.period")
    final = serializers.BooleanField(help_text="False: the month is not over; uses may come.")
    uses = serializers.IntegerField()
    characters = serializers.IntegerField(source="summary.characters")
    milliseconds = serializers.IntegerField(source="summary.milliseconds")
    totals = serializers.DictField(child=TotalView(), source="summary.totals", help_text="Minor units by currency.")
    payable = PayableView(source="summary.payable", allow_null=True)
    sum_root = serializers.CharField(source="summary.root", help_text="Of the Merkle sum tree over all lines.")
    leaf_index = serializers.IntegerField()
    made_at = serializers.DateTimeField()


class StatementJobView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    period = serializers.CharField()
    state = serializers.ChoiceField(choices=JobState.values)
    uses = serializers.IntegerField(help_text="Of the month, when it was asked for.")
    done = serializers.IntegerField(help_text="Uses priced so far.")
    statement = serializers.UUIDField(source="statement_id", allow_null=True)
    error = serializers.CharField(help_text="A code, when it failed.")


class StatementFiles(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(MadeStatementView, summary="My statements, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, statements.statements_of(actor=self.actor), MadeStatementView)

    @extend_schema(
        request=NewStatement,
        responses={201: MadeStatementView, 202: StatementJobView},
        summary="Make the statement of a month of mine; the same again without a new use; a large month's is a job",
    )
    def post(self, request: Request) -> Response:
        fields = checked(NewStatement, request.data)
        made = jobs.ask(actor=self.actor, period=fields["period"], payout_currency=fields.get("currency", ""))
        if isinstance(made, StatementJob):
            return Response(StatementJobView(made).data, status=202)
        return Response(MadeStatementView(made).data, status=201)


class StatementJobItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(responses=StatementJobView, summary="How far a large month's statement is")
    def get(self, request: Request, job_id: UUID) -> Response:
        return Response(StatementJobView(jobs.job_of(actor=self.actor, job_id=job_id)).data)


class StatementFile(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(
        responses={(200, MEDIA_TYPE): OpenApiTypes.BINARY},
        summary="The file: every line and every proof (vouch verify-statement)",
    )
    def get(self, request: Request, statement_id: UUID) -> StreamingHttpResponse:
        found = statements.statement_of(actor=self.actor, statement_id=statement_id)
        response = StreamingHttpResponse(making.file(found), content_type=MEDIA_TYPE)
        name = f"statement-{found.account.period}.jsonl"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


urlpatterns = [
    path("statement-files", StatementFiles.as_view()),
    path("statement-jobs/<uuid:job_id>", StatementJobItem.as_view()),
    path("statement-files/<uuid:statement_id>", StatementFile.as_view()),
]
