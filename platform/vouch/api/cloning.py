"""Voices, speech and outputs."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import bases, instant, selectors, services
from cloning.choosing import choosable
from cloning.engine.versions import STARTER, VERSIONS
from cloning.manner import PRESETS, Manner
from cloning.models import (
    CONTAINERS,
    LABEL_LANGUAGES,
    LANGUAGES,
    MAX_NAME,
    MAX_SEED,
    MAX_TEXT,
    OUTPUT_RATES,
    Output,
    SpeechRequest,
)
from cloning.states import VoiceState
from consent.scopes import CHANNELS, SPECIAL_USES
from foundation.audit import receipts
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from vouch.api.core import ApiView, checked
from vouch.api.core.delivery import delivered
from vouch.api.core.paging import linked, listed, page, paged
from vouch.api.core.schema import refusals
from vouch.api.jobs import JobView

SPEECH_PER_MINUTE = 60
"""Requests to speak: far above what one person writes, far below what would flood the moderators' queue."""


INSTANT_PER_MINUTE = 20
"""Instant voices that one person asks for."""


class NewVoice(serializers.Serializer[Any]):
    consent = serializers.UUIDField()
    name = serializers.CharField(max_length=MAX_NAME)
    language = serializers.ChoiceField(choices=LANGUAGES)
    version = serializers.ChoiceField(
        choices=VERSIONS, default=STARTER, help_text="of the engine; GET voices/versions says which are offered"
    )


class CostView(serializers.Serializer[Any]):
    voice_megabytes = serializers.FloatField(help_text="of one sealed voice")
    memory_megabytes = serializers.IntegerField(help_text="base and vocoder in a worker that speaks")
    training_seconds = serializers.IntegerField(help_text="a minute of speech by the demo recipe")
    real_time_factor = serializers.FloatField(help_text="seconds of work for a second of sound")


class VersionView(serializers.Serializer[Any]):
    version = serializers.CharField()
    offered = serializers.BooleanField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="what is not mounted for it")
    cost = CostView()
    measured_on = serializers.CharField(help_text="the machine that the times of the cost are of")


class VoiceView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    language = serializers.CharField()
    version = serializers.CharField(help_text="of the engine")
    instant = serializers.SerializerMethodField(help_text="has an instant voice, which speaks before it is ready")
    cost = serializers.SerializerMethodField()
    state = serializers.CharField()
    consent = serializers.UUIDField(source="consent_id")
    rehearsal = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    destroyed_at = serializers.DateTimeField(allow_null=True)
    job = serializers.SerializerMethodField()

    @extend_schema_field(CostView)
    def get_cost(self, voice: Any) -> Any:
        """What a voice of its version costs."""
        return CostView(bases.cost_of(voice.version)).data

    def get_instant(self, voice: Any) -> bool:
        """Whether it can speak at once."""
        return voice.instant_id is not None and voice.state != VoiceState.DESTROYED

    def get_job(self, voice: Any) -> UUID | None:
        """The voice's training."""
        return selectors.training_job_id(voice)


class HowSpoken(serializers.Serializer[Any]):
    # The bounds are `cloning.manner`'s: here stands only what kind of number each is.
    speed = serializers.FloatField(required=False, help_text="1 is as trained; 0.5 to 2")
    pause = serializers.FloatField(required=False, help_text="seconds between sentences; 0 to 2")
    liveliness = serializers.FloatField(required=False, help_text="how much the sound may vary; 0 to 1")
    temperature = serializers.FloatField(required=False)
    top_k = serializers.IntegerField(required=False)
    top_p = serializers.FloatField(required=False)
    repetition_penalty = serializers.FloatField(required=False)
    pitch = serializers.FloatField(required=False, help_text="semitones; -12 to 12")
    formants = serializers.FloatField(required=False, help_text="semitones; -6 to 6: a smaller or larger speaker")


class AskedManner(HowSpoken):
    preset = serializers.ChoiceField(
        choices=list(PRESETS), required=False, help_text="a name for settings; what is named beside it wins"
    )
    strength = serializers.FloatField(required=False, help_text="of the preset; 0 to 1")


