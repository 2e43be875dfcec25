"""Tracing: open to everybody, with everything for moderators, and as a signed report."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import trace_answers, trace_page, trace_report, trace_uploads, tracing
from foundation.identity.actors import Actor
from safety import views_log
from vouch.api.core import ApiView, checked, read_body, stream_body
from vouch.api.core.addresses import counted_as
from vouch.api.core.schema import refusals
from vouch.api.core.throttling import limit
from vouch.api.core.uploads import UPLOAD_OFFSET, Offset, WholeUpload, offset_in

TRACES_PER_MINUTE = 20
"""Tracing is open to everybody and costs a worker seconds: a person listening never needs more."""
TRACES_PER_DAY = 300
"""Of one caller. Taking a mark out by trial needs thousands."""
DAY = 86_400
PIECES_PER_MINUTE = 600
"""Of uploads: the whole of the largest recording is 25 pieces, or many more on a line that keeps breaking."""


class TraceStarted(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()


class TraceUploadView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    offset = serializers.IntegerField()


class TraceHitView(serializers.Serializer[Any]):
    """One output found in the recording, as it stands now: no text, no requester, no speaker's name."""

    output = serializers.CharField()
    start_s = serializers.FloatField(required=False, help_text="From details_at on, as the other figures.")
    end_s = serializers.FloatField(required=False)
    score = serializers.FloatField(required=False)
    false_positive_bound = serializers.FloatField(required=False)
    output_state = serializers.CharField(help_text="live, quarantined, revoked, never_delivered or transplanted")
    made_at = serializers.DateTimeField(required=False)
    voice = serializers.CharField(required=False)
    use = serializers.CharField(required=False, help_text="own_use or licence")
    consent_state = serializers.CharField(required=False)
    licence_state = serializers.CharField(required=False, allow_null=True)
    rehearsal = serializers.BooleanField(required=False)


class TraceLabelView(serializers.Serializer[Any]):
    audible = serializers.BooleanField(allow_null=True)
    metadata = serializers.CharField(help_text="present, several, damaged, none or unreadable")


class TraceView(TraceStarted):
    """``state`` is queued, waiting (until ready_at), done or failed; ``verdict`` is ours, transplanted,
    unknown_mark, inconclusive (too little sound to tell) or not_found."""

    ready_at = serializers.DateTimeField(allow_null=True)
    verdict = serializers.CharField(allow_null=True)
    label = TraceLabelView(allow_null=True)  # type: ignore[assignment]  # a field of that name, not DRF's caption
    details_at = serializers.DateTimeField(allow_null=True)
    hits = TraceHitView(many=True)
    error_code = serializers.CharField()
    error_detail = serializers.CharField()


class Traces(ApiView):
    streamed: ClassVar[bool] = True
    public: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"POST": "trace"}
    per_minute: ClassVar[int | None] = TRACES_PER_MINUTE

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={202: TraceStarted},
        summary="Where does this recording come from? Open to everybody",
    )
    def post(self, request: Request) -> Response:
        _count_of_the_day(request, self.actor)
        caller = str(self.actor.person_id or counted_as(request))
        body = stream_body(request, max_bytes=tracing.MAX_BYTES)
        job = tracing.request_trace(actor=self.actor, stream=body, caller=caller)
        return Response(TraceStarted(job).data, status=202)


class TraceUploads(ApiView):
    public: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"POST": "trace"}
    per_minute: ClassVar[int | None] = TRACES_PER_MINUTE

    @extend_schema(request=None, responses={201: TraceUploadView}, summary="Begin to send a recording in pieces")
    def post(self, request: Request) -> Response:
        _count_of_the_day(request, self.actor)
        place = trace_uploads.begin(actor=self.actor)
        return Response({"id": place, "offset": 0}, status=201)


