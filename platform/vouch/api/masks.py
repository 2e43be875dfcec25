"""Masks of a voice: made, listed, named, ended. Speaking through one is a field of speech, streams and batches."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.masks import selectors, services
from cloning.masks.models import MAX_NAME
from cloning.models import MAX_SEED
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged

PER_MINUTE = 20
"""Looks and wishes of one person: a mask costs a worker half a minute, and one of a voice is made at a time."""


class MaskName(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=MAX_NAME)


class NewMask(MaskName):
    seed = serializers.IntegerField(
        min_value=0, max_value=MAX_SEED, required=False, help_text="in what order disturbances are tried; else drawn"
    )


class MaskView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=("making", "ready", "failed", "ended"))
    job = serializers.UUIDField(source="job_id")
    stage = serializers.CharField(source="job.stage")
    progress = serializers.FloatField(source="job.progress", help_text="0 to 1")
    error_code = serializers.CharField(source="job.error_code")
    error_detail = serializers.CharField(source="job.error_detail")
    likeness = serializers.FloatField(
        allow_null=True, help_text="cosine with the person's own voice (-1 to 1), the nearest of what was compared"
    )
    limit = serializers.FloatField(allow_null=True, help_text="from here on two voices count as one")
    others_below = serializers.FloatField(
        allow_null=True, help_text="no protected or enrolled voice of anybody else's is as near as this"
    )
    model = serializers.CharField(help_text="the verifier that measured")
    created_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class VoiceMasks(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak", "POST": "voice:write"}
    per_minute: ClassVar[int | None] = PER_MINUTE

    @listed(MaskView, summary="Masks of a voice, newest first; under a licence those that can be used")
    def get(self, request: Request, voice_id: UUID) -> Response:
        return paged(request, selectors.masks(actor=self.actor, voice_id=voice_id), MaskView)

    @extend_schema(request=NewMask, responses={202: MaskView}, summary="Have a mask of my voice made")
    def post(self, request: Request, voice_id: UUID) -> Response:
        fields = checked(NewMask, request.data)
        made = services.request_mask(actor=self.actor, voice_id=voice_id, **fields)
        return Response(MaskView(made).data, status=202)


class MaskItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        responses=MaskView, summary="One mask: how far it is, and how far it was measured to carry the voice"
    )
    def get(self, request: Request, mask_id: UUID) -> Response:
        return Response(MaskView(selectors.mask(actor=self.actor, mask_id=mask_id)).data)


class MaskRename(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "voice:write"}

    @extend_schema(request=MaskName, responses=MaskView, summary="Give a mask of mine another name")
    def post(self, request: Request, mask_id: UUID) -> Response:
        fields = checked(MaskName, request.data)
        return Response(MaskView(services.rename_mask(actor=self.actor, mask_id=mask_id, name=fields["name"])).data)


class MaskEnd(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "voice:write"}

    @extend_schema(request=None, responses=MaskView, summary="End a mask of mine; what was spoken through it stays")
    def post(self, request: Request, mask_id: UUID) -> Response:
        return Response(MaskView(services.end_mask(actor=self.actor, mask_id=mask_id)).data)


urlpatterns = [
    path("voices/<uuid:voice_id>/masks", VoiceMasks.as_view()),
    path("masks/<uuid:mask_id>", MaskItem.as_view()),
    path("masks/<uuid:mask_id>/rename", MaskRename.as_view()),
    path("masks/<uuid:mask_id>/end", MaskEnd.as_view()),
]
