"""Two ways to be somebody: an API key (programs) or a session (people, with CSRF protection)."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.request import Request

from foundation.errors import NotSignedIn
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from foundation.identity.selectors import actor_for_key


class KeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer vk_…``. A wrong key is an error, never an anonymous request."""

    def authenticate(self, request: Request) -> tuple[Person, Actor] | None:
        header = request.headers.get("Authorization", "")
        scheme, _, token = header.partition(" ")
        if not header:
            return None
        found = self.known(token.strip() if scheme.lower() == "bearer" else "")
        counted_by_key(request, token.strip())
        return found

    def known(self, key: str) -> tuple[Person, Actor]:
        """Whose key it is. Raises NotSignedIn."""
        found = actor_for_key(key) if key else None
        if found is None:
            raise NotSignedIn("The key is unknown, revoked or expired.")
        actor, person = found
        return person, actor

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def counted_by_key(request: Request, token: str) -> None:
    """Has the key's own quota counted: the request remembers the key's public part."""
    request._request.api_key = token.split("_")[1]  # type: ignore[attr-defined]


class SessionAuthentication(authentication.SessionAuthentication):
    """The console's session. DRF's own class checks the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Person, Actor] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        person: Any = found[0]
        return person, Actor.of(person)

    def enforce_csrf(self, request: Request) -> None:
        """Looks at Django's request: asked for a form field, DRF's would parse the body, and refuse a sound."""
        super().enforce_csrf(request._request)  # type: ignore[arg-type]


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "vouch.api.core.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "vk_<prefix>_<secret>"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "vouch.api.core.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
