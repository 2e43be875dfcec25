"""The base of every endpoint."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from foundation.errors import NotSignedIn
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch.api.core import idempotency, throttling
from vouch.api.core.authentication import KeyAuthentication, SessionAuthentication

ANONYMOUS = Actor(None, "anonymous", frozenset(), "anonymous")


class ApiView(APIView):
    """Sets ``self.actor`` and checks the scope before a handler runs.

    ``scopes`` maps a method to the scope it needs (HEAD needs GET's); a method without an entry needs only a signed-in
    caller.
    ``public`` lets anonymous callers in (``self.actor`` is then ``ANONYMOUS``). POST honours ``Idempotency-Key`` unless
    ``idempotent`` is off; its answers are kept without ``shown_once``, and a body that is sound (``streamed``) is not
    read to compare it. ``sound``: POST answers with sound, and its handler sees to the key (`idempotency.claim`).
    ``problems``: refusals have the common shape. ``per_minute`` sets a rate of this endpoint's own beside the common
    ones.
    """

    authentication_classes = [KeyAuthentication, SessionAuthentication]
    scopes: ClassVar[dict[str, str]] = {}
    public: ClassVar[bool] = False
    idempotent: ClassVar[bool] = True
    shown_once: ClassVar[tuple[str, ...]] = ()
    streamed: ClassVar[bool] = False
    sound: ClassVar[bool] = False
    problems: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = None
    actor: Actor
    request_id: str = ""
    quota_headers: Mapping[str, str] = MappingProxyType({})

    @property
    def person(self) -> Person:
        """The signed-in person. Raises NotSignedIn."""
        if not isinstance(self.request.user, Person):
            raise NotSignedIn
        return self.request.user

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.request_id = getattr(request._request, "request_id", "")
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, Actor):
            self.actor = request.auth
        elif self.public:
            self.actor = ANONYMOUS
        else:
            raise NotSignedIn
        quotas = throttling.windows(request)
        if self.per_minute is not None:
            quotas.append(throttling.door(request, type(self).__name__, self.per_minute))
        self.quota_headers = throttling.count(quotas)
        # Django answers HEAD with the handler of GET, so it needs what GET needs.
        scope = self.scopes.get("GET" if request.method == "HEAD" else request.method or "")
        if scope is not None and not (self.public and self.actor is ANONYMOUS):
            self.actor.require_scope(scope)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """Accept is not looked at (RFC 9110, 12.5.1): who asks for ``audio/wav`` or ``text/event-stream`` gets what the
        endpoint has, and a problem as JSON."""
        renderer = self.get_renderers()[0]
        return renderer, str(renderer.media_type)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        for name, value in self.quota_headers.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        if request.method == "HEAD" and isinstance(response, StreamingHttpResponse):
            response.streaming_content = ()  # nothing is decrypted, and no event waited for, that is not sent
        return response

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.idempotent and not cls.sound and "post" in cls.__dict__:
            handler = cls.__dict__["post"]

            def post(self: "ApiView", request: Request, *args: Any, **kw: Any) -> Response:
                def run() -> Response:
                    return handler(self, request, *args, **kw)

                if not isinstance(request.user, Person):
                    return run()  # nobody's: there is nobody to keep an answer for
                return idempotency.once(request, self.person, run, secrets=self.shown_once, with_body=not self.streamed)

            post.__doc__ = handler.__doc__
            for name, value in vars(handler).items():
                setattr(post, name, value)
            cls.post = post  # type: ignore[attr-defined]


def checked(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The fields of ``data`` as the serializer reads them. Raises DRF's ValidationError (422 ``invalid_fields``)."""
    fields = serializer(data=data)
    fields.is_valid(raise_exception=True)
    return dict(fields.validated_data)
