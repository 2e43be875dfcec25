"""The shop window: search by text and by sound, previews, reviews of offers, protected names, reports."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.vault import services as vault
from marketplace import selectors, showcase, sounds
from safety import services as safety
from vouch.api.core import ApiView, checked, stream_body
from vouch.api.core.delivery import delivered
from vouch.api.core.paging import listed, paged
from vouch.api.core.schema import refusals
from vouch.api.core.throttling import limit
from vouch.api.listings import ListingView

SEARCHES_PER_MINUTE, SEARCHES_PER_DAY, DAY = 5, 50, 86_400
"""A search by sound costs a worker seconds, and a person shopping needs few."""
DECISIONS = ("publish", "turn_down")


class PreviewChoice(serializers.Serializer[Any]):
    output = serializers.UUIDField(help_text="A recording of my own, at most 30 s with its label.")


class ReviewDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=DECISIONS)
    reason = serializers.CharField(max_length=showcase.REASON_CHARS, allow_blank=True, default="")


class ProtectedNameBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=showcase.NAME_CHARS)


class ListingReport(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=1_900)


class CaseOpened(serializers.Serializer[Any]):
    case = serializers.UUIDField()


class FoundOffer(serializers.Serializer[Any]):
    grade = serializers.CharField(help_text="very_close or close; no measurement is shown")
    listing = ListingView()


class SoundSearchView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()
    error_code = serializers.CharField()
    error_detail = serializers.CharField()
    found = FoundOffer(many=True)


class ListingPreview(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @extend_schema(
        summary="The preview: marked and labelled as every recording, whole or in part (Range, If-None-Match)",
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="what you have is what there is"),
            **refusals(416),
        },
    )
    def get(self, request: Request, listing_id: UUID) -> HttpResponseBase:
        found = showcase.preview_of(actor=self.actor, listing_id=listing_id)
        # The listener is no party to the recording: the shop opens it for them, and the vault's log says so.
        response = delivered(
            request,
            lambda: vault.read_stream(sealed_object=found.sealed, actor=showcase.ACTOR),
            size=found.sealed.size,
            etag=found.sha256,
            media_type=found.media_type,
        )
        response["X-Content-SHA256"] = found.sha256
        # May be kept by the listener's own browser, which asks again each time: the offer may be gone meanwhile.
        response["Cache-Control"] = "private, no-cache"
        return response

    @extend_schema(
        summary="Set the preview of an offer of mine and have it reviewed", request=PreviewChoice, responses=ListingView
    )
    def post(self, request: Request, listing_id: UUID) -> Response:
        output = checked(PreviewChoice, request.data)["output"]
        found = showcase.ask_review(actor=self.actor, listing_id=listing_id, preview_id=output)
        return Response(ListingView(found).data)


class ListingReviews(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "moderate"}

    @listed(ListingView, summary="Moderators: offers that wait for a review, oldest first")
    def get(self, request: Request) -> Response:
        return paged(request, showcase.waiting(actor=self.actor), ListingView)


class ListingReview(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(
        summary="Moderators: publish an offer or turn it down", request=ReviewDecision, responses=ListingView
    )
    def post(self, request: Request, listing_id: UUID) -> Response:
        fields = checked(ReviewDecision, request.data)
        publish = fields["decision"] == "publish"
        found = showcase.review(actor=self.actor, listing_id=listing_id, publish=publish, reason=fields["reason"])
        return Response(ListingView(found).data)


class ProtectedNames(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "moderate"}

    @extend_schema(
        summary="Moderators: nobody offers a voice under this name", request=ProtectedNameBody, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        showcase.protect_name(actor=self.actor, name=checked(ProtectedNameBody, request.data)["name"])
        return Response(status=204)


class ReportListing(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "report"}

    @extend_schema(
        summary="Report an offer: a moderator looks at its voice", request=ListingReport, responses={201: CaseOpened}
    )
    def post(self, request: Request, listing_id: UUID) -> Response:
        text = checked(ListingReport, request.data)["text"]
        found = selectors.listing(actor=self.actor, listing_id=listing_id)
        made = safety.report(
            actor=self.actor,
            subject_kind="voice",
            subject_ref=str(found.voice_id),
            text=f"[offer {found.id}] {text}",
        )
        return Response({"case": made.case_id}, status=201)


class SoundSearches(ApiView):
    streamed: ClassVar[bool] = True
    scopes: ClassVar[dict[str, str]] = {"POST": "market:read"}
    per_minute: ClassVar[int | None] = SEARCHES_PER_MINUTE

    @extend_schema(
        summary="Which offers sound like this clip? The clip is destroyed with the answer",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={202: SoundSearchView},
    )
    def post(self, request: Request) -> Response:
        limit(request, door="sound-searches-a-day", per_minute=SEARCHES_PER_DAY, seconds=DAY)
        body = stream_body(request, max_bytes=sounds.MAX_BYTES)
        return Response(_answer(sounds.request_search(actor=self.actor, stream=body)), status=202)


class SoundSearchItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(summary="What a search of mine by sound found", responses=SoundSearchView)
    def get(self, request: Request, search_id: UUID) -> Response:
        return Response(_answer(sounds.search_of(actor=self.actor, search_id=search_id)))


def _answer(search: Any) -> Any:
    found = [{"grade": grade, "listing": listing} for listing, grade in sounds.found_listings(search)]
    row = {name: getattr(search, name) for name in ("id", "state", "error_code", "error_detail")}
    return SoundSearchView({**row, "found": found}).data


urlpatterns = [
    path("listings/reviews", ListingReviews.as_view()),
    path("listings/<uuid:listing_id>/preview", ListingPreview.as_view()),
    path("listings/<uuid:listing_id>/review", ListingReview.as_view()),
    path("listings/<uuid:listing_id>/report", ReportListing.as_view()),
    path("protected-names", ProtectedNames.as_view()),
    path("sound-searches", SoundSearches.as_view()),
    path("sound-searches/<uuid:search_id>", SoundSearchItem.as_view()),
]
