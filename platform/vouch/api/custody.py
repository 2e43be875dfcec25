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

from retention import certificates, custody, selectors
from vouch.api.core import ApiView

PAGE = 200
"""Items in one answer, newest first."""


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


class CustodyList(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="What is held, or was held, of me", responses=CustodyView(many=True))
    def get(self, request: Request) -> Response:
        return Response(CustodyView(selectors.held_for(actor=self.actor)[:PAGE], many=True).data)


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


urlpatterns = [
    path("custody", CustodyList.as_view()),
    path("custody/<uuid:item_id>", CustodyOne.as_view()),
    path("custody/<uuid:item_id>/content", CustodyContent.as_view()),
    path("custody/<uuid:item_id>/certificate", CustodyCertificate.as_view()),
]
