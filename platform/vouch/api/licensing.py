"""Licences: their texts, their scope as ODRL, receipts, notice and safety stop, seats; offers; texts owners approve."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import approvals, revocation
from cloning.services import resume_asked
from consent import licence_classes, licence_receipts, offers, scopes, seats, selectors
from consent.models import MAX_CHARACTERS, MAX_TERM_DAYS, Licence
from vouch.api.acts import act_of
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged

MAX_ID = 40
DECISIONS = ("approve", "refuse")


class LicenceTextView(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.DictField(child=serializers.CharField())
    sha256 = serializers.CharField(help_text="Of id, limits and the texts' own hashes.")
    limits = serializers.JSONField(help_text="A scope: no licence in this text is wider.")
    texts = serializers.DictField(child=serializers.CharField(), help_text="By language.")


class LicenceView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    consent = serializers.UUIDField(source="consent_id")
    licensee = serializers.UUIDField(source="licensee_id")
    text = serializers.CharField(source="text_id", allow_null=True)
    scope = serializers.JSONField()
    characters_cap = serializers.IntegerField()
    characters_used = serializers.IntegerField()
    characters_reserved = serializers.IntegerField()
    milliseconds_cap = serializers.IntegerField(allow_null=True)
    milliseconds_used = serializers.IntegerField()
    milliseconds_reserved = serializers.IntegerField()
    outputs_cap = serializers.IntegerField(allow_null=True)
    outputs_used = serializers.IntegerField()
    outputs_reserved = serializers.IntegerField()
    valid_until = serializers.DateTimeField()
    notice_given_at = serializers.DateTimeField(allow_null=True)
    state = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_reason = serializers.CharField()
    rehearsal = serializers.BooleanField()
    granted_at = serializers.DateTimeField()


class NewTerms(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=MAX_ID, default=licence_classes.STANDARD)
    scope = serializers.DictField(default=dict, help_text=f"What it narrows: {', '.join(sorted(scopes.KEYS))}.")
    characters = serializers.IntegerField(min_value=1, max_value=MAX_CHARACTERS)
    days = serializers.IntegerField(min_value=1, max_value=MAX_TERM_DAYS)


class NewOffer(NewTerms):
    consent = serializers.UUIDField()
    licensee = serializers.UUIDField(required=False, help_text="Owners name whom they offer it to.")


class OfferView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    consent = serializers.UUIDField(source="consent_id")
    owner = serializers.UUIDField(source="owner_id")
    licensee = serializers.UUIDField(source="licensee_id")
    by_owner = serializers.BooleanField(help_text="Who proposed and signed it; the other side answers.")
    former = serializers.UUIDField(source="former_id", allow_null=True)
    text = serializers.CharField(source="text_id")
    scope = serializers.JSONField()
    characters = serializers.IntegerField()
    days = serializers.IntegerField()
    state = serializers.CharField()
    licence = serializers.UUIDField(source="licence_id", allow_null=True)
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class Reason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=revocation.MAX_REASON, allow_blank=True, default="")


class SeatView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    licence = serializers.UUIDField(source="licence_id")
    person = serializers.UUIDField(source="person_id", allow_null=True)
    made_at = serializers.DateTimeField()
    joined_at = serializers.DateTimeField(allow_null=True)
    returned_at = serializers.DateTimeField(allow_null=True)


class InvitedSeat(SeatView):
    code = serializers.CharField(required=False, help_text="Shown this once: whoever has it may take the seat.")


class SeatCode(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=64)


class ApprovalView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    licence = serializers.UUIDField(source="licence_id")
    text = serializers.CharField(help_text="Emptied when it is decided.")
    text_digest = serializers.CharField()
    topics = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class ApprovalDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=DECISIONS)


class LicenceTexts(ApiView):
    public: ClassVar[bool] = True

    @extend_schema(summary="The texts licences are granted in", responses=LicenceTextView(many=True))
    def get(self, request: Request) -> Response:
        offered = [one for one in licence_classes.classes() if one.offered]
        return Response(LicenceTextView(offered, many=True).data)


class LicenceItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(summary="A licence I hold or granted, with what is left of its caps", responses=LicenceView)
    def get(self, request: Request, licence_id: UUID) -> Response:
        return Response(LicenceView(selectors.licence_of(actor=self.actor, licence_id=licence_id)).data)


class LicenceOdrl(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(summary="Its scope as an ODRL 2.2 agreement", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, licence_id: UUID) -> Response:
        found = selectors.licence_of(actor=self.actor, licence_id=licence_id)
        return Response(licence_receipts.policy(found))


class LicenceReceipt(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(summary="The receipt of either side, verifiable offline", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, licence_id: UUID) -> Response:
        return Response(licence_receipts.issue(selectors.licence_of(actor=self.actor, licence_id=licence_id)))


class LicenceNotice(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "consent:write"}

    @extend_schema(
        summary="Owners: end a licence with the notice its contract names", request=None, responses=LicenceView
    )
    def post(self, request: Request, licence_id: UUID) -> Response:
        return Response(LicenceView(revocation.give_notice(actor=self.actor, licence_id=licence_id)).data)


class LicenceStop(ApiView):
    @extend_schema(
        summary="Owners and moderators: the safety stop, at once, with a reason", request=Reason, responses=LicenceView
    )
    def post(self, request: Request, licence_id: UUID) -> Response:
        if self.actor.role != "moderator":
            self.actor.require_scope("consent:write")
        fields = checked(Reason, request.data)
        found: Licence = revocation.stop(actor=self.actor, licence_id=licence_id, reason=fields["reason"])
        return Response(LicenceView(found).data)


class Seats(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("code",)
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(SeatView, summary="The seats of a licence, besides its holder's")
    def get(self, request: Request, licence_id: UUID) -> Response:
        found = selectors.licence_of(actor=self.actor, licence_id=licence_id)
        return paged(request, found.seats.filter(returned_at=None).order_by("made_at"), SeatView)

    @extend_schema(summary="Keep a seat free and get the code to join it", request=None, responses={201: InvitedSeat})
    def post(self, request: Request, licence_id: UUID) -> Response:
        seat, code = seats.invite(actor=self.actor, licence_id=licence_id)
        return Response({**SeatView(seat).data, "code": code}, status=201)


class SeatJoin(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}
    per_minute: ClassVar[int | None] = 10

    @extend_schema(summary="Take the seat of a code", request=SeatCode, responses=SeatView)
    def post(self, request: Request) -> Response:
        return Response(SeatView(seats.join(actor=self.actor, code=checked(SeatCode, request.data)["code"])).data)


class SeatReturn(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(summary="Free a seat: its own, or one of my licence", request=None, responses=SeatView)
    def post(self, request: Request, seat_id: UUID) -> Response:
        return Response(SeatView(seats.take_back(actor=self.actor, seat_id=seat_id)).data)


class Offers(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(OfferView, summary="Offers I made or received")
    def get(self, request: Request) -> Response:
        return paged(request, offers.offers_of(actor=self.actor), OfferView)

    @extend_schema(
        summary="Offer a licence of my consent to somebody, or ask the owner of a voice for one; my signature to it",
        request=NewOffer,
        responses={201: OfferView},
    )
    def post(self, request: Request) -> Response:
        fields = checked(NewOffer, request.data)
        made = offers.propose(
            actor=self.actor,
            act=act_of(request),
            consent_id=fields.pop("consent"),
            licensee_id=fields.pop("licensee", None),
            **fields,
        )
        return Response(OfferView(made).data, status=201)


class OfferCounter(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(summary="Answer an offer with other terms", request=NewTerms, responses={201: OfferView})
    def post(self, request: Request, offer_id: UUID) -> Response:
        fields = checked(NewTerms, request.data)
        made = offers.counter(actor=self.actor, act=act_of(request), offer_id=offer_id, **fields)
        return Response(OfferView(made).data, status=201)


class OfferSign(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(summary="The second signature: the licence is granted", request=None, responses=LicenceView)
    def post(self, request: Request, offer_id: UUID) -> Response:
        licence: Licence = offers.sign(actor=self.actor, act=act_of(request), offer_id=offer_id)
        return Response(LicenceView(licence).data)


class OfferDecline(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(summary="Decline an offer, or take one back", request=Reason, responses=OfferView)
    def post(self, request: Request, offer_id: UUID) -> Response:
        reason = checked(Reason, request.data)["reason"]
        return Response(OfferView(offers.decline(actor=self.actor, offer_id=offer_id, reason=reason)).data)


class Approvals(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "consent:read"}

    @listed(ApprovalView, summary="Texts that wait for my word, oldest first")
    def get(self, request: Request) -> Response:
        return paged(request, approvals.waiting(actor=self.actor), ApprovalView)


class ApprovalDecide(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "consent:write"}

    @extend_schema(
        summary="Approve or refuse exactly this text in my voice", request=ApprovalDecision, responses=ApprovalView
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        approve = checked(ApprovalDecision, request.data)["decision"] == "approve"
        with transaction.atomic():
            found = approvals.decide(actor=self.actor, approval_id=approval_id, approve=approve)
        resume_asked(actor=self.actor, approval_id=found.id)
        return Response(ApprovalView(found).data)


urlpatterns = [
    path("licence-texts", LicenceTexts.as_view()),
    path("licences/<uuid:licence_id>", LicenceItem.as_view()),
    path("licences/<uuid:licence_id>/odrl", LicenceOdrl.as_view()),
    path("licences/<uuid:licence_id>/receipt", LicenceReceipt.as_view()),
    path("licences/<uuid:licence_id>/notice", LicenceNotice.as_view()),
    path("licences/<uuid:licence_id>/stop", LicenceStop.as_view()),
    path("licences/<uuid:licence_id>/seats", Seats.as_view()),
    path("seats/join", SeatJoin.as_view()),
    path("seats/<uuid:seat_id>/return", SeatReturn.as_view()),
    path("offers", Offers.as_view()),
    path("offers/<uuid:offer_id>/counter", OfferCounter.as_view()),
    path("offers/<uuid:offer_id>/sign", OfferSign.as_view()),
    path("offers/<uuid:offer_id>/decline", OfferDecline.as_view()),
    path("approvals", Approvals.as_view()),
    path("approvals/<uuid:approval_id>/decide", ApprovalDecide.as_view()),
]
