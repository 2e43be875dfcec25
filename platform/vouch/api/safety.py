"""Reports from anybody signed in; cases and restrictions for moderators."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.identity.actors import Actor
from safety import desk, selectors, services, views_log
from safety.models import CLAUSE_CHARS, REASON_CHARS, REF_CHARS, Case, Report, Restriction
from safety.states import CaseKind, CaseState, Decision, Effect, RestrictionState, SubjectKind, is_irreversible
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import MAX_CURSOR, asked_page, linked, listed, page, paged
from vouch.desk import effects
from vouch.desk.stakes import stakes, stakes_of
from vouch.stepup import require_step_up

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
    due_at = serializers.DateTimeField(allow_null=True, help_text="When it should be decided by.")
    decision = serializers.CharField(help_text="Empty until it is in force.")
    decided_at = serializers.DateTimeField(allow_null=True)


class CaseReport(serializers.Serializer[Any]):
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class RulingView(serializers.Serializer[Any]):
    """A decision whose effects wait."""

    decision = serializers.CharField()
    state = serializers.CharField(
        help_text="`waiting` can be undone until `due_at`; `second` waits for another person."
    )
    clause = serializers.CharField()
    reason = serializers.CharField()
    made_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)


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
    ruling = serializers.SerializerMethodField(help_text="The decision that is not in force yet, or null.")
    handling_seconds = serializers.IntegerField()
    said = serializers.SerializerMethodField(help_text="What people reported, oldest first.")

    @extend_schema_field(RulingView(allow_null=True))
    def get_ruling(self, case: Case) -> Any:
        found = desk.ruling_now(case)
        return RulingView(found).data if found is not None else None

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


class QueueFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=CaseState.values, required=False)
    kind = serializers.ChoiceField(choices=CaseKind.values, required=False)
    severity = serializers.IntegerField(min_value=1, max_value=3, required=False)
    after = serializers.CharField(max_length=MAX_CURSOR, required=False)


class RestrictionFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=RestrictionState.values, required=False)


class Reports(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}
    per_minute: ClassVar[int | None] = 30

    @extend_schema(request=NewReport, responses={201: ReportView}, summary="Report a person, voice, output or text")
    def post(self, request: Request) -> Response:
        fields = checked(NewReport, request.data)
        made: Report = services.report(actor=self.actor, **fields)
        return Response(ReportView(made).data, status=201)


class Cases(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @listed(
        CaseRow,
        parameters=[
            OpenApiParameter("state", str, enum=CaseState.values),
            OpenApiParameter("kind", str, enum=CaseKind.values),
            OpenApiParameter("severity", {"type": "integer", "minimum": 1, "maximum": 3}),
            OpenApiParameter("after", str, deprecated=True, description="The same as `cursor`."),
        ],
        summary="The moderators' queue: worst first, then oldest",
        description="With `state` the cases in that state; without it the undecided ones.",
    )
    def get(self, request: Request) -> Response:
        wanted = checked(QueueFilter, request.query_params)
        if state := wanted.get("state"):
            found = selectors.queue(actor=self.actor, state=state)
            found = found.filter(**{name: wanted[name] for name in ("kind", "severity") if name in wanted})
            return paged(request, found, CaseRow)
        # The desk's own walk over a partial index per severity: the archive may hold millions of cases.
        asked = asked_page(request)
        after = wanted.pop("after", "") or asked["cursor"]
        size = asked["limit"] if "limit" in request.query_params else desk.PAGE
        page = desk.page(actor=self.actor, after=after, size=size, **wanted)
        response = linked(request, CaseRow(page.cases, many=True).data, page.after)
        if page.after:
            response["X-Next"] = page.after  # the header's name before all lists had pages
        return response


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
        held = found.claimed_by_id == self.actor.person_id and found.last_claimed_at
        case = services.claim_case(actor=self.actor, case_id=case_id, interested=stakes_of(found))
        if held and case.last_claimed_at == held:
            return Response(CaseView(case).data)  # a sign of life shows nothing new: it is no view of its own
        return _shown(self.actor, case_id)


class DecideCase(ApiView):
    """The decision waits for the undo window (60 s by default) before anything comes of it; one that cannot be taken
    back waits for a second person, and asks for your second factor."""

    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewDecision, responses=CaseView, summary="Decide a claimed case; the effects wait")
    def post(self, request: Request, case_id: UUID) -> Response:
        fields = checked(NewDecision, request.data)
        found = selectors.case(actor=self.actor, case_id=case_id)
        if is_irreversible(fields["decision"], found.subject_kind):
            require_step_up(request)
        made = services.rule(actor=self.actor, case_id=case_id, interested=stakes_of(found), **fields)
        effects.settle(made.id)  # at once where a deployment has no window
        return _shown(self.actor, case_id)


class Restrictions(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate", "POST": "moderate"}

    @listed(
        RestrictionView,
        parameters=[OpenApiParameter("state", str, enum=RestrictionState.values)],
        summary="Restrictions, newest first",
    )
    def get(self, request: Request) -> Response:
        wanted = checked(RestrictionFilter, request.query_params)
        found, after = page(request, selectors.restrictions(actor=self.actor, **wanted))
        for one in found:  # their reasons are words about people
            views_log.viewed(actor=self.actor, subject=f"{one.subject_kind}:{one.subject_ref}", what="restriction")
        return linked(request, RestrictionView(found, many=True).data, after)

    @extend_schema(
        request=NewRestriction,
        responses={201: RestrictionView},
        summary="Restrict a subject at once; another moderator decides about it",
    )
    def post(self, request: Request) -> Response:
        made: Restriction = services.restrict_at_once(actor=self.actor, **checked(NewRestriction, request.data))
        return Response(RestrictionView(made).data, status=201)


class LiftRestriction(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=Lifting, responses=RestrictionView, summary="Lift a restriction")
    def post(self, request: Request, restriction_id: UUID) -> Response:
        fields = checked(Lifting, request.data)
        found = selectors.restriction(actor=self.actor, restriction_id=restriction_id)
        interested = stakes(found.subject_kind, found.subject_ref)
        lifted = services.lift(actor=self.actor, restriction_id=restriction_id, interested=interested, **fields)
        return Response(RestrictionView(lifted).data)


def _shown(actor: Actor, case_id: UUID) -> Response:
    selectors.case(actor=actor, case_id=case_id)
    return Response(CaseView(views_log.case_to_show(actor=actor, case_id=case_id)).data)


urlpatterns = [
    path("reports", Reports.as_view()),
    path("cases", Cases.as_view()),
    path("cases/<uuid:case_id>", CaseItem.as_view()),
    path("cases/<uuid:case_id>/claim", ClaimCase.as_view()),
    path("cases/<uuid:case_id>/decide", DecideCase.as_view()),
    path("restrictions", Restrictions.as_view()),
    path("restrictions/<uuid:restriction_id>/lift", LiftRestriction.as_view()),
]
