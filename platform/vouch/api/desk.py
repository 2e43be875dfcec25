"""The desk's own acts: pulling, releasing, undoing, second words, notes, bulk, breaks, checks, figures."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import keys
from foundation.errors import NotFound
from foundation.vault import services as vault
from safety import claims, desk, exposure, metrics, quality, reversals, selectors, services, views_log
from safety.models import CLAUSE_CHARS, REASON_CHARS
from safety.rulings import MAX_BULK
from safety.states import CaseKind, Decision
from vouch.api.core import ApiView, checked
from vouch.api.safety import CaseView, RulingView
from vouch.desk import effects, evidence
from vouch.desk.signing import signed
from vouch.desk.stakes import stakes_of
from vouch.stepup import require_step_up


class QueueView(serializers.Serializer[Any]):
    kind = serializers.CharField()
    severity = serializers.IntegerField()
    waiting = serializers.IntegerField()
    late = serializers.IntegerField()
    oldest = serializers.DateTimeField()


class NewPull(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=CaseKind.values, required=False)
    severity = serializers.IntegerField(min_value=1, max_value=3, required=False)


class Pulled(serializers.Serializer[Any]):
    """A case, or a check: a decided case shown again, to see whether two people agree."""

    case = serializers.UUIDField(allow_null=True)
    check = serializers.UUIDField(allow_null=True)
    page = serializers.CharField()


class NewSecond(serializers.Serializer[Any]):
    agree = serializers.BooleanField()


class NewNote(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=REASON_CHARS)


class NoteView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class NewBulk(serializers.Serializer[Any]):
    cases = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_BULK)
    count = serializers.IntegerField(help_text="The number of cases, as the moderator has confirmed it.")
    decision = serializers.ChoiceField(choices=Decision.values)
    reason = serializers.CharField(max_length=REASON_CHARS)
    clause = serializers.CharField(max_length=CLAUSE_CHARS)


class NewReversal(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=REASON_CHARS)


class NewGolden(serializers.Serializer[Any]):
    expected = serializers.ChoiceField(choices=Decision.values)


class NewCheckDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=Decision.values)
    clause = serializers.CharField(max_length=CLAUSE_CHARS)


class Listened(serializers.Serializer[Any]):
    seconds = serializers.IntegerField(min_value=1, max_value=exposure.MAX_BEAT_SECONDS)


class NewBreak(serializers.Serializer[Any]):
    on = serializers.BooleanField()


class ExposureView(serializers.Serializer[Any]):
    day = serializers.DateField()
    cases = serializers.IntegerField()
    severe = serializers.IntegerField()
    seconds_heard = serializers.IntegerField()
    on_break_until = serializers.DateTimeField(allow_null=True)


class Period(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=metrics.MAX_DAYS, default=metrics.DAYS)


class Queues(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @extend_schema(responses=QueueView(many=True), summary="The queues: how many wait, how many are late")
    def get(self, request: Request) -> Response:
        return Response(QueueView(desk.queues(actor=self.actor), many=True).data)


class Pull(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}
    per_minute: ClassVar[int | None] = 120

    @extend_schema(request=NewPull, responses=Pulled, summary="Claim the worst and oldest case nobody holds")
    def post(self, request: Request) -> Response:
        return Response(evidence.pull(actor=self.actor, **checked(NewPull, request.data)))


class ReleaseCase(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=None, responses={204: None}, summary="Put a claimed case back into the queue")
    def post(self, request: Request, case_id: UUID) -> Response:
        services.release_case(actor=self.actor, case_id=case_id)
        return Response(status=204)


class UndoCase(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=None, responses=CaseView, summary="Undo a decision while its effects wait")
    def post(self, request: Request, case_id: UUID) -> Response:
        services.undo(actor=self.actor, case_id=case_id)
        return Response(CaseView(views_log.case_to_show(actor=self.actor, case_id=case_id)).data)


class SecondWord(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(
        request=NewSecond,
        responses=RulingView,
        summary="Agree to an irreversible decision as the second person, or decline it (asks for your second factor)",
    )
    def post(self, request: Request, case_id: UUID) -> Response:
        fields = checked(NewSecond, request.data)
        found = selectors.case(actor=self.actor, case_id=case_id)
        if fields["agree"]:
            require_step_up(request)
        made = services.second(actor=self.actor, case_id=case_id, interested=stakes_of(found), **fields)
        effects.settle(made.id)
        made.refresh_from_db()
        return Response(RulingView(made).data)


class Notes(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewNote, responses={201: NoteView}, summary="Leave an internal note on a case")
    def post(self, request: Request, case_id: UUID) -> Response:
        text = checked(NewNote, request.data)
        interested = stakes_of(selectors.case(actor=self.actor, case_id=case_id))
        made = views_log.note(actor=self.actor, case_id=case_id, interested=interested, **text)
        return Response(NoteView(made).data, status=201)


class Reverse(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "desk:quality"}

    @extend_schema(request=NewReversal, responses={201: CaseView}, summary="Reverse a decision in force (seniors)")
    def post(self, request: Request, case_id: UUID) -> Response:
        reason = checked(NewReversal, request.data)
        interested = stakes_of(selectors.case(actor=self.actor, case_id=case_id))
        made = reversals.reverse_as_senior(actor=self.actor, case_id=case_id, interested=interested, **reason)
        return Response(CaseView(views_log.case_to_show(actor=self.actor, case_id=made.id)).data, status=201)


class MakeGolden(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "desk:quality"}

    @extend_schema(request=NewGolden, responses={204: None}, summary="Make a decided case a golden one (seniors)")
    def post(self, request: Request, case_id: UUID) -> Response:
        expected = checked(NewGolden, request.data)
        interested = stakes_of(selectors.case(actor=self.actor, case_id=case_id))
        quality.make_golden(actor=self.actor, case_id=case_id, interested=interested, **expected)
        return Response(status=204)


class Bulk(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}
    per_minute: ClassVar[int | None] = 12

    @extend_schema(request=NewBulk, responses=RulingView(many=True), summary="One decision for several cases")
    def post(self, request: Request) -> Response:
        fields = checked(NewBulk, request.data)
        made = services.rule_many(actor=self.actor, case_ids=fields.pop("cases"), stakes=stakes_of, **fields)
        for ruling in made:
            effects.settle(ruling.id)
        return Response(RulingView(made, many=True).data)


class Listening(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=Listened, responses=ExposureView, summary="Count seconds of sound listened to")
    def post(self, request: Request) -> Response:
        row = exposure.count_listening(actor=self.actor, **checked(Listened, request.data))
        return Response(ExposureView(row).data)


class Break(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewBreak, responses=ExposureView, summary="Begin or end a break; beginning frees your cases")
    def post(self, request: Request) -> Response:
        if checked(NewBreak, request.data)["on"]:
            claims.release_all(actor=self.actor)
            return Response(ExposureView(exposure.start_break(actor=self.actor)).data)
        return Response(ExposureView(exposure.end_break(actor=self.actor)).data)


class DecideCheck(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewCheckDecision, responses={204: None}, summary="Decide a check")
    def post(self, request: Request, check_id: UUID) -> Response:
        quality.decide_check(actor=self.actor, check_id=check_id, **checked(NewCheckDecision, request.data))
        return Response(status=204)


class Sound(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @extend_schema(
        responses={(200, "audio/*"): OpenApiTypes.BINARY},
        summary="The sound of an output a case is about, for a moderator without a stake; each opening is logged",
    )
    def get(self, request: Request, case_id: UUID, output_id: UUID) -> HttpResponse:
        found = evidence.sound(actor=self.actor, case_id=case_id, output_id=output_id)
        if found is None:
            raise NotFound
        views_log.viewed(actor=self.actor, subject=f"output:{output_id}", what="sound")
        data = vault.read(sealed_object=found.sealed, actor=self.actor)
        return HttpResponse(data, content_type=found.media_type, headers={"Content-Disposition": "inline"})


class Metrics(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "desk:read"}

    @extend_schema(
        parameters=[OpenApiParameter("days", int)], responses=OpenApiTypes.OBJECT, summary="The desk in figures"
    )
    def get(self, request: Request) -> Response:
        return Response(metrics.overview(actor=self.actor, **checked(Period, request.query_params)))


class DecisionsCsv(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "desk:read"}
    per_minute: ClassVar[int | None] = 6

    @extend_schema(
        parameters=[OpenApiParameter("days", int)],
        responses={(200, "text/csv"): OpenApiTypes.STR},
        summary="Decisions as CSV, reviewers as pseudonyms",
    )
    def get(self, request: Request) -> HttpResponse:
        text = metrics.as_csv(actor=self.actor, **checked(Period, request.query_params))
        headers = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


class SignedExport(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "desk:read"}
    per_minute: ClassVar[int | None] = 6

    @extend_schema(
        parameters=[OpenApiParameter("days", int)],
        responses=OpenApiTypes.OBJECT,
        summary="Decisions as one signed document (`vouch verify-export`)",
    )
    def get(self, request: Request) -> Response:
        statement = metrics.as_document(actor=self.actor, **checked(Period, request.query_params))
        response = Response(signed(statement, keys.private_key("provenance")))
        response["Content-Disposition"] = 'attachment; filename="decisions.json"'
        return response


urlpatterns = [
    path("desk/queues", Queues.as_view()),
    path("desk/pull", Pull.as_view()),
    path("desk/bulk", Bulk.as_view()),
    path("desk/listened", Listening.as_view()),
    path("desk/break", Break.as_view()),
    path("desk/metrics", Metrics.as_view()),
    path("desk/decisions.csv", DecisionsCsv.as_view()),
    path("desk/export", SignedExport.as_view()),
    path("desk/checks/<uuid:check_id>/decide", DecideCheck.as_view()),
    path("cases/<uuid:case_id>/release", ReleaseCase.as_view()),
    path("cases/<uuid:case_id>/undo", UndoCase.as_view()),
    path("cases/<uuid:case_id>/second", SecondWord.as_view()),
    path("cases/<uuid:case_id>/notes", Notes.as_view()),
    path("cases/<uuid:case_id>/reverse", Reverse.as_view()),
    path("cases/<uuid:case_id>/golden", MakeGolden.as_view()),
    path("cases/<uuid:case_id>/sounds/<uuid:output_id>", Sound.as_view()),
]
