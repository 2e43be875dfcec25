"""What GPT-SoVITS's own server (api_v2.py) lets clients change about itself: refused here, in a shape they can read.

Upstream loads whatever file is named into the one model that everybody shares, and restarts or ends itself when asked.
Here a voice brings its own weights, opens only with a clearance, and is named in each request: there is nothing to set.
Clients that set the weights first and then speak have to leave the first step out.
"""

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import Refused
from vouch.api.compat.gptsovits import ReferenceRefused, TtsProblem, UpstreamView
from vouch.api.core.schema import SAYS


class WeightsRefused(Refused):
    """Weights are not set here: each voice has its own."""

    code = "weights_refused"
    advice = "Leave this call out, and name the voice in ref_audio_path of /tts."


class ControlRefused(Refused):
    """The server is not restarted or ended from outside."""

    code = "control_refused"


class Command(serializers.Serializer[Any]):
    command = serializers.CharField(required=False)


def _refused(*statuses: int) -> dict[int, OpenApiResponse]:
    return {status: OpenApiResponse(TtsProblem, SAYS[status]) for status in statuses}


_GET = _refused(401, 403, 422, 429, 503)


class SetReference(UpstreamView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        parameters=[OpenApiParameter("refer_audio_path", str)], responses=_GET,
        summary="GPT-SoVITS's address for a reference recording: refused, as in /tts",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        raise ReferenceRefused


class SetWeights(UpstreamView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        parameters=[OpenApiParameter("weights_path", str)], responses=_GET,
        summary="GPT-SoVITS's addresses for other weights: refused, a voice has its own",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        raise WeightsRefused


class Control(UpstreamView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak", "POST": "speak"}
    idempotent: ClassVar[bool] = False

    @extend_schema(
        parameters=[OpenApiParameter("command", str)], responses=_GET,
        summary="GPT-SoVITS's address for a restart, by query: refused",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        raise ControlRefused

    @extend_schema(
        request=Command, responses={**_GET, **_refused(400, 413, 415)},
        summary="GPT-SoVITS's address for a restart: refused",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        raise ControlRefused


urlpatterns = [
    path("set_refer_audio", SetReference.as_view()),
    path("set_gpt_weights", SetWeights.as_view()),
    path("set_sovits_weights", SetWeights.as_view()),
    path("control", Control.as_view()),
]
