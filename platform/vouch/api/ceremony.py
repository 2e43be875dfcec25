"""The ceremony: challenges answered live, their examinations, and training recordings.

Every address knows only the caller's own things.
"""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from consent import ceremony, prompts, recordings, selectors, uploads
from consent.models import MAX_TRANSCRIPT
from vouch.api.core import ApiView, checked, read_body, stream_body
from vouch.api.core.addresses import address_of
from vouch.api.core.schema import refusals
from vouch.api.core.uploads import UPLOAD_OFFSET, Offset, WholeUpload, offset_in

CHALLENGES_A_MINUTE = 20
CHUNKS_A_MINUTE = 1_200
"""Twenty a second: three times what a polite client sends live."""


class ChallengeView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    words = serializers.ListField(child=serializers.CharField())
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    state = serializers.CharField()


class ExaminationView(serializers.Serializer[Any]):
    """``verdict``: empty until decided, then pass, refuse or inconclusive (record again). In the state ``held`` a
    moderator looks first, which may take hours."""

    id = serializers.UUIDField()
    challenge = serializers.UUIDField(source="challenge_id", allow_null=True)
    recording = serializers.UUIDField(source="recording_id", allow_null=True)
    state = serializers.CharField()
    verdict = serializers.CharField()
    reason = serializers.CharField()
    advice = serializers.DictField(child=serializers.CharField())
    evidence = serializers.JSONField()
    rehearsal = serializers.BooleanField()
    decided_at = serializers.DateTimeField(allow_null=True)


class Chunk(serializers.Serializer[Any]):
    next = serializers.IntegerField()


class QueuedExamination(serializers.Serializer[Any]):
    examination = serializers.UUIDField()


class Script(serializers.Serializer[Any]):
    language = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())


class NewRecording(serializers.Serializer[Any]):
    challenge = serializers.UUIDField()
    language = serializers.CharField(max_length=8)
    transcript = serializers.CharField(max_length=MAX_TRANSCRIPT)


class RecordingView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    challenge = serializers.UUIDField(source="challenge_id")
    language = serializers.CharField()
    state = serializers.CharField()
    seconds = serializers.FloatField(allow_null=True)
    custody = serializers.UUIDField(source="custody_id", allow_null=True)
    created_at = serializers.DateTimeField()


# -- the ceremony -----------------------------------------------------------------------------------------------------


class Challenges(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}
    per_minute = CHALLENGES_A_MINUTE

    @extend_schema(
        summary="Open a challenge: the words are shown only here", request=None, responses={201: ChallengeView}
    )
    def post(self, request: Request) -> Response:
        opened = ceremony.open_challenge(actor=self.actor, address=address_of(request))
        return Response(ChallengeView(opened).data, status=201)


class Chunks(ApiView):
    scopes: ClassVar = {"PUT": "consent:write"}
    per_minute = CHUNKS_A_MINUTE

    @extend_schema(
        summary="Send a piece of the live answer: 16-bit mono PCM at 16 kHz, at most 64 KiB, as it is spoken",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=Chunk,
    )
    def put(self, request: Request, challenge_id: UUID, index: int) -> Response:
        # Somebody else's challenge is refused before a byte of the body is read.
        selectors.challenge_of(actor=self.actor, challenge_id=challenge_id)
        data = read_body(request, max_bytes=ceremony.MAX_CHUNK)
        following = ceremony.add_chunk(actor=self.actor, challenge_id=challenge_id, index=index, data=data)
        return Response({"next": following})