class TraceUpload(ApiView):
    """An upload that can be resumed, as of a training recording. Without signing in, its id is the key to it."""

    public: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"GET": "trace", "PATCH": "trace", "POST": "trace"}
    per_minute: ClassVar[int | None] = PIECES_PER_MINUTE

    @extend_schema(summary="Where an upload in pieces stands", responses=Offset)
    def get(self, request: Request, upload_id: UUID) -> Response:
        return Response({"offset": trace_uploads.offset_of(actor=self.actor, upload_id=upload_id)})

    @extend_schema(
        summary="Send the next piece of the recording, at most 1 MiB",
        parameters=[UPLOAD_OFFSET],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: Offset, **refusals(409, 410)},
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:
        trace_uploads.offset_of(actor=self.actor, upload_id=upload_id)  # refused before a byte of the body is read
        begins = offset_in(request)
        data = read_body(request, max_bytes=trace_uploads.MAX_PIECE)
        following = trace_uploads.append(actor=self.actor, upload_id=upload_id, offset=begins, data=data)
        return Response({"offset": following})

    @extend_schema(
        operation_id="trace_uploads_finish",
        summary="Finish an upload in pieces; it is searched next",
        request=WholeUpload,
        responses={202: TraceStarted, **refusals(409, 410)},
    )
    def post(self, request: Request, upload_id: UUID) -> Response:
        given = checked(WholeUpload, request.data)
        caller = str(self.actor.person_id or counted_as(request))
        job = trace_uploads.finish(actor=self.actor, upload_id=upload_id, sha256=given["sha256"], caller=caller)
        return Response(TraceStarted(job).data, status=202)


def _count_of_the_day(request: Request, actor: Actor) -> None:
    if trace_answers.MODERATE not in actor.scopes:
        limit(request, door="traces-a-day", per_minute=TRACES_PER_DAY, seconds=DAY)


class TraceItem(ApiView):
    public: ClassVar[bool] = True

    @extend_schema(responses=TraceView, summary="What a trace found, as it stands now; figures come later")
    def get(self, request: Request, trace_id: UUID) -> Response:
        return Response(TraceView(trace_answers.public(trace_id=trace_id)).data)


class TraceEvidence(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @extend_schema(
        responses=OpenApiTypes.OBJECT, summary="Everything about a trace, for moderators; the view is logged"
    )
    def get(self, request: Request, trace_id: UUID) -> Response:
        found = trace_answers.whole(actor=self.actor, trace_id=trace_id)
        views_log.viewed(actor=self.actor, subject=f"trace:{trace_id}", what="trace")
        return Response(found)


class TraceReport(ApiView):
    public: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = TRACES_PER_MINUTE

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="A signed detection report, verifiable offline")
    def get(self, request: Request, trace_id: UUID) -> Response:
        return Response(trace_report.report(actor=self.actor, trace_id=trace_id))


class TraceReportPage(ApiView):
    public: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = TRACES_PER_MINUTE

    @extend_schema(
        summary="The detection report as one page to print",
        parameters=[OpenApiParameter("language", str, enum=trace_page.LANGUAGES)],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, trace_id: UUID) -> HttpResponse:
        language = request.query_params.get("language", "en")
        report = trace_report.report(actor=self.actor, trace_id=trace_id)
        page = trace_page.page(report, language if language in trace_page.LANGUAGES else "en")
        name = f'attachment; filename="trace-{trace_id}.pdf"'
        return HttpResponse(page, content_type="application/pdf", headers={"Content-Disposition": name})


urlpatterns = [
    path("trace", Traces.as_view()),
    path("trace/uploads", TraceUploads.as_view()),
    path("trace/uploads/<uuid:upload_id>", TraceUpload.as_view()),
    path("trace/<uuid:trace_id>", TraceItem.as_view()),
    path("trace/<uuid:trace_id>/evidence", TraceEvidence.as_view()),
    path("trace/<uuid:trace_id>/report", TraceReport.as_view()),
    path("trace/<uuid:trace_id>/report.pdf", TraceReportPage.as_view()),
]
