"""Whether a person or a program asks. A browser that follows a link names ``text/html`` first; scripts, players and
programs do not, and get what the API describes."""

from typing import Final

from django.http import HttpRequest

PROBLEM: Final = "application/problem+json"
PAGE: Final = "text/html"
_SAFE: Final = ("GET", "HEAD")


def wants_page(request: HttpRequest) -> bool:
    """True when an answer that is no success is better read as a page: the Accept header prefers it (RFC 9110, 12.5.1;
    equal or no preference is a program's), and nothing was to be changed."""
    return request.method in _SAFE and request.get_preferred_type([PROBLEM, "application/json", PAGE]) == PAGE
