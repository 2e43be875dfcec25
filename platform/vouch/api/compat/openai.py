"""``POST /v1/audio/speech`` as OpenAI's API has it: its clients work here with another base URL and a key of ours.
What such clients ask for besides is in `vouch.api.compat.openai_lists`.

Source: OpenAI's API reference, "Create speech". Differences, each named and none silent: ``voice`` is the id or name
of a voice you own or have a licence for; ``pcm`` is refused, because headerless sound can carry no label; ``aac`` comes
in an MP4 container and, like ``flac``, cannot be streamed; ``speed`` is 0.5 to 2. Without ``stream_format`` the answer
is the finished recording with every label; ``audio`` sends it while it is made, ``sse`` in events
(``speech.audio.delta``, ``speech.audio.done``), whose usage counts characters: there are no tokens here.

Their clients send a request again by themselves after a 409, a 429 or a 5xx: ``X-Should-Retry`` tells them not to where
that changes nothing, or would speak and charge twice. Who sends an ``Idempotency-Key`` of their own may repeat.
"""

import base64
import json
from collections.abc import Iterable, Iterator
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
from vouch.api.compat.shapes import sentence
from vouch.api.core import ApiView, checked, idempotency
from vouch.api.core.authentication import KeyAuthentication
from vouch.api.core.errors import handler
from vouch.api.core.schema import SAYS
from vouch.api.streams import begun

PER_MINUTE = 60
MAX_INPUT = 4096
EVENTS: Final = "text/event-stream; charset=utf-8"
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
    # Programs that fill in a form of theirs send null for what was left open.
    response_format = serializers.ChoiceField(choices=(*CONTAINERS, "pcm"), allow_null=True, default="mp3")
    speed = serializers.FloatField(allow_null=True, default=1.0, min_value=0.25, max_value=4.0)
    instructions = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=MAX_INPUT)
    stream_format = serializers.ChoiceField(
        choices=("audio", "sse"),
        required=False,
        allow_null=True,
        help_text="send it while it is made; whole when left out",
    )
    language = serializers.ChoiceField(
        choices=LANGUAGES, required=False, allow_null=True, help_text="ours: the voice's own by default"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {"response_format": "mp3", "speed": 1.0} | {
            name: value for name, value in attrs.items() if value is not None
        }


class Problem(serializers.Serializer[Any]):
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.CharField()


class ProblemAnswer(serializers.Serializer[Any]):
    error = Problem()


class OpenAIView(ApiView):
    """A key only: a browser's session must not be spent by another site's form. Refusals have OpenAI's shape."""

    authentication_classes = [KeyAuthentication]
    problems: ClassVar[bool] = False

    def handle_exception(self, exc: Exception) -> Response:
        """The same refusals in the shape that OpenAI's clients read."""
        response = handler(exc, {"view": self})
        said = response.data
        kind = "invalid_request_error" if response.status_code < 500 else "server_error"
        wrong = next(iter(said.get("fields") or {}), None)
        response.data = {"error": {"message": sentence(said), "type": kind, "param": wrong, "code": said["code"]}}
        if response.status_code == 409 or said["code"] == waiting.StillSpeaking.code:
            response["X-Should-Retry"] = str("Idempotency-Key" in self.request.headers).lower()
        response.content_type = "application/json"
        response.exception = True
        return response


class CreateSpeechView(OpenAIView):
    sound: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"POST": "speak"}
    per_minute: ClassVar[int | None] = PER_MINUTE

    @extend_schema(
        request=CreateSpeech,
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (200, "text/event-stream"): OpenApiTypes.STR,
            **{status: OpenApiResponse(ProblemAnswer, SAYS[status]) for status in REFUSALS},
        },
        summary="OpenAI's address for speech: the recording itself",
    )
    def post(self, request: Request) -> HttpResponseBase:
        body = request._request.body
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
        claim = idempotency.claim(request, self.person, body)
        if how is None or claim.again:
            output = waiting.spoken(claim, **asked)
            if how == "sse":
                events = _repeated(waiting.read(self.actor, output), str(output.id), len(fields["input"]))
                return waiting.told(waiting.answered(events, output, EVENTS, again=True), ignored)
            return waiting.answer(actor=self.actor, output=output, ignored=ignored, again=claim.again)
        stream, person = begun.begin_answer(request, claim=claim, **asked)
        sse = how == "sse"
        made = _events(stream.frames, len(fields["input"])) if sse else begun.sound(stream.frames)
        return waiting.told(begun.answer(stream, person, made, EVENTS if sse else stream.facts["media_type"]), ignored)


def _events(frames: Iterator[Frame], characters: int) -> Iterator[bytes]:
    """The file in base64 pieces, then the end. A stream that breaks off ends with an event ``error`` instead."""
    try:
        for frame in frames:
            if frame.kind in (LABEL, SOUND):
                yield _delta(frame.data)
            elif frame.kind == DONE:
                yield _done(characters, frame.facts()["output"])
    except VouchError as error:
        yield _event(
            "error", error={"message": error.detail, "type": "server_error", "param": None, "code": error.code}
        )
        raise


def _repeated(pieces: Iterable[bytes], output: str, characters: int) -> Iterator[bytes]:
    """The events of a recording that is there already."""
    yield from map(_delta, pieces)
    yield _done(characters, output)


def _delta(sound: bytes) -> bytes:
    return _event("speech.audio.delta", audio=base64.b64encode(sound).decode("ascii"))


def _done(characters: int, output: str) -> bytes:
    usage = {"input_tokens": characters, "output_tokens": 0, "total_tokens": characters}
    return _event("speech.audio.done", usage=usage, vouch_output=output)


def _event(kind: str, **fields: Any) -> bytes:
    return f"data: {json.dumps({'type': kind, **fields})}\n\n".encode()


urlpatterns = [path("v1/audio/speech", CreateSpeechView.as_view())]
