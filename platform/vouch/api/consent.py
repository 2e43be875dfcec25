"""Consents, their texts and receipts, and licences. Every address knows only the caller's own things."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from consent import agreements, consequences, licences, receipt_page, receipts, recordings, renewal, selectors, services
from consent import unmeasured as without_biometrics
from consent.errors import ChallengeNotPassed
from consent.models import MAX_TERM_DAYS, Consent
from vouch import consents
from vouch.api.acts import act_of
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.api.licensing import LicenceView


class AgreementView(serializers.Serializer[Any]):
    version = serializers.CharField()
    kind = serializers.CharField()
    language = serializers.CharField()
    sha256 = serializers.CharField()
    text = serializers.CharField()


class Terms(serializers.Serializer[Any]):
    uses = serializers.DictField(child=serializers.BooleanField(), help_text=f"Yes or no: {', '.join(services.USES)}.")
    languages = serializers.ListField(child=serializers.CharField(max_length=8), min_length=1, max_length=20)
    term_days = serializers.IntegerField(min_value=1, max_value=MAX_TERM_DAYS)
    territory = serializers.CharField(max_length=200, default=services.WORLDWIDE)
    text_version = serializers.CharField(max_length=40)
    biometric_release = serializers.BooleanField(help_text="The separate release for the voice template.")
    challenge = serializers.UUIDField(
        required=False, help_text="The live challenge, passed; only the way without biometrics has none."
    )
    review = serializers.UUIDField(
        required=False, help_text="The approved review of a representative, or of the way without biometrics."
    )


class NewConsent(Terms):
    recordings = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=recordings.MAX_RECORDINGS
    )


class ConsentView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()
    version = serializers.IntegerField()
    former = serializers.UUIDField(source="former_id", allow_null=True)
    basis = serializers.CharField()
    uses = serializers.DictField(child=serializers.BooleanField())
    languages = serializers.ListField(child=serializers.CharField())
    territory = serializers.CharField()
    valid_until = serializers.DateTimeField()
    text_version = serializers.CharField()
    text_sha256 = serializers.CharField()
    biometric_release = serializers.CharField()
    challenge = serializers.UUIDField(source="challenge_id", allow_null=True)
    rehearsal = serializers.BooleanField()
    leaf_index = serializers.IntegerField()
    given_at = serializers.DateTimeField()
    due_from = serializers.SerializerMethodField(help_text="From when on the person is reminded to renew.")
    ended_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.DateTimeField())
    def get_due_from(self, consent: Consent) -> Any:
        return serializers.DateTimeField().to_representation(renewal.due_from(consent))


class ConsequenceView(serializers.Serializer[Any]):
    """``at`` is null for what has not happened yet; ``says`` is the sentence for people, in ``en`` and ``zh``."""

    what = serializers.CharField()
    ref = serializers.CharField()
    count = serializers.IntegerField()
    at = serializers.DateTimeField(allow_null=True)
    says = serializers.DictField(child=serializers.CharField())


class Foreseen(serializers.Serializer[Any]):
    """What a withdrawal would end, and what would stay all the same."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    consequences = ConsequenceView(many=True)
    remains = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))


class Withdrawal(Foreseen):
    """What ended, when, and what stays."""


class Renewal(serializers.Serializer[Any]):
    consent = ConsentView()
    consequences = ConsequenceView(many=True)


# -- consents ---------------------------------------------------------------------------------------------------------


class ConsentTexts(ApiView):
    public = True

    @extend_schema(summary="The consent texts and biometric releases on offer", responses=AgreementView(many=True))
    def get(self, request: Request) -> Response:
        offered = [one for one in agreements.agreements() if one.offered]
        return Response(AgreementView(offered, many=True).data)


class Consents(ApiView):
    scopes: ClassVar = {"GET": "consent:read", "POST": "consent:write"}

    @listed(ConsentView, summary="My consents")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.consents_of(actor=self.actor), ConsentView)

    @extend_schema(summary="Give consent", request=NewConsent, responses={201: ConsentView})
    def post(self, request: Request) -> Response:
        given = checked(NewConsent, request.data)
        common = {
            "actor": self.actor,
            "act": act_of(request),
            "recording_ids": given["recordings"],
            **{name: given[name] for name in ("uses", "languages", "term_days", "territory", "text_version")},
        }
        if "challenge" in given:
            made = services.give_consent(
                **common,
                challenge_id=given["challenge"],
                review_id=given.get("review"),
                biometric_release=given["biometric_release"],
            )
        elif "review" in given:
            made = without_biometrics.give_consent(**common, review_id=given["review"])
        else:
            raise ChallengeNotPassed
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


