"""``POST /v1/audio/speech`` as OpenAI's API has it: its clients work here with another base URL and a key of ours.

Source: OpenAI's API reference, "Create speech". Differences, each named and none silent: ``voice`` is the id or name
of a voice you own or have a licence for; ``pcm`` is refused, because headerless sound can carry no label; ``aac`` comes
in an MP4 container and, like ``flac``, cannot be streamed; ``speed`` is 0.5 to 2. Without ``stream_format`` the answer
is the finished recording with every label; ``audio`` sends it while it is made, ``sse`` in events
(``speech.audio.delta``, ``speech.audio.done``), whose usage counts characters: there are no tokens here.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.choosing import chosen
from cloning.manner import Manner
from cloning.models import LANGUAGES
from cloning.relay import DONE, LABEL, SOUND, Frame
from foundation.errors import Refused, VouchError
from vouch.api.compat import waiting
from vouch.api.core import ApiView, checked
from vouch.api.core.authentication import KeyAuthentication
from vouch.api.core.errors import handler
from vouch.api.streams import begun

PER_MINUTE = 60
MAX_INPUT = 4096
CONTAINERS: Final = {"mp3": "mp3", "opus": "opus", "aac": "m4a", "flac": "flac", "wav": "wav"}


class FormatWithoutLabel(Refused):
    """Sound without a container cannot carry its label."""

    code = "format_without_label"
    advice = "Ask for wav, which holds the same samples."


@extend_schema_field(
    {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}]}
)
class VoiceField(serializers.Field[Any, Any, Any, Any]):
    """A name or an id, or ``{"id": …}``."""

    def to_internal_value(self, data: Any) -> str:
        found = data.get("id") if isinstance(data, dict) else data
        if not isinstance(found, str) or not 1 <= len(found) <= 80:
            raise serializers.ValidationError("Give the id or the name of a voice.")
        return found

    def to_representation(self, value: Any) -> Any:
        return value


REFUSALS = (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503)


class CreateSpeech(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=64, help_text="any: the voice decides what it is spoken with")
    input = serializers.CharField(max_length=MAX_INPUT, trim_whitespace=False)
    voice = VoiceField(help_text="the id or the name of a voice")
    response_format = serializers.ChoiceField(choices=(*CONTAINERS, "pcm"), default="mp3")
    speed = serializers.FloatField(default=1.0, min_value=0.25, max_value=4.0)
    instructions = serializers.CharField(required=False, allow_blank=True, max_length=MAX_INPUT)
    stream_format = serializers.ChoiceField(
        choices=("audio", "sse"), required=False, help_text="send it while it is made; whole when left out"
    )
    language = serializers.ChoiceField(choices=LANGUAGES, required=False, help_text="ours: the voice's own by default")


class Problem(serializers.Serializer[Any]):
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.CharField()


class ProblemAnswer(serializers.Serializer[Any]):
    error = Problem()


class CreateSpeechView(ApiView):
    # A key only: a browser's session must not be spent by another site's form.
    authentication_classes = [KeyAuthentication]
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}
    per_minute: ClassVar[int | None] = PER_MINUTE
    problems: ClassVar[bool] = False  # refusals have OpenAI's shape

    @extend_schema(
        request=CreateSpeech,
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (200, "text/event-stream"): OpenApiTypes.STR,
            **{
                status: OpenApiResponse(ProblemAnswer)
                for status in (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503)
            },
        },
        summary="OpenAI's address for speech: the recording itself",
    )
    def post(self, request: Request) -> HttpResponseBase:
        fields = checked(CreateSpeech, request.data)
        if fields["response_format"] == "pcm":
            raise FormatWithoutLabel
        voice = chosen(actor=self.actor, wanted=fields["voice"])
        asked: dict[str, Any] = {
            "actor": self.actor,
            "voice_id": voice.id,
            "text": fields["input"],
            "language": fields.get("language", voice.language),
            "container": CONTAINERS[fields["response_format"]],
            "manner": Manner.of({"speed": fields["speed"]}),
        }
        ignored = ["instructions"] if fields.get("instructions") else []
        how = fields.get("stream_format")
        if how is None:
            return waiting.answer(actor=self.actor, output=waiting.spoken(**asked), ignored=ignored)
        stream, person = begun.begin_answer(request, **asked)
        sse = how == "sse"
        made = _events(stream.frames, len(fields["input"])) if sse else begun.sound(stream.frames)
        kind = "text/event-stream; charset=utf-8" if sse else stream.facts["media_type"]
        return waiting.told(begun.answer(stream, person, made, kind), ignored)

    def handle_exception(self, exc: Exception) -> Response:
        """The same refusals in the shape that OpenAI's clients read."""
        response = handler(exc, {"view": self})
        said = response.data
        kind = "invalid_request_error" if response.status_code < 500 else "server_error"
        wrong = next(iter(said.get("fields") or {}), None)
        message = " ".join(part for part in (said["detail"], said["advice"]) if part)
        response.data = {"error": {"message": message, "type": kind, "param": wrong, "code": said["code"]}}
        response.content_type = "application/json"
        response.exception = True
        return response


def _events(frames: Iterator[Frame], characters: int) -> Iterator[bytes]:
    """The file in base64 pieces, then the end. A stream that breaks off ends with an event ``error`` instead."""
    try:
        for frame in frames:
            if frame.kind in (LABEL, SOUND):
                yield _event("speech.audio.delta", audio=base64.b64encode(frame.data).decode("ascii"))
            elif frame.kind == DONE:
                usage = {"input_tokens": characters, "output_tokens": 0, "total_tokens": characters}
                yield _event("speech.audio.done", usage=usage, vouch_output=frame.facts()["output"])
    except VouchError as error:
        yield _event(
            "error", error={"message": error.detail, "type": "server_error", "param": None, "code": error.code}
        )
        raise


def _event(kind: str, **fields: Any) -> bytes:
    return f"data: {json.dumps({'type': kind, **fields})}\n\n".encode()


urlpatterns = [path("v1/audio/speech", CreateSpeechView.as_view())]
