"""Statements of reasons, appeals, and notices from people without an account."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import NotFound
from safety import appeals, guards, notices, statements, views_log
from safety.models import REASON_CHARS, REF_CHARS, Appeal, Notice, Statement
from safety.states import AppealOutcome, SubjectKind
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import linked, listed, page, paged
from vouch.desk.stakes import stakes, stakes_of


class AppealMessageView(serializers.Serializer[Any]):
    from_desk = serializers.BooleanField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class AppealView(serializers.Serializer[Any]):
    """An appeal as both sides see it: the desk has no names here."""

    id = serializers.UUIDField()
    statement = serializers.UUIDField(source="statement_id")
    state = serializers.CharField()
    outcome = serializers.CharField()
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    messages = serializers.SerializerMethodField()

    @extend_schema_field(AppealMessageView(many=True))
    def get_messages(self, appeal: Appeal) -> Any:
        return AppealMessageView(sorted(appeal.messages.all(), key=lambda said: said.created_at), many=True).data


class ReasonsView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    made_at = serializers.DateTimeField()
    appeal_until = serializers.DateTimeField()
    facts = serializers.JSONField(help_text="The fields of DSA Art. 17, as data.")
    words = serializers.SerializerMethodField(help_text="The same in sentences, by language.")
    appeal = serializers.SerializerMethodField(help_text="The id of the appeal, or null.")

    @extend_schema_field(serializers.DictField(child=serializers.ListField(child=serializers.CharField())))
    def get_words(self, statement: Statement) -> Any:
        return {language: statements.words(statement, language=language) for language in ("en", "zh")}

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_appeal(self, statement: Statement) -> Any:
        found = getattr(statement, "appeal", None)
        return str(found.id) if found is not None else None


class NewAppeal(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=REASON_CHARS)


class NewOutcome(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=AppealOutcome.values)
    reason = serializers.CharField(max_length=REASON_CHARS)


class NewCounterNotice(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=REASON_CHARS)
    signature = serializers.CharField(max_length=200)


class NewNotice(serializers.Serializer[Any]):
    """A notice in the shape of the NO FAKES bill (S. 4591), or of DSA Art. 16."""

    form = serializers.ChoiceField(choices=["no_fakes", "dsa"])
    subject_kind = serializers.ChoiceField(choices=[SubjectKind.OUTPUT.value, SubjectKind.VOICE.value])
    subject_ref = serializers.CharField(max_length=REF_CHARS, help_text="The id: a trace of the recording names it.")
    sender_name = serializers.CharField(max_length=200)
    sender_email = serializers.EmailField(max_length=254)
    sender_address = serializers.CharField(max_length=400, required=False, allow_blank=True)
    sender_phone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    individual = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="Whose voice it is (NO FAKES)."
    )
    standing = serializers.ChoiceField(choices=notices.STANDINGS, default="self")
    claim = serializers.CharField(max_length=REASON_CHARS, help_text="What it is and why it is not authorised.")
    good_faith = serializers.BooleanField()
    accurate = serializers.BooleanField()
    authorised = serializers.BooleanField(
        default=False, help_text="Under penalty of perjury: the sender may act for the individual."
    )
    signature = serializers.CharField(max_length=200)


class NoticeView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    form = serializers.CharField()
    state = serializers.CharField()
    subject_kind = serializers.CharField()
    subject_ref = serializers.CharField()
    received_at = serializers.DateTimeField()
    triage_due_at = serializers.DateTimeField()
    action_due_at = serializers.DateTimeField()
    answer = serializers.CharField()
    counter_notice = serializers.CharField()
    restore_due_at = serializers.DateTimeField(allow_null=True)


class ReceivedNotice(NoticeView):
    token = serializers.CharField(
        required=False, help_text="Shown once: it opens the notice's state (header X-Notice-Token)."
    )


class DeskNotice(NoticeView):
    """A notice as the desk reads it; each reading is logged."""

    sender_name = serializers.CharField()
    sender_email = serializers.CharField()
    individual = serializers.CharField()
    standing = serializers.CharField()
    claim = serializers.CharField()
    counter_notice = serializers.CharField(source="counter_text")


class NewTriage(serializers.Serializer[Any]):
    follow = serializers.BooleanField()
    answer = serializers.CharField(max_length=REASON_CHARS, required=False, allow_blank=True)


class Statements(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "report"}

    @listed(ReasonsView, summary="Decisions against me, with their reasons")
    def get(self, request: Request) -> Response:
        return paged(request, statements.statements_of(actor=self.actor), ReasonsView)


class StatementItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "report"}

    @extend_schema(responses=ReasonsView, summary="One statement of reasons")
    def get(self, request: Request, statement_id: UUID) -> Response:
        return Response(ReasonsView(statements.statement_of(actor=self.actor, statement_id=statement_id)).data)


class AppealStatement(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}
    per_minute: ClassVar[int | None] = 10

    @extend_schema(request=NewAppeal, responses={201: AppealView}, summary="Appeal: somebody else decides")
    def post(self, request: Request, statement_id: UUID) -> Response:
        made = appeals.appeal(actor=self.actor, statement_id=statement_id, **checked(NewAppeal, request.data))
        return Response(AppealView(made).data, status=201)


class CounterNotice(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}
    per_minute: ClassVar[int | None] = 10

    @extend_schema(
        request=NewCounterNotice, responses={201: None}, summary="Answer the notice that led to a decision against me"
    )
    def post(self, request: Request, statement_id: UUID) -> Response:
        notices.counter(actor=self.actor, statement_id=statement_id, **checked(NewCounterNotice, request.data))
        return Response(status=201)


class Appeals(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @listed(AppealView, summary="Open appeals you may decide, nearest deadline first")
    def get(self, request: Request) -> Response:
        found, after = page(request, appeals.queue(actor=self.actor))
        shown = [one for one in found if appeals.may_judge(one, guards.person(self.actor), stakes_of)]
        for one in shown:
            views_log.viewed(actor=self.actor, subject=f"appeal:{one.id}", what="appeal")
        return linked(request, AppealView(shown, many=True).data, after)


class AppealItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "report"}

    @extend_schema(responses=AppealView, summary="One appeal with its thread")
    def get(self, request: Request, appeal_id: UUID) -> Response:
        found = appeals.appeal_for(actor=self.actor, appeal_id=appeal_id, stakes=stakes_of)
        if found.person_id != self.actor.person_id:
            views_log.viewed(actor=self.actor, subject=f"appeal:{found.id}", what="appeal")
        return Response(AppealView(found).data)


class AppealMessages(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}
    per_minute: ClassVar[int | None] = 20

    @extend_schema(request=NewAppeal, responses={201: AppealMessageView}, summary="Say something in an appeal's thread")
    def post(self, request: Request, appeal_id: UUID) -> Response:
        text = checked(NewAppeal, request.data)
        made = appeals.say(actor=self.actor, appeal_id=appeal_id, stakes=stakes_of, **text)
        return Response(AppealMessageView(made).data, status=201)


class DecideAppeal(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewOutcome, responses=AppealView, summary="Decide an appeal, once")
    def post(self, request: Request, appeal_id: UUID) -> Response:
        word = checked(NewOutcome, request.data)
        found = appeals.decide(actor=self.actor, appeal_id=appeal_id, stakes=stakes_of, **word)
        return Response(AppealView(found).data)


class Notices(ApiView):
    """Anybody may send a notice; the desk reads those nobody has read yet."""

    shown_once: ClassVar[tuple[str, ...]] = ("token",)
    public: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}
    per_minute: ClassVar[int | None] = 10

    @listed(DeskNotice, summary="Notices nobody has read yet (the desk)")
    def get(self, request: Request) -> Response:
        found, after = page(request, notices.queue(actor=self.actor))
        shown = [one for one in found if self.actor.person_id not in stakes(one.subject_kind, one.subject_ref)]
        for one in shown:
            views_log.viewed(actor=self.actor, subject=f"notice:{one.id}", what="notice")
        return linked(request, DeskNotice(shown, many=True).data, after)

    @extend_schema(request=NewNotice, responses={201: ReceivedNotice}, summary="Send a takedown notice")
    def post(self, request: Request) -> Response:
        made, token = notices.receive(**checked(NewNotice, request.data))
        return Response({**notices.view(made), "token": token}, status=201)


class NoticeItem(ApiView):
    public: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = 30

    @extend_schema(
        parameters=[OpenApiParameter("X-Notice-Token", str, OpenApiParameter.HEADER)],
        responses=NoticeView,
        summary="What has become of a notice: for its sender, by its token",
    )
    def get(self, request: Request, notice_id: UUID) -> Response:
        return Response(notices.view(_own(request, notice_id)))


class PursueNotice(ApiView):
    public: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = 10

    @extend_schema(
        parameters=[OpenApiParameter("X-Notice-Token", str, OpenApiParameter.HEADER)],
        request=None,
        responses=NoticeView,
        summary="After a counter-notice: the sender has gone to court, so it stays down",
    )
    def post(self, request: Request, notice_id: UUID) -> Response:
        found = notices.pursue(notice_id=notice_id, token=request.headers.get("X-Notice-Token", ""))
        return Response(notices.view(found))


class TriageNotice(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(request=NewTriage, responses=NoticeView, summary="Pass a notice on as a case, or decline it")
    def post(self, request: Request, notice_id: UUID) -> Response:
        word = checked(NewTriage, request.data)
        found = notices.triage(actor=self.actor, notice_id=notice_id, stakes=stakes, **word)
        return Response(notices.view(found))


def _own(request: Request, notice_id: UUID) -> Notice:
    token = request.headers.get("X-Notice-Token", "")
    if not token:
        raise NotFound
    return notices.state_of(notice_id=notice_id, token=token)


urlpatterns = [
    path("statements-of-reasons", Statements.as_view()),
    path("statements-of-reasons/<uuid:statement_id>", StatementItem.as_view()),
    path("statements-of-reasons/<uuid:statement_id>/appeal", AppealStatement.as_view()),
    path("statements-of-reasons/<uuid:statement_id>/counter-notice", CounterNotice.as_view()),
    path("appeals", Appeals.as_view()),
    path("appeals/<uuid:appeal_id>", AppealItem.as_view()),
    path("appeals/<uuid:appeal_id>/messages", AppealMessages.as_view()),
    path("appeals/<uuid:appeal_id>/decide", DecideAppeal.as_view()),
    path("notices", Notices.as_view()),
    path("notices/<uuid:notice_id>", NoticeItem.as_view()),
    path("notices/<uuid:notice_id>/pursue", PursueNotice.as_view()),
    path("notices/<uuid:notice_id>/triage", TriageNotice.as_view()),
]
