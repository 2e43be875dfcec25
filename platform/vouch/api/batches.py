"""Batches: a table of lines looked at, spoken, watched, tried again, ended, and taken home."""

import base64
import binascii
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.batches import archive, selectors, services, tables
from cloning.batches.models import MAX_FILE, BatchKind
from cloning.batches.states import LineState
from cloning.manner import Manner
from cloning.models import CONTAINERS, LABEL_LANGUAGES, LANGUAGES, MAX_SEED, OUTPUT_RATES
from consent.scopes import CHANNELS, SPECIAL_USES
from foundation.errors import Refused
from vouch.api.cloning import AskedManner, HowSpoken
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.api.core.schema import refusals

PER_MINUTE = 20
"""Tables looked at or sent by one person."""


class NewTable(serializers.Serializer[Any]):
    format = serializers.ChoiceField(choices=tables.SOURCES)
    content = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, help_text="the table as text; or content_base64"
    )
    content_base64 = serializers.CharField(
        required=False, trim_whitespace=False, help_text="the bytes of a file as they are, in UTF-8"
    )


class NewBatch(NewTable):
    voice = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=BatchKind.choices)
    language = serializers.ChoiceField(choices=LANGUAGES)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED, required=False)
    container = serializers.ChoiceField(choices=CONTAINERS, default="wav")
    rate = serializers.ChoiceField(choices=OUTPUT_RATES, required=False)
    label_language = serializers.ChoiceField(choices=LABEL_LANGUAGES, required=False)
    channel = serializers.ChoiceField(choices=CHANNELS, required=False)
    territory = serializers.RegexField("^[A-Z]{2}$", required=False)
    uses = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(SPECIAL_USES)), max_length=len(SPECIAL_USES), required=False
    )
    licence = serializers.UUIDField(required=False)
    manner = AskedManner(required=False)
    mask = serializers.UUIDField(required=False, help_text="every line through this mask of the voice")
    pause_ms = serializers.IntegerField(
        default=services.PAUSE_MS, min_value=0, max_value=tables.MAX_PAUSE_MS, help_text="between a narration's lines"
    )
    chapter_pause_ms = serializers.IntegerField(
        default=services.CHAPTER_PAUSE_MS,
        min_value=0,
        max_value=tables.MAX_PAUSE_MS,
        help_text="where a chapter begins",
    )


