"""The errors every room raises: small, named, and turned into one JSON shape by one handler (`vouch.api.core`).

A room subclasses one of the classes below and sets ``code``: a stable snake_case word that programs may rely on.
``detail`` says what happened; ``advice`` says what a person can do next (Standards: errors say what to do next).
"""

from typing import Any


class VouchError(Exception):
    """A refusal or failure with a stable code. ``extra`` holds JSON-safe values shown to the client.

    ``retry_after``: seconds after which to ask again; one in ``extra`` counts before the class's.
    """

    code = "error"
    status = 400
    advice = ""
    retry_after: int | None = None

    def __init__(self, detail: str = "", *, code: str | None = None, advice: str = "", **extra: Any) -> None:
        super().__init__(detail or self.__class__.__doc__ or self.code)
        self.detail = detail or (self.__class__.__doc__ or self.code).strip().splitlines()[0]
        self.code = code or self.code
        self.advice = advice or self.advice
        self.extra = extra


class NotSignedIn(VouchError):
    """Sign in, or send an API key in the Authorization header."""

    code, status = "not_signed_in", 401


class NotAllowed(VouchError):
    """You may not do this."""

    code, status = "not_allowed", 403


class NotFound(VouchError):
    """There is no such thing here, or it is not yours."""

    code, status = "not_found", 404


class Conflict(VouchError):
    """The request does not fit the present state."""

    code, status = "conflict", 409


class Gone(VouchError):
    """It was here and is no more."""

    code, status = "gone", 410


class TooLarge(VouchError):
    """More was sent than is accepted."""

    code, status = "too_large", 413


class Refused(VouchError):
    """The request was understood and refused."""

    code, status = "refused", 422


class BadCursor(Refused):
    """This is no place in this list."""

    code = "bad_cursor"
    advice = "Start from the first page."


class TooMany(VouchError):
    """Too many requests; try again later."""

    code, status = "too_many", 429
    retry_after = 3600  # a bound of number, which time alone hardly changes; rates name their own time


class Unavailable(VouchError):
    """A part of the system is not available now; try again soon."""

    code, status = "unavailable", 503
    retry_after = 5
