"""The public log: its key, its newest checkpoint, its leaves, and receipts."""

import base64
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import keys
from foundation.audit import checkpoints, cose, notes, receipts, selectors, spellings, tree
from foundation.audit.models import Leaf
from foundation.errors import NotFound
from vouch.api.core import ApiView
from vouch.api.core.schema import refusals

MAX_PAGE = 1000
"""Leaves in one answer."""

DEFAULT_PAGE = 100


class PageQuery(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Written as a dict because `from` is a word of Python's own.
        return {
            "from": serializers.IntegerField(min_value=0, max_value=2**62, default=0),
            "limit": serializers.IntegerField(min_value=1, max_value=MAX_PAGE, default=DEFAULT_PAGE),
        }


class ConsistencyQuery(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "from": serializers.IntegerField(min_value=0, max_value=2**62),
            "to": serializers.IntegerField(min_value=0, max_value=2**62),
        }


class Consistency(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "from": serializers.IntegerField(),
            "to": serializers.IntegerField(),
            "proof": serializers.ListField(child=serializers.CharField(), help_text="Base64, in RFC 9162's order."),
        }


class LeafRow(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    hash = serializers.CharField(help_text="Leaf hash, hexadecimal (RFC 9162).")
    body = serializers.CharField(required=False, help_text="Canonical JSON; for auditors only.")


class LeafPage(serializers.Serializer[Any]):
    size = serializers.IntegerField(help_text="Leaves in the log now.")
    leaves = LeafRow(many=True)


class LogKey(serializers.Serializer[Any]):
    origin = serializers.CharField()
    public_key = serializers.CharField(help_text="Ed25519, 32 bytes, hexadecimal.")
    verifier_key = serializers.CharField(help_text="The same in C2SP form.")


class ReceiptLeaf(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    body = serializers.CharField(help_text="Canonical JSON, exactly the bytes that are hashed.")


class Receipt(serializers.Serializer[Any]):
    v = serializers.IntegerField()
    leaf = ReceiptLeaf()
    proof = serializers.ListField(child=serializers.CharField(), help_text="Inclusion proof, base64, lowest first.")
    checkpoint = serializers.CharField(help_text="Signed note (C2SP).")


class CheckpointView(ApiView):
    public = True

    @extend_schema(
        summary="The newest signed checkpoint of the log, as a C2SP signed note",
        responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request) -> HttpResponse:
        newest = checkpoints.latest() or checkpoints.make()
        return HttpResponse(checkpoints.cosigned(newest), content_type="text/plain; charset=utf-8")


class LeavesView(ApiView):
    @extend_schema(
        summary="Leaves in order: whole for auditors, only their hashes for others",
        parameters=[
            OpenApiParameter("from", int, description="First index, 0 when left out."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}."),
        ],
        responses=LeafPage,
    )
    def get(self, request: Request) -> Response:
        query = PageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        whole = selectors.AUDIT in self.actor.scopes
        rows = [_row(leaf, whole=whole) for leaf in selectors.leaves(start=asked["from"], limit=asked["limit"])]
        return Response({"size": tree.size(), "leaves": rows})


class ConsistencyView(ApiView):
    public = True

    @extend_schema(
        summary="The proof that a smaller log is the beginning of a larger one",
        parameters=[
            OpenApiParameter("from", int, required=True, description="Size of the older checkpoint."),
            OpenApiParameter("to", int, required=True, description="Size of the newer checkpoint."),
        ],
        responses={200: Consistency, **refusals(404)},
    )
    def get(self, request: Request) -> Response:
        query = ConsistencyQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        older, newer = query.validated_data["from"], query.validated_data["to"]
        if not older <= newer <= tree.size():
            raise NotFound("The log has no such two sizes.")
        proof = [base64.b64encode(step).decode() for step in tree.consistency_proof(older, newer)]
        return Response({"from": older, "to": newer, "proof": proof})


class ReceiptView(ApiView):
    @extend_schema(summary="The receipt of a leaf, for auditors and for whom it concerns", responses=Receipt)
    def get(self, request: Request, index: int) -> Response:
        leaf = selectors.leaf_for(actor=self.actor, index=index)
        return Response(receipts.receipt(leaf.index))


class CoseReceiptView(ApiView):
    @extend_schema(
        summary="The same receipt as COSE: a Transparent Statement (RFC 9943) with its receipt (RFC 9942)",
        responses={(200, "application/cose"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, index: int) -> HttpResponse:
        leaf = selectors.leaf_for(actor=self.actor, index=index)
        signed = cose.sign(receipts.receipt(leaf.index), keys.private_key("log"))
        return _file(signed, f"leaf-{index}.cose", "application/cose")


class TlogProofView(ApiView):
    @extend_schema(
        summary="The same receipt as a C2SP tlog-proof, for any verifier of transparency logs",
        responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, index: int) -> HttpResponse:
        leaf = selectors.leaf_for(actor=self.actor, index=index)
        text = spellings.to_tlog_proof(receipts.receipt(leaf.index))
        return _file(text.encode(), f"leaf-{index}.tlog-proof", "text/plain; charset=utf-8")


class PublicKeyView(ApiView):
    public = True

    @extend_schema(summary="The key that signs the log", responses=LogKey)
    def get(self, request: Request) -> Response:
        key, origin = keys.public_key("log"), settings.VOUCH_LOG_ORIGIN
        return Response({"origin": origin, "public_key": key.hex(), "verifier_key": notes.verifier_key(origin, key)})


def _file(data: bytes, name: str, kind: str) -> HttpResponse:
    return HttpResponse(data, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _row(leaf: Leaf, *, whole: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"index": leaf.index, "hash": bytes(leaf.leaf_hash).hex()}
    if whole:
        row["body"] = bytes(leaf.body).decode()
    return row


urlpatterns: list[Any] = [
    path("log/checkpoint", CheckpointView.as_view(), name="log-checkpoint"),
    path("log/consistency", ConsistencyView.as_view(), name="log-consistency"),
    path("log/leaves", LeavesView.as_view(), name="log-leaves"),
    path("log/leaves/<int:index>/receipt", ReceiptView.as_view(), name="log-receipt"),
    path("log/leaves/<int:index>/receipt.cose", CoseReceiptView.as_view(), name="log-receipt-cose"),
    path("log/leaves/<int:index>/receipt.tlog-proof", TlogProofView.as_view(), name="log-receipt-tlog-proof"),
    path("log/public-key", PublicKeyView.as_view(), name="log-public-key"),
]
