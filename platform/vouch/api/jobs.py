"""Jobs: how far they are, asked for or told as it happens, and trying again."""

import time
from collections.abc import Iterator
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import selectors, services
from cloning.models import Job, JobPoint
from cloning.states import OPEN_JOB_STATES, JobState
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from vouch.api.core import ApiView
from vouch.api.core.eventstream import HEARTBEAT, HEARTBEAT_SECONDS, LONGEST_SECONDS, RETRY_MS, Event, streamed
from vouch.api.core.paging import listed, paged

POLL_SECONDS: Final = 1.0
"""How often an open stream looks. Workers write at most as often (`cloning.worker.PROGRESS_SECONDS`)."""
ENDED: Final = "end"
"""The id of a job's last event."""


class JobView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField()
    stage = serializers.CharField()
    progress = serializers.FloatField(help_text="0 to 1")
    seconds_left = serializers.FloatField(allow_null=True, help_text="of this stage")
    error_code = serializers.CharField()
    error_detail = serializers.CharField()
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class JobEventView(serializers.Serializer[Any]):
    job = serializers.UUIDField()
    state = serializers.CharField()
    stage = serializers.CharField()
    percent = serializers.FloatField(help_text="0 to 100")
    seconds_left = serializers.FloatField(allow_null=True, help_text="of this stage, an estimate")
    loss = serializers.FloatField(allow_null=True, help_text="of a training step; null when nothing is being trained")
    at = serializers.DateTimeField(help_text="when it stood so; points of a curve may be older than the answer")


JobMessage: Final = inline_serializer(
    "JobMessage",
    {
        "event": serializers.ChoiceField(choices=("progress", "end"), help_text="`end` is the last."),
        "id": serializers.CharField(help_text="For Last-Event-ID."),
        "data": serializers.CharField(help_text="JSON: of `progress` as docs/api.md shows it, of `end` the job."),
    },
)
"""One server-sent event, as a parser gives it."""


class Jobs(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read"}

    @listed(JobView, summary="My jobs, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.jobs(actor=self.actor), JobView)


class JobItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read"}

    @extend_schema(responses=JobView, summary="How far a job of mine is")
    def get(self, request: Request, job_id: UUID) -> Response:
        return Response(JobView(selectors.job(actor=self.actor, job_id=job_id)).data)


class JobEvents(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read"}

    @extend_schema(
        parameters=[OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description="go on behind it")],
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                JobMessage,
                "Events `progress` (`data`: job, state, stage, percent, seconds_left, loss, at), then one event `end` "
                "whose `data` is the job as GET jobs/{job_id} shows it. A training's earlier points (loss) come first. "
                "Comments keep the connection awake; after five minutes it closes, and the client asks again with "
                "Last-Event-ID.",
            ),
            204: OpenApiResponse(description="the client has seen the end"),
        },
        summary="How far a job of mine is, as it happens (server-sent events)",
    )
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        job = selectors.job(actor=self.actor, job_id=job_id)
        seen = request.headers.get("Last-Event-ID", "")
        if seen == ENDED and job.state not in OPEN_JOB_STATES:
            return HttpResponse(status=204)
        after = int(seen) if seen.isascii() and seen.isdigit() and len(seen) <= 18 else 0
        return streamed(str(self.person.pk), told(self.actor, job_id, after))


class JobRetry(ApiView):
    @extend_schema(request=None, responses={202: JobView}, summary="Try a failed job of mine again")
    def post(self, request: Request, job_id: UUID) -> Response:
        job: Job = selectors.job(actor=self.actor, job_id=job_id)
        # Trying again needs the same right as asking for the first time.
        self.actor.require_scope("speak" if job.kind == "speak" else "voice:write")
        return Response(JobView(services.retry_job(actor=self.actor, job_id=job_id)).data, status=202)


def told(actor: Actor, job_id: UUID, after: int) -> Iterator[bytes]:
    """The events of a job from behind a point of its curve on, until it ends or five minutes are over.

    No transaction and no lock is open between two looks.
    """
    began = spoke = time.monotonic()
    shown: tuple[Any, ...] = ()
    yield f"retry: {RETRY_MS}\n\n".encode()
    while True:
        try:
            job = selectors.job(actor=actor, job_id=job_id)
        except NotFound:
            return
        events = []
        while points := selectors.job_points(job_id=job_id, after=after):
            events += [_point(job_id, point) for point in points]
            after = points[-1].id
        stands = (job.state, job.stage, job.progress, job.seconds_left)
        if stands != shown and not (events and job.state == JobState.RUNNING and events[-1].data["stage"] == job.stage):
            events.append(_snapshot(job, after))
        shown = stands
        if job.state not in OPEN_JOB_STATES:
            events.append(Event("end", JobView(job).data, ENDED))
        for event in events:
            yield event.encoded()
        moment = time.monotonic()
        if job.state not in OPEN_JOB_STATES or moment - began >= LONGEST_SECONDS:
            return
        if events:
            spoke = moment
        elif moment - spoke >= HEARTBEAT_SECONDS:
            spoke = moment
            yield HEARTBEAT
        time.sleep(POLL_SECONDS)


def _point(job_id: UUID, point: JobPoint) -> Event:
    fields = _fields(point, job=job_id, state=JobState.RUNNING.value, loss=point.loss, at=point.at)
    return Event("progress", fields, str(point.id))


def _snapshot(job: Job, after: int) -> Event:
    """As the job's row stands. Its id is the last point's: shown twice after a reconnection it says the same."""
    fields = _fields(job, job=job.id, state=job.state, loss=None, at=job.finished_at or now())
    return Event("progress", fields, str(after))


def _fields(source: Job | JobPoint, **more: Any) -> dict[str, Any]:
    return dict(
        JobEventView(
            {
                "stage": source.stage,
                "percent": round(source.progress * 100, 1),
                "seconds_left": source.seconds_left,
                **more,
            }
        ).data
    )


urlpatterns = [
    path("jobs", Jobs.as_view()),
    path("jobs/<uuid:job_id>", JobItem.as_view()),
    path("jobs/<uuid:job_id>/events", JobEvents.as_view()),
    path("jobs/<uuid:job_id>/retry", JobRetry.as_view()),
]
