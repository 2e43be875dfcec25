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

from cloning import trace_answers, trace_page, trace_report, tracing
from safety import views_log
from vouch.api.core import ApiView, stream_body
from vouch.api.core.addresses import counted_as
from vouch.api.core.throttling import limit

TRACES_PER_MINUTE = 20
"""Tracing is open to everybody and costs a worker seconds: a person listening never needs more."""
TRACES_PER_DAY = 300
"""Of one caller. Taking a mark out by trial needs thousands."""
DAY = 86_400


class TraceStarted(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()


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
        if trace_answers.MODERATE not in self.actor.scopes:
            limit(request, door="traces-a-day", per_minute=TRACES_PER_DAY, seconds=DAY)
        caller = str(self.actor.person_id or counted_as(request))
        body = stream_body(request, max_bytes=tracing.MAX_BYTES)
        job = tracing.request_trace(actor=self.actor, stream=body, caller=caller)
        return Response(TraceStarted(job).data, status=202)


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
    path("trace/<uuid:trace_id>", TraceItem.as_view()),
    path("trace/<uuid:trace_id>/evidence", TraceEvidence.as_view()),
    path("trace/<uuid:trace_id>/report", TraceReport.as_view()),
    path("trace/<uuid:trace_id>/report.pdf", TraceReportPage.as_view()),
]
