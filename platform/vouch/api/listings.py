"""Listings: what owners offer, and what the shop shows."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning.models import LANGUAGES
from consent.licence_classes import STANDARD
from consent.scopes import CHANNELS, KEYS, SPECIAL_USES
from marketplace import selectors, services, showcase
from marketplace.models import MAX_FREE_UNITS, MAX_LICENCE_DAYS, MAX_PRICE_MINOR, TITLE_CHARS, Listing
from marketplace.pricing import Unit
from marketplace.states import Currency
from vouch.api.acts import act_of
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged


class NewListing(serializers.Serializer[Any]):
    voice = serializers.UUIDField()
    title = serializers.CharField(max_length=TITLE_CHARS)
    price_minor = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PRICE_MINOR,
        help_text="Minor units (cents) for what `unit` says; of a share, basis points of revenue.",
    )
    currency = serializers.ChoiceField(choices=Currency.values)
    unit = serializers.ChoiceField(choices=sorted(unit.value for unit in Unit), default=Unit.CHARACTER.value)
    free_units = serializers.IntegerField(min_value=0, max_value=MAX_FREE_UNITS, default=0)
    languages = serializers.ListField(child=serializers.CharField(max_length=8), min_length=1, max_length=20)
    licence_days = serializers.IntegerField(min_value=1, max_value=MAX_LICENCE_DAYS)
    text = serializers.CharField(max_length=40, default=STANDARD, help_text="The licence text, by its id.")
    terms = serializers.DictField(default=dict, help_text=f"What it narrows: {', '.join(sorted(KEYS))}.")
    description = serializers.CharField(max_length=showcase.DESCRIPTION_CHARS, allow_blank=True, default="")
    conditions = serializers.CharField(
        max_length=showcase.CONDITIONS_CHARS, allow_blank=True, default="", help_text="What the owner asks besides."
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=showcase.TAG_CHARS), max_length=showcase.MAX_TAGS, default=list
    )
    preview = serializers.UUIDField(
        required=False,
        help_text="A recording of my own: with it the offer is reviewed, then stands in the shop.",
    )


class ListingView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    voice = serializers.UUIDField(source="voice_id")
    voice_name = serializers.CharField(source="voice.name")
    consent = serializers.UUIDField(source="voice.consent_id", help_text="What an offer of other terms names.")
    title = serializers.CharField()
    description = serializers.CharField()
    conditions = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    unit = serializers.CharField(
        help_text="What the price is for: 1,000 characters, a second, an output, a month; or it is a share."
    )
    free_units = serializers.IntegerField(help_text="Characters, seconds, outputs or months that are everybody's once.")
    price_minor = serializers.IntegerField()
    currency = serializers.CharField()
    scope = serializers.JSONField(help_text="languages, days, and where they are narrowed: text, terms")
    state = serializers.CharField()
    review = serializers.CharField(help_text="unlisted, waiting, published (it stands in the shop) or turned_down")
    review_reason = serializers.CharField()
    has_preview = serializers.SerializerMethodField()
    rehearsal = serializers.BooleanField()
    created_at = serializers.DateTimeField()

    def get_has_preview(self, listing: Any) -> bool:
        """Whether there is a recording to listen to."""
        return listing.preview_id is not None


class ShopQuery(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=120, default="", allow_blank=True)
    language = serializers.ChoiceField(choices=LANGUAGES, default="", allow_blank=True)
    tag = serializers.CharField(max_length=showcase.TAG_CHARS, default="", allow_blank=True)
    use = serializers.ChoiceField(choices=sorted(SPECIAL_USES), default="", allow_blank=True)
    channel = serializers.ChoiceField(choices=CHANNELS, default="", allow_blank=True)


class Listings(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(
        ListingView,
        parameters=[OpenApiParameter(name, str) for name in ("q", "language", "tag", "use", "channel")],
        summary="What stands in the shop, narrowed by words, language, tag, use or channel",
    )
    def get(self, request: Request) -> Response:
        asked = checked(ShopQuery, request.query_params)
        found = showcase.search(text=asked.pop("q"), **asked)
        return paged(request, found, ListingView)

    @extend_schema(request=NewListing, responses={201: ListingView}, summary="Offer licences of a voice of mine")
    def post(self, request: Request) -> Response:
        fields = checked(NewListing, request.data)
        made: Listing = services.create_listing(
            actor=self.actor,
            voice_id=fields.pop("voice"),
            preview_id=fields.pop("preview", None),
            act=act_of(request),
            **fields,
        )
        return Response(ListingView(made).data, status=201)


class ListingItem(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @extend_schema(responses=ListingView, summary="One listing")
    def get(self, request: Request, listing_id: UUID) -> Response:
        return Response(ListingView(selectors.listing(actor=self.actor, listing_id=listing_id)).data)


class WithdrawListing(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=None, responses=ListingView, summary="Take an offer of mine back")
    def post(self, request: Request, listing_id: UUID) -> Response:
        return Response(ListingView(services.withdraw_listing(actor=self.actor, listing_id=listing_id)).data)


urlpatterns = [
    path("listings", Listings.as_view()),
    path("listings/<uuid:listing_id>", ListingItem.as_view()),
    path("listings/<uuid:listing_id>/withdraw", WithdrawListing.as_view()),
]
