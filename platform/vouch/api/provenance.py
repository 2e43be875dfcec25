"""What anybody needs to check an output without us: its proof, the status lists, and the keys behind them."""

import base64
import hashlib
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.cache import patch_cache_control
from django.utils.http import quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cloning import selectors
from foundation import certificates, keys
from foundation.audit import receipts
from foundation.clock import now
from foundation.errors import NotFound
from vouch.api.core import ApiView
from vouch.api.core.delivery import has
from watermark import status

EVERYBODY = "*"
"""A status list holds nothing of anybody: any page may read it, which is what a player on another site does."""


class Proof(serializers.Serializer[Any]):
    provenance = serializers.JSONField(help_text="The signed statement; `c2pa` where the container holds no manifest.")
    receipt = serializers.JSONField(help_text="The log's receipt of the output.")


class ProvenanceKeys(serializers.Serializer[Any]):
    log = serializers.CharField(help_text="Ed25519, 32 bytes, hexadecimal.")
    provenance = serializers.CharField(help_text="Ed25519: signs statements and status lists.")
    c2pa_roots = serializers.CharField(help_text="PEM: the roots of the certificate in the content credentials.")


class OutputProof(ApiView):
    scopes = {"GET": "speak"}

    @extend_schema(responses=Proof, summary="Everything `vouch verify` wants beside the file itself")
    def get(self, request: Request, output_id: UUID) -> Response:
        output = selectors.output(actor=self.actor, output_id=output_id)
        return Response({"provenance": output.provenance, "receipt": receipts.receipt(output.leaf_index)})


class OutputManifest(ApiView):
    scopes = {"GET": "speak"}

    @extend_schema(
        responses={(200, "application/c2pa"): OpenApiTypes.BINARY},
        summary="The C2PA manifest of an output whose container has no place for one",
    )
    def get(self, request: Request, output_id: UUID) -> HttpResponse:
        output = selectors.output(actor=self.actor, output_id=output_id)
        text = output.provenance.get("c2pa")
        if text is None:
            raise NotFound("The manifest stands in the file itself.")
        response = HttpResponse(base64.b64decode(text), content_type="application/c2pa")
        response["Content-Disposition"] = f'attachment; filename="{output.id}.c2pa"'
        return response


class StatusList(ApiView):
    public = True

    @extend_schema(
        responses={(200, status.MEDIA_TYPE): OpenApiResponse(OpenApiTypes.STR), 304: None},
        summary="Which outputs are revoked: a signed W3C Bitstring Status List, for any cache and any page",
    )
    def get(self, request: Request, number: int) -> HttpResponse:
        return _list(request, number, selectors.revoked_positions(), status.PURPOSE)


class RefreshList(ApiView):
    public = True

    @extend_schema(
        responses={(200, status.MEDIA_TYPE): OpenApiResponse(OpenApiTypes.STR), 304: None},
        summary="Which outputs need the note that their licence has ended: a list of the same kind, purpose refresh",
    )
    def get(self, request: Request, number: int) -> HttpResponse:
        return _list(request, number, selectors.relabelled_positions(), status.REFRESH)


class KeysView(ApiView):
    public = True

    @extend_schema(responses=ProvenanceKeys, summary="The keys that outputs, status lists and the log are checked with")
    def get(self, request: Request) -> Response:
        certificate = certificates.load(settings.VOUCH_KEYS)
        return Response(
            {
                "log": keys.public_key("log").hex(),
                "provenance": keys.public_key("provenance").hex(),
                "c2pa_roots": certificate.roots,
            }
        )


def _list(request: Request, number: int, places: list[int], purpose: str) -> HttpResponse:
    if not 1 <= number <= selectors.status_lists():
        raise NotFound("There is no such list.")
    set_bits = [place["index"] for place in map(status.entry, places) if place["list"] == number]
    response = _cached(request, number, set_bits, purpose)
    response["Access-Control-Allow-Origin"] = EVERYBODY
    patch_cache_control(response, public=True, max_age=status.CACHE_SECONDS)
    return response


def _cached(request: Request, number: int, revoked: list[int], purpose: str) -> HttpResponse:
    """The list, or 304 when the caller has these very bits from the same hour: signing is not for nothing."""
    # Within the hour the same bits give the same bytes, so that caches in several places hold one document.
    at = now().replace(minute=0, second=0, microsecond=0)
    words = f"{purpose} {number} {at.isoformat()} {','.join(map(str, revoked))}"
    etag = quote_etag(hashlib.sha256(words.encode()).hexdigest()[:32])
    http: HttpRequest = request._request
    if has(request, etag):
        response = HttpResponse(status=304)
    else:
        signer = Ed25519PrivateKey.from_private_bytes(keys.private_key("provenance"))
        address = http.build_absolute_uri(http.path)
        made = status.make(
            number,
            revoked,
            address=address,
            issuer=settings.VOUCH_LOG_ORIGIN,
            sign=signer.sign,
            at=at,
            purpose=purpose,
        )
        response = HttpResponse(made, content_type=status.MEDIA_TYPE)
    response["ETag"] = etag
    return response


urlpatterns = [
    path("outputs/<uuid:output_id>/proof", OutputProof.as_view()),
    path("outputs/<uuid:output_id>/c2pa", OutputManifest.as_view()),
    path("status/<int:number>", StatusList.as_view()),
    path("status/<int:number>/refresh", RefreshList.as_view()),
    path("provenance/keys", KeysView.as_view()),
]
