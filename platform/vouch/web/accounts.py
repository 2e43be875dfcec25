"""Sign in, sign up, sign out: django-allauth's views with our forms, our limits and our words."""

from typing import Any

from allauth.account.internal import flows
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import LoginView, LogoutView, SignupView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.webauthn.internal import flows as passkey_flows
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from redis.exceptions import RedisError

from foundation.errors import TooMany
from vouch.api.core.throttling import limit
from vouch.passkeys import SignInPasskey
from vouch.web.forms import SignIn, SignUp

SIGN_INS_PER_MINUTE = 10
"""From one address: a person who mistypes never notices, a guesser gets nowhere."""
SIGN_UPS_PER_MINUTE = 10


class Throttled:
    """Counts each POST by the caller's address before the form is looked at. A limiter that is down refuses (503)."""

    door: str
    per_minute: int

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if request.method == "POST":
                limit(request, door=self.door, per_minute=self.per_minute)  # type: ignore[arg-type]
            answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        except TooMany as error:
            return stopped(request, wait=int(error.extra["retry_after"]))
        except RedisError:
            return _page(request, _("This is not possible just now. Try again in a minute."), 503, 60)
        return answer


def stopped(request: HttpRequest, exception: Exception | None = None, *, wait: int = 60) -> HttpResponse:
    """The page of a 429. Nothing that was typed is looked at, and nothing of it comes back."""
    return _page(request, _("Too many tries. Wait %(seconds)s seconds.") % {"seconds": wait}, 429, wait)


def _page(request: HttpRequest, message: str, status: int, wait: int) -> HttpResponse:
    answer = render(request, "web/stopped.html", {"stopped": message}, status=status)
    answer["Retry-After"] = str(wait)
    return answer


class SignInView(Throttled, LoginView):  # type: ignore[misc]
    form_class = SignIn
    template_name = "web/sign_in.html"
    door, per_minute = "web.sign-in", SIGN_INS_PER_MINUTE

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "next": self.get_next_url()}


class SignUpView(Throttled, SignupView):  # type: ignore[misc]
    form_class = SignUp
    template_name = "web/sign_up.html"
    door, per_minute = "web.sign-up", SIGN_UPS_PER_MINUTE

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_form_kwargs()
        return {name: value for name, value in kwargs.items() if name != "request"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "next": self.get_next_url()}

    def form_valid(self, form: SignUp) -> HttpResponse:
        person = form.register()
        if person is None:
            invalid: HttpResponse = self.form_invalid(form)
            return invalid
        return flows.signup.complete_signup(self.request, user=person, redirect_url=self.get_success_url())


class SignOutView(LogoutView):  # type: ignore[misc]
    """The page after it clears what the browser alone kept (``static/web/left.js``)."""

    http_method_names = ["post", "options"]

    def get_redirect_url(self) -> str:
        return f"{reverse('web:home')}?left=1"


class PasskeySignInView(Throttled, LoginWebAuthnView):  # type: ignore[misc]
    """GET (asking for JSON) gives a challenge, POST takes the passkey's answer to it."""

    form_class = SignInPasskey
    door, per_minute = "web.sign-in", SIGN_INS_PER_MINUTE

    def form_invalid(self, form: SignInPasskey) -> HttpResponse:
        said = _("This passkey opens nothing here. Sign in another way.")
        return render(self.request, "web/sign_in.html", {"form": SignIn(), "stopped": said}, status=400)

    def form_valid(self, form: SignInPasskey) -> HttpResponse:
        passkey = form.cleaned_data["credential"]
        login = Login(user=passkey.user, redirect_url=get_next_redirect_url(self.request))
        return passkey_flows.perform_passwordless_login(self.request, passkey, login)


class SecondStepView(Throttled, AuthenticateView):  # type: ignore[misc]
    """Between the password and the session, for whoever has a second factor."""

    template_name = "web/second_step.html"
    door, per_minute = "web.sign-in", SIGN_INS_PER_MINUTE
