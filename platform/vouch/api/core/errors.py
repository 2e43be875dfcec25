"""One error shape: ``application/problem+json`` (RFC 9457) with a stable ``code`` and, where there is one, advice."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from redis.exceptions import ConnectionError as RedisDown
from rest_framework import exceptions as drf
from rest_framework.response import Response

from foundation.errors import NotAllowed, NotFound, NotSignedIn, Refused, TooLarge, TooMany, Unavailable, VouchError
from vouch.api.core.negotiation import PROBLEM

logger = logging.getLogger("vouch.api")


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What is not known is logged with its traceback and shown as ``internal_error``."""
    known, view = as_vouch_error(error), context.get("view")
    if known is None:
        logger.error("request.broke id=%s", getattr(view, "request_id", ""), exc_info=error)
        known = InternalError()
    headers = known.extra.pop("headers", {})
    said = body(known, getattr(view, "request_id", ""))
    response = Response(said, status=known.status, content_type=PROBLEM, headers=headers)
    if known.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if "retry_after" in said:
        response["Retry-After"] = str(said["retry_after"])
    return response


def body(error: VouchError, request_id: str) -> dict[str, Any]:
    """The members of a problem, here and in a WebSocket's event."""
    again = {} if error.retry_after is None else {"retry_after": error.retry_after}
    return {
        "type": f"https://vouch.example/problems/{error.code}",
        "title": (error.__class__.__doc__ or error.code).strip().splitlines()[0],
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "advice": error.advice,
        "request_id": request_id,
        **again,
        **error.extra,
    }


class MalformedJson(VouchError):
    """The body is not valid JSON."""

    code, status = "malformed_json", 400


class InvalidFields(Refused):
    """Some fields are missing or wrong."""

    code = "invalid_fields"


class InternalError(VouchError):
    """Something broke on our side; it was recorded."""

    code, status = "internal_error", 500
    advice = "Try again in a minute; quote the request id if it stays."


class BadRequest(VouchError):
    """The request is malformed."""

    code, status = "bad_request", 400


class MethodNotAllowed(VouchError):
    """This address does not know that method."""

    code, status = "method_not_allowed", 405


class WrongMediaType(VouchError):
    """This address does not accept that content type."""

    code, status = "unsupported_media_type", 415


def as_vouch_error(error: Exception) -> VouchError | None:
    match error:
        case VouchError():
            return error
        case drf.ValidationError():
            return InvalidFields("Some fields are missing or wrong.", fields=error.detail)
        case drf.ParseError():
            return MalformedJson()
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return NotSignedIn()
        case drf.PermissionDenied() | PermissionDenied():
            return NotAllowed(str(getattr(error, "detail", "")))
        case drf.NotFound() | Http404():
            return NotFound()
        case drf.MethodNotAllowed():
            return MethodNotAllowed(str(error.detail))
        case drf.UnsupportedMediaType() | drf.NotAcceptable():
            return WrongMediaType(str(error.detail))
        case drf.Throttled():
            return TooMany(retry_after=int(getattr(error, "wait", None) or 1))
        case SuspiciousOperation():
            return TooLarge("The body is larger than this address accepts.")
        case OperationalError() | RedisDown():
            logger.error("dependency.down", exc_info=error)
            return Unavailable("The database or the queue is not reachable.", advice="Try again in a few seconds.")
        case _:
            return None