class NewSpeech(serializers.Serializer[Any]):
    voice = serializers.UUIDField()
    # The text's own rules are in `cloning.texts`; the bound here refuses a megabyte before anything looks at it.
    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)
    language = serializers.ChoiceField(choices=LANGUAGES)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED, required=False)
    container = serializers.ChoiceField(choices=CONTAINERS, default="wav")
    rate = serializers.ChoiceField(choices=OUTPUT_RATES, required=False, help_text="Hz; the tier's own by default")
    label_language = serializers.ChoiceField(
        choices=LABEL_LANGUAGES, required=False, help_text="the listener's, for the spoken label; that of the text"
    )
    channel = serializers.ChoiceField(choices=CHANNELS, required=False, help_text="where it is to be heard")
    territory = serializers.RegexField("^[A-Z]{2}$", required=False, help_text="the country it is for")
    uses = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(SPECIAL_USES)), max_length=len(SPECIAL_USES), required=False
    )
    licence = serializers.UUIDField(required=False, help_text="under which of several licences of mine")
    manner = AskedManner(required=False, help_text="how it is to sound; else as the voice does")
    mask = serializers.UUIDField(required=False, help_text="through this mask of the voice, whose pitch it keeps")
    instant = serializers.BooleanField(
        default=False, help_text="by the instant voice although the trained one is ready: for a comparison"
    )


class SpeechView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    job = serializers.UUIDField(source="job_id")
    state = serializers.CharField(source="job.state")
    stage = serializers.CharField(source="job.stage")
    progress = serializers.FloatField(source="job.progress")
    seconds_left = serializers.FloatField(source="job.seconds_left", allow_null=True)
    error_code = serializers.CharField(source="job.error_code")
    error_detail = serializers.CharField(source="job.error_detail")
    case = serializers.UUIDField(source="case_ref", allow_null=True)
    approval = serializers.UUIDField(source="approval_id", allow_null=True, help_text="the owner reads it first")
    channel = serializers.CharField()
    territory = serializers.CharField()
    uses = serializers.ListField(child=serializers.CharField())
    licence = serializers.UUIDField(source="licence_id", allow_null=True)
    language = serializers.CharField()
    seed = serializers.IntegerField()
    container = serializers.CharField()
    rate = serializers.IntegerField()
    label_language = serializers.CharField()
    manner = HowSpoken()
    mask = serializers.UUIDField(source="mask_id", allow_null=True)
    instant = serializers.BooleanField(help_text="by the instant voice, or asked for so")
    characters = serializers.IntegerField()
    output = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_output(self, request: Any) -> UUID | None:
        """The finished recording, once there is one."""
        return selectors.output_id_of(request)


class StatusPlace(serializers.Serializer[Any]):
    list = serializers.IntegerField()
    index = serializers.IntegerField()


class OutputView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    request = serializers.UUIDField(source="request_id")
    licence = serializers.UUIDField(source="licence_id", allow_null=True)
    state = serializers.CharField()
    media_type = serializers.CharField()
    sha256 = serializers.CharField()
    seconds = serializers.FloatField()
    label_seconds = serializers.FloatField(help_text="how long the audible label at the start is")
    masked = serializers.SerializerMethodField(help_text="spoken through a mask of the voice")
    instant = serializers.SerializerMethodField(help_text="spoken by the instant voice, not by the trained one")
    provenance = serializers.JSONField()
    status = serializers.SerializerMethodField()
    rehearsal = serializers.BooleanField()
    leaf = serializers.IntegerField(source="leaf_index")
    created_at = serializers.DateTimeField()

    def get_masked(self, output: Any) -> bool:
        """As its signed provenance says."""
        return output.provenance["statement"].get("voice_mask", False)

    def get_instant(self, output: Any) -> bool:
        """As its signed provenance says."""
        return output.provenance["statement"].get("instant_voice", False)

    @extend_schema_field(StatusPlace(allow_null=True))
    def get_status(self, output: Any) -> Any:
        """Where its bit stands in the lists of `/status/N`; null for outputs made before there were any."""
        return output.provenance["statement"].get("status")