class ReceiptPage(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(
        summary="The receipt as one page to print, with its QR code",
        parameters=[OpenApiParameter("language", str, enum=receipt_page.LANGUAGES)],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, consent_id: UUID) -> HttpResponse:
        found = selectors.consent_of(actor=self.actor, consent_id=consent_id)
        language = request.query_params.get("language", "en")
        page = receipts.page(found, language if language in receipt_page.LANGUAGES else "en")
        name = f'attachment; filename="consent-{found.id}.pdf"'
        return HttpResponse(page, content_type="application/pdf", headers={"Content-Disposition": name})


class ReceiptCode(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="The receipt's QR code as an image", responses={(200, "image/svg+xml"): OpenApiTypes.BINARY})
    def get(self, request: Request, consent_id: UUID) -> HttpResponse:
        code = receipts.compact_text(selectors.consent_of(actor=self.actor, consent_id=consent_id))
        return HttpResponse(receipt_page.svg(code), content_type="image/svg+xml")


class ReceiptText(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="What the QR code says", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, consent_id: UUID) -> HttpResponse:
        code = receipts.compact_text(selectors.consent_of(actor=self.actor, consent_id=consent_id))
        return HttpResponse(code, content_type="text/plain; charset=ascii")


class ConsentConsequences(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="What a withdrawal would end, before anything is withdrawn", responses=Foreseen)
    def get(self, request: Request, consent_id: UUID) -> Response:
        found = consents.foresee(actor=self.actor, consent_id=consent_id)
        state = selectors.consent_of(actor=self.actor, consent_id=consent_id).state
        body = {"id": consent_id, "state": state, "consequences": found, "remains": consequences.REMAINS}
        return Response(Foreseen(body).data)


class ConsentWithdraw(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Withdraw: no reason needed, everything under it ends now", request=None, responses=Withdrawal
    )
    def post(self, request: Request, consent_id: UUID) -> Response:
        found = consents.withdraw(actor=self.actor, consent_id=consent_id)
        body = {"id": consent_id, "state": "withdrawn", "consequences": found, "remains": consequences.REMAINS}
        return Response(Withdrawal(body).data)


class ConsentRenew(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Renew: a new record after a new challenge in the same voice; voices and covered licences go on",
        request=Terms,
        responses={201: Renewal},
    )
    def post(self, request: Request, consent_id: UUID) -> Response:
        given = checked(Terms, request.data)
        made, found = consents.renew(
            actor=self.actor,
            act=act_of(request),
            consent_id=consent_id,
            challenge_id=given.get("challenge"),
            review_id=given.get("review"),
            **{name: given[name] for name in ("uses", "languages", "term_days", "territory", "text_version")},
            biometric_release=given["biometric_release"],
        )
        return Response(Renewal({"consent": made, "consequences": found}).data, status=201)


class Licences(ApiView):
    scopes: ClassVar = {"GET": "market:read"}

    @listed(LicenceView, summary="Licences I hold, and those under my consents")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.licences_of(actor=self.actor), LicenceView)


class LicenceEnd(ApiView):
    scopes: ClassVar = {"POST": "market:write"}

    @extend_schema(summary="Give up a licence I hold", request=None, responses=LicenceView)
    def post(self, request: Request, licence_id: UUID) -> Response:
        ended = licences.end_licence(actor=self.actor, licence_id=licence_id, reason="given_up")
        return Response(LicenceView(ended).data)


urlpatterns = [
    path("consent-texts", ConsentTexts.as_view()),
    path("consents", Consents.as_view()),
    path("consents/<uuid:consent_id>", ConsentOne.as_view()),
    path("consents/<uuid:consent_id>/receipt", ConsentReceipt.as_view()),
    path("consents/<uuid:consent_id>/receipt.pdf", ReceiptPage.as_view()),
    path("consents/<uuid:consent_id>/receipt.svg", ReceiptCode.as_view()),
    path("consents/<uuid:consent_id>/receipt.txt", ReceiptText.as_view()),
    path("consents/<uuid:consent_id>/consequences", ConsentConsequences.as_view()),
    path("consents/<uuid:consent_id>/renew", ConsentRenew.as_view()),
    path("consents/<uuid:consent_id>/withdraw", ConsentWithdraw.as_view()),
    path("licences", Licences.as_view()),
    path("licences/<uuid:licence_id>/end", LicenceEnd.as_view()),
]
