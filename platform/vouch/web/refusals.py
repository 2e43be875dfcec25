"""What a person reads who follows a link to something that is refused: a page that says what to do next.

The API answers with problems (RFC 9457), which is right for programs and no use to somebody who was sent a link to a
recording that has ended since. A browser that asks for a page gets one, in its language, with the same status, the
code and the request id; everything else gets the problem as it is.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from foundation.identity.scopes import BY_ROLE
from vouch.api.core.errors import MethodNotAllowed
from vouch.api.core.middleware import API
from vouch.api.core.negotiation import PROBLEM, wants_page


@dataclass(frozen=True, slots=True)
class Words:
    """``ways``, any of ``sign_in``, ``recordings``, ``trace``, ``docs``: where to go on, beside the start page."""

    title: Promise
    said: tuple[Promise, ...]
    ways: tuple[str, ...] = ()


BY_CODE: Final = {
    "link_expired": Words(
        _("This link has ended"),
        (
            _("Links to recordings work for a while only. Ask the person who sent it to you for a new one."),
            _("If the recording is yours, you find it among your recordings."),
        ),
        ("recordings",),
    ),
    "link_invalid": Words(
        _("This link is not whole"),
        (
            _("A part of the address is missing or was changed on the way."),
            _("Copy all of it once more, or ask the person who sent it to you for a new one."),
        ),
        ("recordings",),
    ),
    "output_revoked": Words(
        _("This recording was withdrawn"),
        (
            _("It was made here and is heard no more: a consent or a licence ended, or a moderator stopped it."),
            _("If you have a copy, you can check what it is."),
        ),
        ("trace",),
    ),
}
BY_STATUS: Final = {
    401: Words(
        _("Please sign in"),
        (_("This address opens for the person it belongs to. Sign in, and you come straight back to it."),),
        ("sign_in",),
    ),
    403: Words(
        _("Not yours"),
        (_("This page belongs to another role. If you expected to see it, sign in with another account."),),
    ),
    404: Words(_("Not found"), (_("There is no such page, or it is not yours to see."),)),
    410: Words(
        _("It is here no more"),
        (_("It was ended or destroyed. If somebody sent you the address, ask them what took its place."),),
    ),
    429: Words(_("Please wait"), (_("Too many tries. Wait %(seconds)s seconds."),)),
    500: Words(_("Something broke"), (_("The error was recorded. Nothing was done. Try again in a minute."),)),
    503: Words(_("Just a moment"), (_("A part of the service does not answer now. Try again in a minute."),)),
}
OTHERS: Final = Words(
    _("This address is for programs"),
    (
        _("It cannot be opened like a page, or something it needs is missing or wrong."),
        _("You probably find what you want from the start page; the description for programs says the rest."),
    ),
    ("docs",),
)


class PagesForPeople:
    """Turns a problem of the API, and a method that a page does not know, into a page where a browser wants one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        person = request.user
        response = self.get_response(request)
        request.user = person  # DRF puts in whom the address took it from: nobody at an address that asks for no one
        if response.status_code < 400 or not isinstance(response, HttpResponse) or not wants_page(request):
            return response
        if request.path.startswith(API) and response.get("Content-Type", "").startswith(PROBLEM):
            return page(request, response, json.loads(response.content))
        if response.status_code == 405 and not response.content:
            return page(request, response, {"code": MethodNotAllowed.code})
        return response


def page(request: HttpRequest, refused: HttpResponse, problem: dict[str, Any]) -> HttpResponse:
    """The page for ``problem``, with the status and the headers of the answer it stands for."""
    words = BY_CODE.get(problem["code"]) or BY_STATUS.get(refused.status_code, OTHERS)
    # What broke may be what a page's frame needs (whose session is it?): then it has a frame without a person.
    whole = refused.status_code < 500
    context = {
        "status": refused.status_code,
        "title": words.title,
        "said": [str(one) % {"seconds": problem.get("retry_after", 60)} for one in words.said],
        "code": problem["code"],
        "request_id": getattr(request, "request_id", ""),
        "ways": list(_ways(request, words.ways)) if whole else [],
    }
    content = render_to_string("web/refused.html", context, request=request if whole else None)
    answer = HttpResponse(content, status=refused.status_code)
    for name, value in refused.headers.items():
        if name not in ("Content-Type", "Content-Length"):
            answer[name] = value
    answer["Cache-Control"] = "no-store"
    return answer


def _ways(request: HttpRequest, wanted: tuple[str, ...]) -> Any:
    """Where to go on: (address, words). Who is not signed in is offered that first."""
    person = request.user if request.user.is_authenticated else None
    for way in wanted:
        if way == "docs":
            yield reverse("docs"), _("The description for programs")
        elif way == "trace":
            yield reverse("web:trace"), _("Check a recording")
        elif way == "sign_in":
            yield f"{reverse('web:sign-in')}?{urlencode({'next': request.get_full_path()})}", _("Sign in")
        elif person is None:
            yield f"{reverse('web:sign-in')}?{urlencode({'next': reverse('web:recordings')})}", _("Sign in")
        elif "speak" in BY_ROLE[person.role]:
            yield reverse("web:recordings"), _("My recordings")
