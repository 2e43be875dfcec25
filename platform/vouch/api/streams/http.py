"""Chunked HTTP: the answer's body is the recording, from its label to its last word, as it is made."""

from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from cloning.manner import Manner
from cloning.models import STREAMED_CONTAINERS
from vouch.api.cloning import SPEECH_PER_MINUTE, NewSpeech
from vouch.api.compat import waiting
from vouch.api.core import ApiView, checked, idempotency
from vouch.api.core.bodies import check_length
from vouch.api.core.schema import refusals
from vouch.api.streams import begun

MAX_BODY: Final = 256 * 1024
"""Bytes of a request: the longest text, however it is escaped, and room for the rest."""


class NewStream(NewSpeech):
    voice = None  # type: ignore[assignment] # it stands in the address
    container = serializers.ChoiceField(choices=STREAMED_CONTAINERS, default="wav")


def wanted(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as `cloning.services.request_speech` names them."""
    return {
        "licence_id": fields.pop("licence", None),
        "manner": Manner.of(fields.pop("manner", {})),
        **fields,
    }


class SpeechStreamView(ApiView):
    sound: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}
    per_minute: ClassVar[int | None] = SPEECH_PER_MINUTE

    @extend_schema(
        request=NewStream,
        parameters=[
            OpenApiParameter(name, str, OpenApiParameter.HEADER, response=[200], description=what)
            for name, what in (
                ("X-Vouch-Speech", "the request: GET speech/{id} says how it ended, and why if it broke off"),
                ("X-Vouch-Job", "its job"),
                ("X-Vouch-Output", "the recording that it becomes"),
                ("X-Vouch-Label", "what the spoken label says, percent-encoded UTF-8; empty for a rhythm"),
                ("X-Vouch-Label-Seconds", "how long label and silences are"),
            )
        ],
        responses={
            (200, "audio/*"): OpenApiResponse(
                OpenApiTypes.BINARY,
                "The label first, then marked speech. An answer that ends without its last chunk broke off: the "
                "request's `error_code` says why.",
            ),
            **refusals(411),
        },
        summary="Have a text spoken and hear it while it is made (chunked)",
    )
    def post(self, request: Request, voice_id: UUID) -> HttpResponseBase:
        check_length(request, max_bytes=MAX_BODY)
        body = request._request.body
        fields = wanted(checked(NewStream, request.data))
        claim = idempotency.claim(request, self.person, body)
        if claim.again:
            return waiting.answer(actor=self.actor, output=waiting.spoken(claim, actor=self.actor), again=True)
        stream, person = begun.begin_answer(request, actor=self.actor, claim=claim, voice_id=voice_id, **fields)
        return begun.answer(stream, person, begun.sound(stream.frames), stream.facts["media_type"])


urlpatterns = [path("voices/<uuid:voice_id>/speech/stream", SpeechStreamView.as_view())]