class LineProblem(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    stops = serializers.BooleanField(help_text="the line cannot be spoken; else it is, and not quite as written")


class RowView(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    text = serializers.CharField()
    file = serializers.CharField(max_length=MAX_FILE)
    chapter = serializers.CharField(max_length=MAX_FILE)
    seed = serializers.IntegerField(allow_null=True)
    pause_ms = serializers.IntegerField(allow_null=True)
    starts_ms = serializers.IntegerField(allow_null=True)
    ends_ms = serializers.IntegerField(allow_null=True)
    problems = LineProblem(many=True)


class TableView(serializers.Serializer[Any]):
    format = serializers.CharField(source="source")
    lines = serializers.IntegerField()
    characters = serializers.IntegerField(help_text="of the lines that can be spoken")
    ignored = serializers.ListField(child=serializers.CharField(), help_text="columns that mean nothing here")
    rows = RowView(many=True)


class ProgressView(serializers.Serializer[Any]):
    lines = serializers.DictField(child=serializers.IntegerField(), help_text="how many are in each state")
    total = serializers.IntegerField()
    share = serializers.FloatField(help_text="0 to 1")


class SpeechBatchView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    kind = serializers.ChoiceField(choices=BatchKind.choices)
    format = serializers.CharField(source="source")
    state = serializers.CharField()
    language = serializers.CharField()
    container = serializers.CharField()
    manner = HowSpoken()
    mask = serializers.UUIDField(source="mask_id", allow_null=True)
    licence = serializers.UUIDField(source="licence_id", allow_null=True)
    progress = serializers.SerializerMethodField()
    output = serializers.SerializerMethodField(help_text="of a narration")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(ProgressView)
    def get_progress(self, batch: Any) -> Any:
        """How far its lines are."""
        return ProgressView(selectors.progress(batch)).data

    def get_output(self, batch: Any) -> UUID | None:
        """The one recording of a narration, once there is one."""
        return selectors.narration_output(batch)


class BatchLineView(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    state = serializers.CharField(help_text=", ".join(state.value for state in LineState))
    text_sha256 = serializers.CharField(source="text_digest")
    characters = serializers.IntegerField()
    file = serializers.CharField()
    chapter = serializers.CharField()
    starts_ms = serializers.IntegerField(allow_null=True)
    ends_ms = serializers.IntegerField(allow_null=True)
    at_ms = serializers.IntegerField(allow_null=True, help_text="where it stands in the narration")
    milliseconds = serializers.IntegerField(allow_null=True)
    late_ms = serializers.IntegerField(allow_null=True, help_text="behind its subtitle's time; 0: it fitted")
    error_code = serializers.CharField()
    error_detail = serializers.CharField()
    speech = serializers.UUIDField(source="request_id", allow_null=True)
    output = serializers.SerializerMethodField()

    def get_output(self, line: Any) -> UUID | None:
        """Its recording, once there is one; of a narration the one all lines share."""
        return line.request.output.id if line.state == LineState.DONE else None


def parsed(fields: dict[str, Any]) -> tables.Table:
    """The table that was sent: as text, or as a file's bytes. Raises TableInvalid, Refused."""
    content, encoded = fields.pop("content", None), fields.pop("content_base64", None)
    if (content is None) == (encoded is None):
        raise Refused("Send content or content_base64, one of the two.", code="content_missing")
    try:
        data = base64.b64decode(encoded, validate=True) if content is None else content.encode()
    except (binascii.Error, ValueError) as error:
        raise Refused("content_base64 is not base64, or content is not text.", code="content_invalid") from error
    return tables.parse(data, fields.pop("format"))


class BatchPreview(ApiView):
    idempotent: ClassVar[bool] = False  # makes nothing
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}
    per_minute: ClassVar[int | None] = PER_MINUTE

    @extend_schema(request=NewTable, responses=TableView, summary="A table as it would be read; nothing is kept")
    def post(self, request: Request) -> Response:
        table = tables_of(parsed(checked(NewTable, request.data)))
        return Response(TableView(table).data)


def tables_of(table: tables.Table) -> dict[str, Any]:
    return {
        "source": table.source,
        "lines": len(table.rows),
        "characters": sum(len(row.text) for row in table.good),
        "ignored": table.ignored,
        "rows": table.rows,
    }


class SpeechBatches(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak", "POST": "speak"}
    per_minute: ClassVar[int | None] = PER_MINUTE

    @listed(SpeechBatchView, summary="My batches, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.batches(actor=self.actor), SpeechBatchView)

    @extend_schema(request=NewBatch, responses={202: SpeechBatchView}, summary="Have a table of lines spoken")
    def post(self, request: Request) -> Response:
        fields = checked(NewBatch, request.data)
        batch = services.create(
            actor=self.actor,
            table=parsed(fields),
            voice_id=fields.pop("voice"),
            licence_id=fields.pop("licence", None),
            manner=Manner.of(fields.pop("manner", {})),
            **fields,
        )
        return Response(SpeechBatchView(batch).data, status=202)


class BatchItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(responses=SpeechBatchView, summary="How far a batch of mine is")
    def get(self, request: Request, batch_id: UUID) -> Response:
        return Response(SpeechBatchView(selectors.batch(actor=self.actor, batch_id=batch_id)).data)


class BatchLines(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @listed(BatchLineView, summary="The lines of a batch of mine, in the table's order")
    def get(self, request: Request, batch_id: UUID) -> Response:
        return paged(request, selectors.lines(selectors.batch(actor=self.actor, batch_id=batch_id)), BatchLineView)


class BatchRetry(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}

    @extend_schema(request=None, responses={202: SpeechBatchView}, summary="Try every failed line of a batch again")
    def post(self, request: Request, batch_id: UUID) -> Response:
        return Response(SpeechBatchView(services.retry(actor=self.actor, batch_id=batch_id)).data, status=202)


class LineRetry(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}

    @extend_schema(request=None, responses={202: SpeechBatchView}, summary="Try a failed line again; a narration whole")
    def post(self, request: Request, batch_id: UUID, number: int) -> Response:
        batch = services.retry(actor=self.actor, batch_id=batch_id, number=number)
        return Response(SpeechBatchView(batch).data, status=202)


class BatchCancel(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}

    @extend_schema(request=None, responses=SpeechBatchView, summary="End a batch; what is spoken stays")
    def post(self, request: Request, batch_id: UUID) -> Response:
        return Response(SpeechBatchView(services.cancel(actor=self.actor, batch_id=batch_id)).data)


class BatchArchive(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            **refusals(409),
        },
        summary="A batch's recordings with their receipts and a manifest (JSON, CSV), as a ZIP",
    )
    def get(self, request: Request, batch_id: UUID) -> HttpResponseBase:
        batch = selectors.batch(actor=self.actor, batch_id=batch_id)
        pieces = archive.zipped(actor=self.actor, batch=batch)
        response = StreamingHttpResponse(pieces, content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="batch-{batch.id}.zip"'
        return response


urlpatterns = [
    path("batches", SpeechBatches.as_view()),
    path("batches/preview", BatchPreview.as_view()),
    path("batches/<uuid:batch_id>", BatchItem.as_view()),
    path("batches/<uuid:batch_id>/lines", BatchLines.as_view()),
    path("batches/<uuid:batch_id>/retry", BatchRetry.as_view()),
    path("batches/<uuid:batch_id>/lines/<int:number>/retry", LineRetry.as_view()),
    path("batches/<uuid:batch_id>/cancel", BatchCancel.as_view()),
    path("batches/<uuid:batch_id>/zip", BatchArchive.as_view()),
]
