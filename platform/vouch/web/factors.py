"""One's own second factors, and showing one again: django-allauth's views with our pages and a leaf for each change."""

from typing import Any
from uuid import UUID

from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import IndexView
from allauth.mfa.base.views import ReauthenticateView as CodeView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.mfa.webauthn.views import AddWebAuthnView, ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from foundation.errors import NotFound
from foundation.identity import second_factor, sessions
from foundation.identity.actors import Actor
from vouch.passkeys import NewApp, NewPasskey, ShownPasskey
from vouch.web import selectors
from vouch.web.access import actor_of
from vouch.web.accounts import SIGN_INS_PER_MINUTE, Throttled

OTHERS = "others"
HOME = reverse_lazy("mfa_index")


@method_decorator(never_cache, name="dispatch")
class FactorsView(IndexView):  # type: ignore[misc]
    template_name = "web/second_factor.html"
    http_method_names = ["get", "head", "options"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **selectors.sessions(self.request)}


@require_POST
@login_required
@never_cache
def end_session(request: HttpRequest, which: str) -> HttpResponse:
    """Ends one other session of mine, or all others. Whoever holds one may end any: that must never be hard."""
    actor = actor_of(request)
    if which == OTHERS:
        sessions.end_others(actor=actor, session_key=str(request.session.session_key))
    else:
        try:
            sessions.end(actor=actor, session_id=UUID(which))
        except (ValueError, NotFound) as error:
            raise Http404 from error
    return redirect("web:me" if "consent:read" in actor.scopes else "web:second-factor")


class _Own(LoginRequiredMixin, Throttled):
    """Of whoever is signed in. The limit is theirs, whatever address they come from."""

    door, per_minute = "web.factors", SIGN_INS_PER_MINUTE


class _Changing(_Own):
    act: str

    def form_valid(self, form: Any) -> HttpResponse:
        """The change and its leaf are one transaction. What allauth asks first (a recent sign of who this is) ends the
        transaction as well when it is missing."""
        with transaction.atomic():
            answer: HttpResponse = super().form_valid(form)  # type: ignore[misc]
            second_factor.record(actor=Actor.of(self.request.user), act=self.act)  # type: ignore[attr-defined]
        return answer


class AddPasskeyView(_Changing, AddWebAuthnView):  # type: ignore[misc]
    form_class = NewPasskey
    template_name = "web/passkey_add.html"
    act = "passkey_added"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        found["form"] = kwargs.get("form", found["form"])
        # Kept by the authenticator and with the person verified; allauth's view asks for less and lets the page decide.
        found["js_data"] = {"creation_options": webauthn.begin_registration(self.request.user, True)}
        return found


class RemovePasskeyView(_Changing, RemoveWebAuthnView):  # type: ignore[misc]
    template_name = "web/factor_remove.html"
    success_url = HOME
    act = "passkey_removed"


class AddAppView(_Changing, ActivateTOTPView):  # type: ignore[misc]
    form_class = NewApp
    template_name = "web/app_add.html"
    act = "app_added"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        return {**found, "secret": second_factor.spelled(found["form"].secret)}


class RemoveAppView(_Changing, DeactivateTOTPView):  # type: ignore[misc]
    template_name = "web/factor_remove.html"
    success_url = HOME
    act = "app_removed"


@method_decorator(never_cache, name="dispatch")
class RecoveryView(ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = "web/recovery.html"


class NewRecoveryView(_Changing, GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = "web/recovery_new.html"
    act = "recovery_codes_made"


class AgainByPasswordView(_Own, ReauthenticateView):  # type: ignore[misc]
    template_name = "web/again.html"


class AgainByCodeView(_Own, CodeView):  # type: ignore[misc]
    template_name = "web/again.html"


class AgainByPasskeyView(_Own, ReauthenticateWebAuthnView):  # type: ignore[misc]
    form_class = ShownPasskey
    template_name = "web/again.html"

    def form_invalid(self, form: ShownPasskey) -> HttpResponse:
        answer: HttpResponse = self.render_to_response({**self.get_context_data(), "form": form}, status=400)
        return answer
