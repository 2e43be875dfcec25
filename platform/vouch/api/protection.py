"""Protected voices over HTTP: people forbid the cloning of their own voice, representatives that of another's."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from consent import protection
from vouch.api.ceremony import RecordingView
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.api.reviews import NewReviewRecording


class NewProtection(serializers.Serializer[Any]):
    challenge = serializers.UUIDField(source="challenge_id", help_text="Your own passed and unused live challenge.")


class NewRepresentedProtection(serializers.Serializer[Any]):
    recording = serializers.UUIDField(source="recording_id", help_text="A passed recording under this review.")


class ProtectionView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    basis = serializers.CharField(source="source", help_text="own, or representative.")
    state = serializers.CharField()
    public_name = serializers.CharField()
    created_at = serializers.DateTimeField()
    removed_at = serializers.DateTimeField(allow_null=True)


class Protections(ApiView):
    scopes: ClassVar = {"GET": "consent:read", "POST": "consent:write"}

    @listed(ProtectionView, summary="The voices I put under protection")
    def get(self, request: Request) -> Response:
        return paged(request, protection.mine(actor=self.actor), ProtectionView)

    @extend_schema(
        summary="Forbid the cloning of my own voice, by a live challenge",
        request=NewProtection,
        responses={201: ProtectionView},
    )
    def post(self, request: Request) -> Response:
        made = protection.forbid_own(actor=self.actor, **checked(NewProtection, request.data))
        return Response(ProtectionView(made).data, status=201)


class ProtectionOne(ApiView):
    scopes: ClassVar = {"DELETE": "consent:write"}

    @extend_schema(summary="Lift a protection of mine", request=None, responses=ProtectionView)
    def delete(self, request: Request, protected_id: UUID) -> Response:
        return Response(ProtectionView(protection.lift(actor=self.actor, protected_id=protected_id)).data)


class RepresentedRecordings(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Announce a recording of the speaker I represent, under an approved review",
        request=NewReviewRecording,
        responses={201: RecordingView},
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        fields = checked(NewReviewRecording, request.data)
        made = protection.create_recording(actor=self.actor, review_id=review_id, **fields)
        return Response(RecordingView(made).data, status=201)


class RepresentedProtection(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Forbid the cloning of the voice I represent; a worker listens to the recording",
        request=NewRepresentedProtection,
        responses={202: RecordingView},
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        fields = checked(NewRepresentedProtection, request.data)
        recording = protection.forbid_represented(actor=self.actor, review_id=review_id, **fields)
        return Response(RecordingView(recording).data, status=202)


urlpatterns = [
    path("protected-voices", Protections.as_view()),
    path("protected-voices/<uuid:protected_id>", ProtectionOne.as_view()),
    path("reviews/<uuid:review_id>/protection/recordings", RepresentedRecordings.as_view()),
    path("reviews/<uuid:review_id>/protection", RepresentedProtection.as_view()),
]