class Answer(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(summary="Finish the answer; it is examined next", request=None, responses={202: QueuedExamination})
    def post(self, request: Request, challenge_id: UUID) -> Response:
        made = ceremony.answer_challenge(actor=self.actor, challenge_id=challenge_id)
        return Response({"examination": made.id}, status=202)


class ExaminationOne(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="What the examination found", responses=ExaminationView)
    def get(self, request: Request, examination_id: UUID) -> Response:
        return Response(ExaminationView(selectors.examination_of(actor=self.actor, examination_id=examination_id)).data)


# -- training recordings ----------------------------------------------------------------------------------------------


class Scripts(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="Sentences to read as training speech", responses={200: Script, **refusals(422)})
    def get(self, request: Request, language: str) -> Response:
        return Response({"language": language, "sentences": prompts.sentences(language)})


class Recordings(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(summary="Announce a training recording", request=NewRecording, responses={201: RecordingView})
    def post(self, request: Request) -> Response:
        given = checked(NewRecording, request.data)
        made = recordings.create_recording(
            actor=self.actor,
            challenge_id=given["challenge"],
            language=given["language"],
            transcript=given["transcript"],
        )
        return Response(RecordingView(made).data, status=201)


class RecordingOne(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="One training recording", responses=RecordingView)
    def get(self, request: Request, recording_id: UUID) -> Response:
        return Response(RecordingView(selectors.recording_of(actor=self.actor, recording_id=recording_id)).data)


class RecordingContent(ApiView):
    scopes: ClassVar = {"PUT": "consent:write"}

    @extend_schema(
        summary="Upload its content: any common audio file, at most 25 MiB and ten minutes; streamed into encryption",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={202: QueuedExamination},
    )
    def put(self, request: Request, recording_id: UUID) -> Response:
        selectors.recording_of(actor=self.actor, recording_id=recording_id)
        stream = stream_body(request, max_bytes=recordings.MAX_BYTES)
        made = recordings.receive_content(actor=self.actor, recording_id=recording_id, stream=stream)
        return Response({"examination": made.id}, status=202)


class RecordingUpload(ApiView):
    """An upload that can be resumed: ask where it stands, send pieces from there, say what the whole should be."""

    scopes: ClassVar = {"GET": "consent:write", "PATCH": "consent:write", "POST": "consent:write"}
    per_minute = CHUNKS_A_MINUTE

    @extend_schema(summary="Where an upload in pieces stands", responses={200: Offset, **refusals(409)})
    def get(self, request: Request, recording_id: UUID) -> Response:
        return Response({"offset": uploads.offset_of(actor=self.actor, recording_id=recording_id)})

    @extend_schema(
        summary="Send the next piece of its content, at most 1 MiB",
        parameters=[UPLOAD_OFFSET],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: Offset, **refusals(410)},
    )
    def patch(self, request: Request, recording_id: UUID) -> Response:
        uploads.offset_of(actor=self.actor, recording_id=recording_id)  # refused before a byte of the body is read
        begins = offset_in(request)
        data = read_body(request, max_bytes=uploads.MAX_PIECE)
        following = uploads.append(actor=self.actor, recording_id=recording_id, offset=begins, data=data)
        return Response({"offset": following})

    @extend_schema(
        summary="Finish an upload in pieces; it is examined next",
        request=WholeUpload,
        responses={202: QueuedExamination, **refusals(410)},
    )
    def post(self, request: Request, recording_id: UUID) -> Response:
        given = checked(WholeUpload, request.data)
        made = uploads.finish(actor=self.actor, recording_id=recording_id, sha256=given["sha256"])
        return Response({"examination": made.id}, status=202)


urlpatterns = [
    path("challenges", Challenges.as_view()),
    path("challenges/<uuid:challenge_id>/chunks/<int:index>", Chunks.as_view()),
    path("challenges/<uuid:challenge_id>/answer", Answer.as_view()),
    path("examinations/<uuid:examination_id>", ExaminationOne.as_view()),
    path("scripts/<str:language>", Scripts.as_view()),
    path("recordings", Recordings.as_view()),
    path("recordings/<uuid:recording_id>", RecordingOne.as_view()),
    path("recordings/<uuid:recording_id>/content", RecordingContent.as_view()),
    path("recordings/<uuid:recording_id>/upload", RecordingUpload.as_view()),
]
