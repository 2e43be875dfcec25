"""``/tts`` as GPT-SoVITS's own server has it (api_v2.py), with the same parameter names.

Source: the parameter list of RVC-Boss/GPT-SoVITS, api_v2.py. Its clients know no key, so one may be put into the
address: ``https://KEY@host/tts`` (HTTP Basic, RFC 7617, the key as the user). ``ref_audio_path`` is the id or the name
of a voice: a recording from elsewhere would be somebody's voice without consent, and is refused. What the platform
decides by itself (reference text, batching) is accepted and has no effect; what would change the sound and is not done
is named in ``X-Vouch-Ignored``. Upstream refuses everything with 400; here a refusal has its own status, and upstream's
``message`` with our ``code`` and ``advice`` beside it. Its other addresses: `vouch.api.compat.gptsovits_control`.
"""

import base64
import binascii
from typing import Any, ClassVar, Final

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.choosing import chosen
from cloning.manner import DRAWN, Manner
from cloning.models import MAX_SEED, MAX_TEXT
from foundation.errors import Refused
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch.api.compat import waiting
from vouch.api.compat.openai import REFUSALS, FormatWithoutLabel
from vouch.api.compat.shapes import sentence
from vouch.api.core import ApiView, checked, idempotency
from vouch.api.core.authentication import KeyAuthentication, counted_by_key
from vouch.api.core.errors import handler
from vouch.api.core.schema import SAYS
from vouch.api.streams import begun

PER_MINUTE = 60
CONTAINERS: Final = {"wav": "wav", "ogg": "opus", "aac": "m4a"}
MODES: Final = {"en": "en", "zh": "zh", "all_zh": "zh"}
"""Upstream's language modes that the platform speaks. The others (``ja``, ``ko``, ``yue``, ``all_ja``, ``all_ko``,
``all_yue``, ``auto_yue``) are refused as ``unsupported_language``."""
OWN: Final = ("auto",)
"""Means the voice's own language."""
WHOLE: Final = ("false", "False", "0")
IN_PARTS: Final = ("true", "True", "1", "2", "3")
"""Upstream's streaming_mode: a truth value or a number, in JSON or in an address. However it is named, sound comes as
it is made here; ``aac`` cannot (an MP4 has its table of contents at its end) and is refused by name."""
SOUNDS: Final = (".wav", ".mp3", ".flac", ".ogg", ".m4a")
DEFAULTS: Final[dict[str, Any]] = {
    "sample_steps": 32, "super_sampling": False, "text_split_method": "cut5", "overlap_length": 2,
    "min_chunk_length": 16,
}  # fmt: skip
"""What would change the sound and is not done here, with upstream's default: only another value is named."""


class ReferenceRefused(Refused):
    """Only voices whose speaker has consented can be used, not recordings."""

    code = "reference_refused"
    advice = "Put the id or the name of a voice into ref_audio_path."


class KeyInAddress(KeyAuthentication):
    """A bearer key, or the key as the user of HTTP Basic."""

    def authenticate(self, request: Request) -> tuple[Person, Actor] | None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user = base64.b64decode(given, validate=True).decode("ascii").partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                user = ""
            found = self.known(user)
            counted_by_key(request, user)
            return found
        return super().authenticate(request)


class KeyInAddressScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "vouch.api.compat.gptsovits.KeyInAddress"
    name = ["keyAsBearer", "keyAsUser"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "vk_<prefix>_<secret>"},
            {"type": "http", "scheme": "basic", "description": "the key as the user, no password"},
        ]


