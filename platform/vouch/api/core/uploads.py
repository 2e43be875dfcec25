"""Uploads in pieces, as in the IETF's draft on resumable uploads (draft-ietf-httpbis-resumable-upload): their words."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from foundation.errors import Refused

OFFSET: Final = "Upload-Offset"
UPLOAD_OFFSET: Final = OpenApiParameter(OFFSET, int, OpenApiParameter.HEADER, required=True, description="Bytes so far")
MOST_DIGITS: Final = 12


class Offset(serializers.Serializer[Any]):
    offset = serializers.IntegerField(help_text="Bytes that have arrived: where the next piece begins.")


class WholeUpload(serializers.Serializer[Any]):
    sha256 = serializers.RegexField(r"^[0-9a-fA-F]{64}$", help_text="Of the whole content, in hex.")


def offset_in(request: Request) -> int:
    """Where the piece in this request begins, in bytes. Raises Refused."""
    begins = request.headers.get(OFFSET, "")
    if not begins.isascii() or not begins.isdigit() or len(begins) > MOST_DIGITS:
        raise Refused(f"{OFFSET} says where the piece begins, in bytes.", code="bad_offset")
    return int(begins)
