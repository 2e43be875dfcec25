"""Reports from anybody signed in; cases and restrictions for moderators."""

from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.models import Output, Voice
from cloning.services import resume_held
from consent.examination import settle_held
from foundation.identity.actors import Actor
from safety import selectors, services
from safety.errors import CaseDecided
from safety.models import CLAUSE_CHARS, REASON_CHARS, REF_CHARS, Case, Report, Restriction
from safety.states import CaseState, Decision, Effect, RestrictionState, SubjectKind
from vouch.api.core import ApiView, checked

PAGE = 100
"""Cases and restrictions in one answer. The desk works from the top of the queue; more would only be scrolled past."""


class NewReport(serializers.Serializer[Any]):
    subject_kind = serializers.ChoiceField(choices=SubjectKind.values)
    subject_ref = serializers.CharField(max_length=REF_CHARS)
    text = serializers.CharField(max_length=REASON_CHARS)


class ReportView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    case = serializers.UUIDField(source="case_id")
    subject_kind = serializers.CharField(source="case.subject_kind")
    subject_ref = serializers.CharField(source="case.subject_ref")
    created_at = serializers.DateTimeField()


class CaseRow(serializers.Serializer[Any]):
    """A case as the queue shows it: no text."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField()
    severity = serializers.IntegerField()
    subject_kind = serializers.CharField()
    subject_ref = serializers.CharField()
    rule = serializers.CharField()
    clause = serializers.CharField()
    reports = serializers.IntegerField(source="report_count")
    opened_at = serializers.DateTimeField()
    claimed_by = serializers.UUIDField(source="claimed_by_id", allow_null=True)
    claimed_until = serializers.DateTimeField(allow_null=True)
    decision = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)


class CaseReport(serializers.Serializer[Any]):
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class CaseView(CaseRow):
    """A case as the moderator who decides sees it."""

    text = serializers.CharField()
    voice = serializers.CharField(source="voice_ref")
    requester = serializers.UUIDField(source="requester_id", allow_null=True)
    pack = serializers.CharField()
    pack_sha256 = serializers.CharField()
    matches = serializers.JSONField(help_text="Of a voice match: whom the live voice resembles, and how much.")
    decision_reason = serializers.CharField()
    decision_clause = serializers.CharField()
    said = serializers.SerializerMethodField(help_text="What people reported, oldest first.")

    @extend_schema_field(CaseReport(many=True))
    def get_said(self, case: Case) -> Any:
        return CaseReport(case.reports.order_by("created_at")[:PAGE], many=True).data


class NewDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=Decision.values)
    reason = serializers.CharField(max_length=REASON_CHARS)
    clause = serializers.CharField(max_length=CLAUSE_CHARS)


class NewRestriction(serializers.Serializer[Any]):
    subject_kind = serializers.ChoiceField(choices=SubjectKind.values)
    subject_ref = serializers.CharField(max_length=REF_CHARS)
    effect = serializers.ChoiceField(choices=Effect.values)
    reason = serializers.CharField(max_length=REASON_CHARS)
    clause = serializers.CharField(max_length=CLAUSE_CHARS)


class Lifting(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=REASON_CHARS)


class RestrictionView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    subject_kind = serializers.CharField()
    subject_ref = serializers.CharField()
    effect = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField()
    clause = serializers.CharField()
    case = serializers.UUIDField(source="case_id", allow_null=True)
    made_at = serializers.DateTimeField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    lift_reason = serializers.CharField()


class StateFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=CaseState.values, required=False)


class RestrictionFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=RestrictionState.values, required=False)


class Reports(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}
    idempotent: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = 30

    @extend_schema(request=NewReport, responses={201: ReportView}, summary="Report a person, voice, output or text")
    def post(self, request: Request) -> Response:
        fields = checked(NewReport, request.data)
        made: Report = services.report(actor=self.actor, **fields)
        return Response(ReportView(made).data, status=201)


class Cases(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @extend_schema(
        parameters=[OpenApiParameter("state", str, enum=CaseState.values)],
        responses=CaseRow(many=True),
        summary="The moderators' queue: worst first, then oldest",
    )
    def get(self, request: Request) -> Response:
        wanted = checked(StateFilter, request.query_params)
        return Response(CaseRow(selectors.queue(actor=self.actor, **wanted)[:PAGE], many=True).data)


class CaseItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @extend_schema(responses=CaseView, summary="One case, with its text")
    def get(self, request: Request, case_id: UUID) -> Response:
        return _shown(self.actor, case_id)


class ClaimCase(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=None, responses=CaseView, summary="Claim a case, or renew the claim")
    def post(self, request: Request, case_id: UUID) -> Response:
        found = selectors.case(actor=self.actor, case_id=case_id)
        services.claim_case(actor=self.actor, case_id=case_id, interested=_stakes_of(found))
        return _shown(self.actor, case_id)


class DecideCase(ApiView):
    """The decision commits by itself; then held requests and held challenges move on, each in a transaction of its own
    (lock order: the gate takes consents before the log, a decision has the log already). Moving them on is safe to
    repeat."""

    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewDecision, responses=CaseView, summary="Decide a claimed case, once")
    def post(self, request: Request, case_id: UUID) -> Response:
        fields = checked(NewDecision, request.data)
        found = selectors.case(actor=self.actor, case_id=case_id)
        try:
            services.decide_case(actor=self.actor, case_id=case_id, interested=_stakes_of(found), **fields)
        except CaseDecided:
            # A crash between the decision and what follows may have left something waiting.
            self._move_on(case_id)
            raise
        self._move_on(case_id)
        return _shown(self.actor, case_id)

    def _move_on(self, case_id: UUID) -> None:
        resume_held(actor=self.actor, case_id=case_id)
        settle_held(case_id=case_id)


class Restrictions(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate", "POST": "moderate"}
    idempotent: ClassVar[bool] = True

    @extend_schema(
        parameters=[OpenApiParameter("state", str, enum=RestrictionState.values)],
        responses=RestrictionView(many=True),
        summary="Restrictions, newest first",
    )
    def get(self, request: Request) -> Response:
        wanted = checked(RestrictionFilter, request.query_params)
        found = selectors.restrictions(actor=self.actor, **wanted)[:PAGE]
        return Response(RestrictionView(found, many=True).data)

    @extend_schema(request=NewRestriction, responses={201: RestrictionView}, summary="Restrict a subject at once")
    def post(self, request: Request) -> Response:
        made: Restriction = services.restrict(actor=self.actor, **checked(NewRestriction, request.data))
        return Response(RestrictionView(made).data, status=201)


class LiftRestriction(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=Lifting, responses=RestrictionView, summary="Lift a restriction")
    def post(self, request: Request, restriction_id: UUID) -> Response:
        fields = checked(Lifting, request.data)
        found = selectors.restriction(actor=self.actor, restriction_id=restriction_id)
        stakes = _stakes(found.subject_kind, found.subject_ref)
        lifted = services.lift(actor=self.actor, restriction_id=restriction_id, interested=stakes, **fields)
        return Response(RestrictionView(lifted).data)


def _shown(actor: Actor, case_id: UUID) -> Response:
    found = selectors.case(actor=actor, case_id=case_id)
    return Response(CaseView(found).data)


def _stakes(subject_kind: str, subject_ref: str, voice_ref: str = "") -> Collection[UUID]:
    """Who has a stake by owning the voice or the output in question. Safety itself knows these only by reference."""
    voice = subject_ref if subject_kind == SubjectKind.VOICE else voice_ref
    people = set(Voice.objects.filter(id=voice).values_list("owner_id", flat=True)) if voice else set()
    if subject_kind == SubjectKind.OUTPUT:
        for owner, requester in Output.objects.filter(id=subject_ref).values_list("voice__owner", "requester"):
            people |= {owner, requester}
    return people


def _stakes_of(case: Case) -> Collection[UUID]:
    return _stakes(case.subject_kind, case.subject_ref, case.voice_ref)


urlpatterns = [
    path("reports", Reports.as_view()),
    path("cases", Cases.as_view()),
    path("cases/<uuid:case_id>", CaseItem.as_view()),
    path("cases/<uuid:case_id>/claim", ClaimCase.as_view()),
    path("cases/<uuid:case_id>/decide", DecideCase.as_view()),
    path("restrictions", Restrictions.as_view()),
    path("restrictions/<uuid:restriction_id>/lift", LiftRestriction.as_view()),
]
