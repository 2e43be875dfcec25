"""What is held of a person's raw audio, until when, and the proof that it is gone."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from retention import certificates, custody, holds, schedule, selectors
from retention.models import REASON_CHARS
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged


class HoldOfMine(serializers.Serializer[Any]):
    reason = serializers.CharField()
    since = serializers.DateTimeField(source="approved_at")
    expires_at = serializers.DateTimeField()


class CustodyView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    purpose = serializers.CharField()
    kind = serializers.CharField()
    derived_from = serializers.UUIDField(source="parent_id", allow_null=True)
    state = serializers.CharField()
    size = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    deadline = serializers.DateTimeField()
    destroyed_at = serializers.DateTimeField(allow_null=True)
    destroyed_reason = serializers.CharField()
    legal_holds = HoldOfMine(source="open_holds", many=True, help_text="Why it may outlive its deadline, unread.")


class HoldRequest(serializers.Serializer[Any]):
    item = serializers.UUIDField()
    reason = serializers.CharField(max_length=REASON_CHARS, help_text="The person concerned reads it.")
    expires_at = serializers.DateTimeField(help_text="At most 90 days from now.")


class HoldView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    item = serializers.UUIDField(source="item_id")
    state = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.UUIDField(source="requested_by_id")
    requested_at = serializers.DateTimeField()
    approved_by = serializers.UUIDField(source="approved_by_id", allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    ending_by = serializers.UUIDField(source="ending_by_id", allow_null=True, help_text="Who asked for its early end.")
    ending_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.UUIDField(source="ended_by_id", allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_reason = serializers.CharField()


class DueView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    purpose = serializers.CharField()
    state = serializers.CharField()
    received_at = serializers.DateTimeField()
    deadline = serializers.DateTimeField()


class IncidentView(serializers.Serializer[Any]):
    kind = serializers.CharField()
    item = serializers.UUIDField(source="item_id", allow_null=True)
    seconds = serializers.FloatField(help_text="How late, or how far the clock was behind, when it was found.")
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    leaf = serializers.IntegerField(source="leaf_index")


class OverviewView(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    swept_at = serializers.DateTimeField(allow_null=True, help_text="When the sweep last ran to its end.")
    held = serializers.IntegerField()
    overdue = DueView(many=True)
    due_soon = DueView(many=True)
    incidents = IncidentView(many=True)
    holds = HoldView(many=True)


class ScheduleRow(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.DictField(child=serializers.CharField())
    purpose = serializers.DictField(child=serializers.CharField())
    hours = serializers.IntegerField(allow_null=True, help_text="The longest time, where the code keeps one.")
    period = serializers.DictField(child=serializers.CharField())
    basis = serializers.DictField(child=serializers.CharField())
    end = serializers.DictField(child=serializers.CharField())


class ScheduleView(serializers.Serializer[Any]):
    version = serializers.CharField()
    rows = ScheduleRow(many=True)


class CustodyList(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @listed(CustodyView, summary="What is held, or was held, of me")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.held_for(actor=self.actor), CustodyView)


class CustodyOne(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="One held recording", responses=CustodyView)
    def get(self, request: Request, item_id: UUID) -> Response:
        return Response(CustodyView(selectors.item_for(actor=self.actor, item_id=item_id)).data)


class CustodyContent(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(
        summary="My own recording, until its deadline (410 from then on)",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, item_id: UUID) -> HttpResponseBase:
        item = selectors.item_for(actor=self.actor, item_id=item_id)
        response = StreamingHttpResponse(
            custody.read_stream(item=item, actor=self.actor), content_type="application/octet-stream"
        )
        response["Content-Length"] = str(item.size)
        # What a stranger uploaded must never be run or shown by a browser as a page of this site.
        response["Content-Disposition"] = 'attachment; filename="recording.bin"'
        return response


class CustodyCertificate(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="Signed certificate that the recording was destroyed", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, item_id: UUID) -> Response:
        return Response(certificates.issue(selectors.item_for(actor=self.actor, item_id=item_id)))


class Schedule(ApiView):
    public = True

    @extend_schema(summary="What is kept, why, how long and on what ground", responses=ScheduleView)
    def get(self, request: Request) -> Response:
        return Response(ScheduleView({"version": schedule.version(), "rows": schedule.rows()}).data)


class CustodyOverview(ApiView):
    @extend_schema(summary="State of custody, for operators and auditors", responses=OverviewView)
    def get(self, request: Request) -> Response:
        return Response(OverviewView(selectors.overview(actor=self.actor)).data)


class CustodySubject(ApiView):
    scopes: ClassVar = {"GET": "operate"}

    @listed(DueView, summary="Recordings that stand of one person, without content")
    def get(self, request: Request, person_id: UUID) -> Response:
        return paged(request, selectors.of_subject(actor=self.actor, person_id=person_id), DueView)


class Holds(ApiView):
    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(summary="Ask for a legal hold; another operator must approve", request=HoldRequest,
                   responses={201: HoldView})  # fmt: skip
    def post(self, request: Request) -> Response:
        asked = checked(HoldRequest, request.data)
        hold = holds.request_hold(
            actor=self.actor, item_id=asked["item"], reason=asked["reason"], expires_at=asked["expires_at"]
        )
        return Response(HoldView(hold).data, status=201)


class HoldApproval(ApiView):
    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(summary="Approve a legal hold that another operator asked for", request=None, responses=HoldView)
    def post(self, request: Request, hold_id: UUID) -> Response:
        return Response(HoldView(holds.approve_hold(actor=self.actor, hold_id=hold_id)).data)


class HoldEnd(ApiView):
    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        summary="End a legal hold early: one operator asks, another agrees; take back one not approved",
        request=None,
        responses=HoldView,
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        return Response(HoldView(holds.end_hold(actor=self.actor, hold_id=hold_id)).data)


urlpatterns = [
    path("retention/schedule", Schedule.as_view()),
    path("custody/overview", CustodyOverview.as_view()),
    path("custody/subjects/<uuid:person_id>", CustodySubject.as_view()),
    path("custody/holds", Holds.as_view()),
    path("custody/holds/<uuid:hold_id>/approve", HoldApproval.as_view()),
    path("custody/holds/<uuid:hold_id>/end", HoldEnd.as_view()),
    path("custody", CustodyList.as_view()),
    path("custody/<uuid:item_id>", CustodyOne.as_view()),
    path("custody/<uuid:item_id>/content", CustodyContent.as_view()),
    path("custody/<uuid:item_id>/certificate", CustodyCertificate.as_view()),
]
