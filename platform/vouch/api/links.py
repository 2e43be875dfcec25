"""Links to recordings that work without a key, for a while: a CDN or a page hands the recording on by them.

    GET /api/v1/outputs/ID/link?seconds=3600   →  {"url": ".../api/v1/linked/ID?until=…&signature=…", "until": …}

The signature is an HMAC-SHA256 over the recording and the end, under a key derived from the deployment's secret (a
former one still counts while it is being changed), compared in constant time. It opens one recording and nothing else.
Whether the recording may be handed out is asked each time: one that was revoked answers 410 whatever its link says, and
what a cache may keep, it may keep for a minute.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from django.core import signing
from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import selectors
from foundation.clock import now
from foundation.errors import Gone, NotAllowed
from foundation.identity.actors import Actor
from vouch.api.cloning import handed_out
from vouch.api.core import ApiView, checked
from vouch.api.core.schema import refusals

LONGEST: Final = 7 * 86_400
HOUR: Final = 3600
STEP: Final = 300
"""Links end at whole five minutes: what is asked for twice within them is one address, which a cache holds once."""
CACHED: Final = 60
"""Seconds a shared cache may hand a recording on without asking whether it still may."""
ACTOR: Final = Actor.system("link")

EXPOSED: Final = (
    "Accept-Ranges, Content-Range, ETag, X-Content-SHA256, X-Request-Id, X-Vouch-AI-Generated, X-Vouch-Label-Seconds, "
    "X-Vouch-Output, X-Vouch-State"
)
"""What a script on somebody else's page may read of the answer: a player has to say what it plays."""


class LinkExpired(Gone):
    """This link has ended."""

    code = "link_expired"
    advice = "Ask whoever gave it to you for a new one."


class LinkInvalid(NotAllowed):
    """This is no link of ours: a part of it is missing or was changed."""

    code = "link_invalid"
    advice = "Copy the whole address, or ask whoever gave it to you for a new one."


class LinkQuery(serializers.Serializer[Any]):
    seconds = serializers.IntegerField(min_value=60, max_value=LONGEST, default=HOUR)


class LinkView(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Works without a key until it ends. Whoever has it may listen.")
    until = serializers.DateTimeField()


class OutputLink(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "seconds", {"type": "integer", "minimum": 60, "maximum": LONGEST, "default": HOUR},
                description="How long it works, to the next whole five minutes.",
            )
        ],
        responses={200: LinkView, **refusals(410)},
        summary="An address of a recording of mine that works without a key, for a while",
    )  # fmt: skip
    def get(self, request: Request, output_id: UUID) -> Response:
        seconds = checked(LinkQuery, request.query_params)["seconds"]
        found = selectors.playable_output(actor=self.actor, output_id=output_id)
        until = -(-int(now().timestamp() + seconds) // STEP) * STEP
        signature = _signer().signature(f"{found.id}.{until}")
        place = f"/api/v1/linked/{found.id}?until={until}&signature={signature}"
        url = request._request.build_absolute_uri(place)
        return Response(LinkView({"url": url, "until": datetime.fromtimestamp(until, UTC)}).data)


class Linked(ApiView):
    authentication_classes = []
    public: ClassVar[bool] = True

    @extend_schema(
        parameters=[
            OpenApiParameter("until", int, required=True, description="Unix seconds."),
            OpenApiParameter("signature", str, required=True),
        ],
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="what you have is what there is"),
            **refusals(403, 410, 416),
        },
        summary="A recording by a link: marked, labelled, signed; whole or in part (Range)",
    )
    def get(self, request: Request, output_id: UUID) -> HttpResponseBase:
        until = request.query_params.get("until", "")
        if not (until.isascii() and until.isdigit() and len(until) <= 12):
            raise LinkInvalid
        try:
            _signer().unsign(f"{output_id}.{int(until)}:{request.query_params.get('signature', '')}")
        except signing.BadSignature as error:
            raise LinkInvalid from error
        left = int(until) - int(now().timestamp())
        if left <= 0:
            raise LinkExpired
        response = handed_out(request, selectors.linked_output(output_id=output_id), actor=ACTOR)
        response["Cache-Control"] = f"public, max-age={min(CACHED, left)}, no-transform"
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = EXPOSED
        return response


def _signer() -> signing.Signer:
    """HMAC-SHA256, compared in constant time; knows the former secrets too."""
    return signing.Signer(salt="vouch.api.links")


urlpatterns = [
    path("outputs/<uuid:output_id>/link", OutputLink.as_view()),
    path("linked/<uuid:output_id>", Linked.as_view()),
]
