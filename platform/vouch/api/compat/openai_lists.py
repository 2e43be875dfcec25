"""What programs ask an address in OpenAI's shape for before they speak: its models, its voices, and what is not there.

Models: one, because the voice decides what it is spoken with; any name is taken in ``POST /v1/audio/speech``. OpenAI
has no list of voices; ``GET /v1/audio/voices`` is how programs that speak through other servers of its shape fill their
menus.
"""

from typing import Any, ClassVar, Final

from django.urls import path, re_path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.choosing import choosable
from foundation.errors import NotFound
from vouch.api.compat.openai import OpenAIView, ProblemAnswer
from vouch.api.core.paging import PARAMETERS, linked, page
from vouch.api.core.schema import SAYS

MODEL: Final = {"id": "vouch", "object": "model", "created": 1_767_225_600, "owned_by": "vouch"}
"""``created`` is of this list, not of a voice: the first of January 2026."""


class Model(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.ChoiceField(choices=("model",))
    created = serializers.IntegerField(help_text="Unix seconds")
    owned_by = serializers.CharField()


class ModelList(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=("list",))
    data = Model(many=True)  # type: ignore[assignment] # OpenAI's name


class ChoosableVoice(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="for `voice`")
    name = serializers.CharField()
    language = serializers.CharField()


class VoiceList(serializers.Serializer[Any]):
    voices = ChoosableVoice(many=True)


class NoSuchModel(NotFound):
    """There is no such model here."""

    code = "model_not_found"
    advice = "Any model is taken when a text is spoken: the voice decides."


def _refused(*statuses: int) -> dict[int, OpenApiResponse]:
    return {status: OpenApiResponse(ProblemAnswer, SAYS[status]) for status in statuses}


class Models(OpenAIView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(responses={200: ModelList, **_refused(401, 403, 429, 503)}, summary="OpenAI's list of models: one")
    def get(self, request: Request) -> Response:
        return Response(ModelList({"object": "list", "data": [MODEL]}).data)


class ModelItem(OpenAIView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        operation_id="v1_model_retrieve",
        responses={200: Model, **_refused(401, 403, 404, 429, 503)},
        summary="A model, in OpenAI's shape",
    )
    def get(self, request: Request, model: str) -> Response:
        if model != MODEL["id"]:
            raise NoSuchModel
        return Response(Model(MODEL).data)


class Voices(OpenAIView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        parameters=PARAMETERS,
        responses={200: VoiceList, **_refused(401, 403, 422, 429, 503)},
        summary="Voices that may be named here: ready ones of mine, and those of my licences",
    )
    def get(self, request: Request) -> Response:
        rows, after = page(request, choosable(actor=self.actor))
        return linked(request, VoiceList({"voices": rows}).data, after)


class Elsewhere(OpenAIView):
    """Any other address of OpenAI's: refused in a shape that its clients can read, not with a page for people."""

    schema = None
    public: ClassVar[bool] = True
    idempotent: ClassVar[bool] = False

    def get(self, request: Request) -> Response:
        raise NotFound(f"{request.method} {request.path} is not one of the addresses of OpenAI's that are served here.")

    post = put = patch = delete = get


urlpatterns = [
    path("v1/models", Models.as_view()),
    path("v1/models/<str:model>", ModelItem.as_view()),
    path("v1/audio/voices", Voices.as_view()),
    re_path(r"^v1/", Elsewhere.as_view()),
]
