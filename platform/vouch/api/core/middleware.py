"""What every answer has, whoever made it: a request's id; and in the API, problems instead of Django's own pages."""

import json
import re
import secrets
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from foundation.errors import NotAllowed, NotFound, VouchError
from vouch.api.core import errors, negotiation

HEADER: Final = "X-Request-Id"
WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
API: Final = "/api/v1/"
_OWN: Final[dict[int, type[VouchError]]] = {
    400: errors.BadRequest, 403: NotAllowed, 404: NotFound, 405: errors.MethodNotAllowed, 500: errors.InternalError,
}  # fmt: skip
"""What Django itself refuses, before or after a view."""


class RequestIds:
    """``request.request_id`` and the header X-Request-Id: the client's own if it is well-formed, else a new one.

    The first of all middleware, so that no answer lacks it. Under ``/api/v1/`` an error page of Django's becomes a
    problem with a code (unless a person's browser asked for a page), and answers do not vary by the reader's language:
    the API has one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if WELL_FORMED.fullmatch(given) else secrets.token_hex(8)
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        if request.path.startswith(API):
            response = _problem(request, response, request_id)
            if response.get("Vary"):
                kept = [one for one in response["Vary"].split(", ") if one.lower() != "accept-language"]
                response["Vary"] = ", ".join(kept)
                if not kept:
                    del response["Vary"]
            if response.status_code >= 400:
                patch_vary_headers(response, ["Accept"])  # a page or a problem
        response[HEADER] = request_id
        return response


def _problem(request: HttpRequest, response: HttpResponseBase, request_id: str) -> HttpResponseBase:
    kind = _OWN.get(response.status_code)
    if kind is None or not response.get("Content-Type", "").startswith(negotiation.PAGE):
        return response
    if not negotiation.wants_page(request):
        said = json.dumps(errors.body(kind(), request_id))
        response = HttpResponse(said, status=response.status_code, content_type=negotiation.PROBLEM)
    response["Cache-Control"] = "no-store"
    return response
