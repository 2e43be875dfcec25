"""The ceremony, training recordings, consents and licences. Every address knows only the caller's own things."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.services import cancel_jobs_for_consent, destroy_voices_for_consent
from consent import agreements, ceremony, licences, prompts, receipts, recordings, selectors, services
from consent.models import MAX_TERM_DAYS, MAX_TRANSCRIPT
from foundation.clock import now
from vouch.api.core import ApiView, read_body, stream_body

PAGE = 200
"""Consents or licences in one answer, newest first."""
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
    """``verdict``: empty until decided, then pass, refuse or inconclusive (record again)."""

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


class AgreementView(serializers.Serializer[Any]):
    version = serializers.CharField()
    kind = serializers.CharField()
    language = serializers.CharField()
    sha256 = serializers.CharField()
    text = serializers.CharField()


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


class NewConsent(serializers.Serializer[Any]):
    challenge = serializers.UUIDField()
    recordings = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=recordings.MAX_RECORDINGS
    )
    uses = serializers.DictField(child=serializers.BooleanField(), help_text=f"Yes or no: {', '.join(services.USES)}.")
    languages = serializers.ListField(child=serializers.CharField(max_length=8), min_length=1, max_length=20)
    term_days = serializers.IntegerField(min_value=1, max_value=MAX_TERM_DAYS)
    territory = serializers.CharField(max_length=200, default=services.WORLDWIDE)
    text_version = serializers.CharField(max_length=40)
    biometric_release = serializers.BooleanField(help_text="The separate release for the voice template.")


class ConsentView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()
    uses = serializers.DictField(child=serializers.BooleanField())
    languages = serializers.ListField(child=serializers.CharField())
    territory = serializers.CharField()
    valid_until = serializers.DateTimeField()
    text_version = serializers.CharField()
    text_sha256 = serializers.CharField()
    biometric_release = serializers.CharField()
    challenge = serializers.UUIDField(source="challenge_id")
    rehearsal = serializers.BooleanField()
    leaf_index = serializers.IntegerField()
    given_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ConsequenceView(serializers.Serializer[Any]):
    what = serializers.CharField()
    ref = serializers.CharField()
    at = serializers.DateTimeField()


class Withdrawal(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()
    consequences = ConsequenceView(many=True)


class LicenceView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    consent = serializers.UUIDField(source="consent_id")
    licensee = serializers.UUIDField(source="licensee_id")
    scope = serializers.JSONField()
    characters_cap = serializers.IntegerField()
    characters_used = serializers.IntegerField()
    characters_reserved = serializers.IntegerField()
    valid_until = serializers.DateTimeField()
    state = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_reason = serializers.CharField()
    rehearsal = serializers.BooleanField()
    granted_at = serializers.DateTimeField()


# -- the ceremony -----------------------------------------------------------------------------------------------------


class Challenges(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}
    per_minute = CHALLENGES_A_MINUTE

    @extend_schema(
        summary="Open a challenge: the words are shown only here", request=None, responses={201: ChallengeView}
    )
    def post(self, request: Request) -> Response:
        return Response(ChallengeView(ceremony.open_challenge(actor=self.actor)).data, status=201)


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

    @extend_schema(summary="Sentences to read as training speech", responses=Script)
    def get(self, request: Request, language: str) -> Response:
        return Response({"language": language, "sentences": prompts.sentences(language)})


class Recordings(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}
    idempotent = True

    @extend_schema(summary="Announce a training recording", request=NewRecording, responses={201: RecordingView})
    def post(self, request: Request) -> Response:
        given = _valid(NewRecording, request)
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


# -- consents ---------------------------------------------------------------------------------------------------------


class ConsentTexts(ApiView):
    public = True

    @extend_schema(summary="The consent texts and biometric releases on offer", responses=AgreementView(many=True))
    def get(self, request: Request) -> Response:
        offered = [one for one in agreements.agreements() if one.offered]
        return Response(AgreementView(offered, many=True).data)


class Consents(ApiView):
    scopes: ClassVar = {"GET": "consent:read", "POST": "consent:write"}
    idempotent = True

    @extend_schema(summary="My consents", responses=ConsentView(many=True))
    def get(self, request: Request) -> Response:
        return Response(ConsentView(selectors.consents_of(actor=self.actor)[:PAGE], many=True).data)

    @extend_schema(summary="Give consent", request=NewConsent, responses={201: ConsentView})
    def post(self, request: Request) -> Response:
        given = _valid(NewConsent, request)
        made = services.give_consent(
            actor=self.actor,
            challenge_id=given["challenge"],
            recording_ids=given["recordings"],
            uses=given["uses"],
            languages=given["languages"],
            term_days=given["term_days"],
            territory=given["territory"],
            text_version=given["text_version"],
            biometric_release=given["biometric_release"],
        )
        return Response(ConsentView(made).data, status=201)


class ConsentOne(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="One consent", responses=ConsentView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        return Response(ConsentView(selectors.consent_of(actor=self.actor, consent_id=consent_id)).data)


class ConsentReceipt(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="The receipt: keep it, anyone can check it offline", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, consent_id: UUID) -> Response:
        return Response(receipts.issue(selectors.consent_of(actor=self.actor, consent_id=consent_id)))


class ConsentWithdraw(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Withdraw: no reason needed, everything under it ends now", request=None, responses=Withdrawal
    )
    def post(self, request: Request, consent_id: UUID) -> Response:
        with transaction.atomic():
            consequences = services.withdraw_consent(actor=self.actor, consent_id=consent_id)
            for job in cancel_jobs_for_consent(consent_id=consent_id, actor=self.actor):
                consequences.append(services.Consequence("job.cancelled", str(job), now()))
            for voice in destroy_voices_for_consent(consent_id=consent_id, actor=self.actor):
                consequences.append(services.Consequence("voice.destroyed", str(voice), now()))
        body = {"id": consent_id, "state": "withdrawn", "consequences": consequences}
        return Response(Withdrawal(body).data)


class Licences(ApiView):
    scopes: ClassVar = {"GET": "market:read"}

    @extend_schema(summary="Licences I hold, and those under my consents", responses=LicenceView(many=True))
    def get(self, request: Request) -> Response:
        return Response(LicenceView(selectors.licences_of(actor=self.actor)[:PAGE], many=True).data)


class LicenceEnd(ApiView):
    scopes: ClassVar = {"POST": "market:write"}

    @extend_schema(summary="Give up a licence I hold", request=None, responses=LicenceView)
    def post(self, request: Request, licence_id: UUID) -> Response:
        ended = licences.end_licence(actor=self.actor, licence_id=licence_id, reason="given_up")
        return Response(LicenceView(ended).data)


def _valid(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    checked = serializer(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


urlpatterns = [
    path("challenges", Challenges.as_view()),
    path("challenges/<uuid:challenge_id>/chunks/<int:index>", Chunks.as_view()),
    path("challenges/<uuid:challenge_id>/answer", Answer.as_view()),
    path("examinations/<uuid:examination_id>", ExaminationOne.as_view()),
    path("scripts/<str:language>", Scripts.as_view()),
    path("recordings", Recordings.as_view()),
    path("recordings/<uuid:recording_id>", RecordingOne.as_view()),
    path("recordings/<uuid:recording_id>/content", RecordingContent.as_view()),
    path("consent-texts", ConsentTexts.as_view()),
    path("consents", Consents.as_view()),
    path("consents/<uuid:consent_id>", ConsentOne.as_view()),
    path("consents/<uuid:consent_id>/receipt", ConsentReceipt.as_view()),
    path("consents/<uuid:consent_id>/withdraw", ConsentWithdraw.as_view()),
    path("licences", Licences.as_view()),
    path("licences/<uuid:licence_id>/end", LicenceEnd.as_view()),
]