class Tts(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)
    text_lang = serializers.CharField(max_length=10)
    ref_audio_path = serializers.CharField(max_length=400, help_text="the id or the name of a voice")
    aux_ref_audio_paths = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    prompt_text = serializers.CharField(required=False, allow_blank=True)
    prompt_lang = serializers.CharField(required=False, allow_blank=True)
    top_k = serializers.IntegerField(required=False)
    top_p = serializers.FloatField(required=False)
    temperature = serializers.FloatField(required=False)
    repetition_penalty = serializers.FloatField(required=False)
    text_split_method = serializers.CharField(required=False)
    batch_size = serializers.IntegerField(required=False)
    batch_threshold = serializers.FloatField(required=False)
    split_bucket = serializers.BooleanField(required=False)
    speed_factor = serializers.FloatField(default=1.0)
    fragment_interval = serializers.FloatField(default=0.3)
    seed = serializers.IntegerField(default=-1, min_value=-1, max_value=MAX_SEED)
    media_type = serializers.ChoiceField(choices=(*CONTAINERS, "raw"), default="wav")
    streaming_mode = serializers.ChoiceField(choices=(*WHOLE, *IN_PARTS), default="false")
    parallel_infer = serializers.BooleanField(required=False)
    sample_steps = serializers.IntegerField(required=False)
    super_sampling = serializers.BooleanField(required=False)
    overlap_length = serializers.IntegerField(required=False)
    min_chunk_length = serializers.IntegerField(required=False)


class TtsProblem(serializers.Serializer[Any]):
    message = serializers.CharField()
    code = serializers.CharField()
    advice = serializers.CharField()


_ANSWERS: Final[dict[Any, Any]] = {
    (200, "audio/*"): OpenApiTypes.BINARY,
    **{status: OpenApiResponse(TtsProblem, SAYS[status]) for status in REFUSALS},
}


class UpstreamView(ApiView):
    """A key only: a GET that spends somebody's session would be every other site's to send. Refusals have upstream's
    shape."""

    authentication_classes = [KeyInAddress]
    problems: ClassVar[bool] = False
    http_method_names = ["get", "post", "options"]  # HEAD would be a GET that speaks and is not heard

    def handle_exception(self, exc: Exception) -> Response:
        """The same refusals with upstream's key ``message``."""
        response = handler(exc, {"view": self})
        said = response.data
        response.data = {"message": sentence({**said, "advice": ""}), "code": said["code"], "advice": said["advice"]}
        response.content_type = "application/json"
        response.exception = True
        return response


class TtsView(UpstreamView):
    sound: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"GET": "speak", "POST": "speak"}
    per_minute: ClassVar[int | None] = PER_MINUTE

    @extend_schema(parameters=[Tts], responses=_ANSWERS, summary="GPT-SoVITS's address for speech, by query")
    def get(self, request: Request) -> HttpResponseBase:
        return self._say(request.query_params, b"")

    @extend_schema(request=Tts, responses=_ANSWERS, summary="GPT-SoVITS's address for speech: the recording itself")
    def post(self, request: Request) -> HttpResponseBase:
        body = request._request.body
        return self._say(request.data, body)

    def _say(self, data: Any, body: bytes) -> HttpResponseBase:
        fields = checked(Tts, data)
        if fields["media_type"] == "raw":
            raise FormatWithoutLabel
        wanted = fields["ref_audio_path"]
        if fields.get("aux_ref_audio_paths") or "/" in wanted or "\\" in wanted or wanted.lower().endswith(SOUNDS):
            raise ReferenceRefused
        voice = chosen(actor=self.actor, wanted=wanted)
        mode = fields["text_lang"].lower()
        asked: dict[str, Any] = {
            "actor": self.actor,
            "voice_id": voice.id,
            "text": fields["text"],
            "language": voice.language if mode in OWN else MODES.get(mode, mode),
            "container": CONTAINERS[fields["media_type"]],
            "seed": None if fields["seed"] < 0 else fields["seed"],
            "manner": _manner(fields),
        }
        ignored = [name for name, plain in DEFAULTS.items() if fields.get(name, plain) != plain]
        claim = idempotency.claim(self.request, self.person, body)
        if claim.again or fields["streaming_mode"] not in IN_PARTS:
            output = waiting.spoken(claim, **asked)
            return waiting.answer(actor=self.actor, output=output, ignored=ignored, again=claim.again)
        stream, person = begun.begin_answer(self.request, claim=claim, **asked)
        answer = begun.answer(stream, person, begun.sound(stream.frames), stream.facts["media_type"])
        return waiting.told(answer, ignored)


def _manner(fields: dict[str, Any]) -> Manner:
    drawn: dict[str, Any] = {name: fields[name] for name in DRAWN if name in fields}
    return Manner.of({"speed": fields["speed_factor"], "pause": fields["fragment_interval"], **drawn})


urlpatterns = [path("tts", TtsView.as_view())]