class Voices(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read", "POST": "voice:write"}

    @listed(VoiceView, summary="My voices, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.voices(actor=self.actor), VoiceView)

    @extend_schema(request=NewVoice, responses={202: VoiceView}, summary="Train a voice from a consent's recordings")
    def post(self, request: Request) -> Response:
        fields = checked(NewVoice, request.data)
        voice = services.request_voice(actor=self.actor, consent_id=fields.pop("consent"), **fields)
        return Response(VoiceView(voice).data, status=202)


class Versions(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read"}

    @extend_schema(responses=VersionView(many=True), summary="Versions of the engine, and what a voice of each costs")
    def get(self, request: Request) -> Response:
        return Response(VersionView(bases.offers(), many=True).data)


class VoiceItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "voice:read"}

    @extend_schema(responses=VoiceView, summary="One of my voices")
    def get(self, request: Request, voice_id: UUID) -> Response:
        return Response(VoiceView(selectors.voice(actor=self.actor, voice_id=voice_id)).data)


class UsableVoiceView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    language = serializers.CharField()
    mine = serializers.SerializerMethodField()

    def get_mine(self, voice: Any) -> bool:
        """False: by a licence."""
        return bool(voice.owner_id == self.context["person_id"])


class UsableVoices(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @listed(UsableVoiceView, summary="Voices I may speak in: ready ones of mine and of my licences, newest first")
    def get(self, request: Request) -> Response:
        rows, after = page(request, choosable(actor=self.actor))
        shown = UsableVoiceView(rows, many=True, context={"person_id": self.actor.person_id})
        return linked(request, shown.data, after)


class VoiceInstant(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "voice:write"}
    per_minute: ClassVar[int | None] = INSTANT_PER_MINUTE

    @extend_schema(request=None, responses={202: JobView}, summary="Have my voice speak at once, before it is trained")
    def post(self, request: Request, voice_id: UUID) -> Response:
        return Response(JobView(instant.request(actor=self.actor, voice_id=voice_id)).data, status=202)


class Speech(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak", "POST": "speak"}
    per_minute: ClassVar[int | None] = SPEECH_PER_MINUTE

    @listed(SpeechView, summary="What I asked to be spoken, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.speeches(actor=self.actor), SpeechView)

    @extend_schema(request=NewSpeech, responses={202: SpeechView}, summary="Have a text spoken: queued, or held")
    def post(self, request: Request) -> Response:
        fields = checked(NewSpeech, request.data)
        asked: SpeechRequest = services.request_speech(
            actor=self.actor,
            voice_id=fields.pop("voice"),
            licence_id=fields.pop("licence", None),
            manner=Manner.of(fields.pop("manner", {})),
            **fields,
        )
        return Response(SpeechView(asked).data, status=202)


class SpeechItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(responses=SpeechView, summary="How far a request of mine is")
    def get(self, request: Request, request_id: UUID) -> Response:
        return Response(SpeechView(selectors.speech(actor=self.actor, request_id=request_id)).data)


class Outputs(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @listed(OutputView, summary="My recordings, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.outputs(actor=self.actor), OutputView)


class OutputItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(responses=OutputView, summary="A finished recording of mine")
    def get(self, request: Request, output_id: UUID) -> Response:
        return Response(OutputView(selectors.output(actor=self.actor, output_id=output_id)).data)


def handed_out(request: Request, found: Output, *, actor: Actor) -> HttpResponseBase:
    """The sound of a playable output, whole or in part, and in headers what a listener has to be told about it."""
    response = delivered(
        request,
        lambda: vault.read_stream(sealed_object=found.sealed, actor=actor),
        size=found.sealed.size,
        etag=found.sha256,
        media_type=found.media_type,
    )
    # Browsers take this name before that of a link: it must say what kind of file it is.
    response["Content-Disposition"] = f'inline; filename="vouch-{found.id}.{found.request.container}"'
    response["X-Content-SHA256"] = found.sha256
    response["X-Vouch-Output"] = str(found.id)
    response["X-Vouch-State"] = found.state
    response["X-Vouch-AI-Generated"] = "true"
    response["X-Vouch-Label-Seconds"] = f"{found.label_seconds:.3f}"
    return response


class OutputAudio(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="what you have is what there is"),
            **refusals(410, 416),
        },
        summary="The recording itself: marked, labelled, signed; whole or in part (Range)",
    )
    def get(self, request: Request, output_id: UUID) -> HttpResponseBase:
        found: Output = selectors.playable_output(actor=self.actor, output_id=output_id)
        response = handed_out(request, found, actor=self.actor)
        # May be kept by the listener's own browser, which asks again each time: it may have been revoked meanwhile.
        response["Cache-Control"] = "private, no-cache"
        return response


class OutputReceipt(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="The log's receipt for this recording, verifiable offline")
    def get(self, request: Request, output_id: UUID) -> Response:
        return Response(receipts.receipt(selectors.output(actor=self.actor, output_id=output_id).leaf_index))


urlpatterns = [
    path("voices", Voices.as_view()),
    path("voices/versions", Versions.as_view()),
    path("voices/usable", UsableVoices.as_view()),
    path("voices/<uuid:voice_id>", VoiceItem.as_view()),
    path("voices/<uuid:voice_id>/instant", VoiceInstant.as_view()),
    path("speech", Speech.as_view()),
    path("speech/<uuid:request_id>", SpeechItem.as_view()),
    path("outputs", Outputs.as_view()),
    path("outputs/<uuid:output_id>", OutputItem.as_view()),
    path("outputs/<uuid:output_id>/audio", OutputAudio.as_view()),
    path("outputs/<uuid:output_id>/receipt", OutputReceipt.as_view()),
]
