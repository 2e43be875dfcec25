"""Who may open which page. A page shows nothing that the API would not tell the same person."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache

from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor

View = Callable[..., HttpResponseBase]


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person's actor. Only behind ``needs``."""
    person: Any = request.user
    return Actor.of(person)


def needs(scope: str) -> Callable[[View], View]:
    """Nobody signed in: to the sign-in page and back. Without ``scope``: 403. What a room refuses or does not know
    becomes the matching page. Nothing of it is kept in a cache."""

    def decorate(view: View) -> View:
        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
            try:
                actor_of(request).require_scope(scope)
                return view(request, *args, **kwargs)
            except NotAllowed as error:
                raise PermissionDenied(error.detail) from error
            except NotFound as error:
                raise Http404(error.detail) from error

        return guarded

    return decorate
