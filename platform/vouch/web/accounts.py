"""Sign in, sign up, sign out."""

from typing import Any

from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView, RedirectURLMixin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.generic import FormView
from redis.exceptions import RedisError

from foundation.errors import TooMany
from vouch.api.core.throttling import limit
from vouch.web.forms import SignIn, SignUp

SIGN_INS_PER_MINUTE = 10
"""From one address: a person who mistypes never notices, a guesser gets nowhere."""
SIGN_UPS_PER_MINUTE = 10


class Throttled:
    """Counts each POST by the caller's address before the form is looked at. A limiter that is down refuses (503)."""

    door: str
    per_minute: int

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            limit(request, door=self.door, per_minute=self.per_minute)  # type: ignore[arg-type]
        except TooMany as error:
            wait = error.extra["retry_after"]
            return self._stopped(_("Too many tries. Wait %(seconds)s seconds.") % {"seconds": wait}, 429, str(wait))
        except RedisError:
            return self._stopped(_("This is not possible just now. Try again in a minute."), 503, "60")
        answer: HttpResponse = super().post(request, *args, **kwargs)  # type: ignore[misc]
        return answer

    def _stopped(self, message: str, status: int, wait: str) -> HttpResponse:
        # A fresh form: nothing that was typed is looked at, and nothing of it comes back.
        context = self.get_context_data(form=self.form_class(), stopped=message)  # type: ignore[attr-defined]
        answer: HttpResponse = self.render_to_response(context, status=status)  # type: ignore[attr-defined]
        answer["Retry-After"] = wait
        return answer


class SignInView(Throttled, LoginView):
    form_class = SignIn
    template_name = "web/sign_in.html"
    redirect_authenticated_user = True
    door, per_minute = "web.sign-in", SIGN_INS_PER_MINUTE


class SignUpView(Throttled, RedirectURLMixin, FormView):
    form_class = SignUp
    template_name = "web/sign_up.html"
    next_page = "web:home"
    door, per_minute = "web.sign-up", SIGN_UPS_PER_MINUTE

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return redirect("web:home")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "next": self.get_redirect_url()}

    def form_valid(self, form: SignUp) -> HttpResponse:
        person = form.register()
        if person is None:
            return self.form_invalid(form)
        login(self.request, person)
        return super().form_valid(form)


class SignOutView(LogoutView):
    next_page = "web:home"
