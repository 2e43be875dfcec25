"""What this platform wants otherwise than django-allauth does by itself: its adapters for accounts and second factors.

The person's own e-mail address (`Person.email`) is the one sign-in name; allauth's table of addresses stays empty.
"""

from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from foundation.audit import log
from foundation.errors import TooMany
from foundation.identity import sealing, second_factor, sessions
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch.api.core.addresses import counted_as

FAILURES: Final = 5
FAILURE_SECONDS: Final = 300
"""Five wrong passwords, or five wrong codes, in five minutes close the door to that person's account. A passkey still
opens it, so nobody is locked out by somebody else's guessing who has one."""
TOO_MANY: Final = frozenset({"too_many_login_attempts", "rate_limited"})


class Guessed(TooMany):
    """Too many wrong passwords or codes."""

    code = "too_many_guesses"
    advice = "Wait, and see whether somebody else tried."


class AccountAdapter(DefaultAccountAdapter):
    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """A limit is no mistake in a form: it is answered with 429 and Retry-After. Raises Guessed."""
        if code in TOO_MANY:
            raise Guessed(retry_after=FAILURE_SECONDS)
        return super().validation_error(code, *args)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except Guessed:
            self._stopped(credentials.get("email", ""))
            raise

    def login(self, request: HttpRequest, user: Any) -> None:
        """The session begins, under a new key, with its leaf."""
        ways = [record["type"] if record["method"] == "mfa" else record["method"]
                for record in get_authentication_records(request, user)
                if not record.get("reauthenticated")]  # fmt: skip
        with transaction.atomic():
            super().login(request, user)
            log.record(
                kind="person.signed_in",
                subject=f"person:{user.pk}",
                actor=Actor.of(user),
                data={"by": list(dict.fromkeys(ways)) or ["sign-up"]},
            )
            sessions.begin(
                actor=Actor.of(user),
                session_key=str(request.session.session_key),
                device=request.headers.get("User-Agent", ""),
                address=self.get_client_ip(request),
            )

    def reauthenticate(self, user: Any, password: str) -> bool:
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Whoever has a second factor shows it: the password alone must not remove or add one."""
        found: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if user.is_authenticated and second_factor.is_set_up(user.pk):
            found = [one for one in found if one["id"].startswith("mfa_")]
            found.sort(key=lambda one: one["id"] != "mfa_reauthenticate:webauthn")
        words = {
            "reauthenticate": _("Use your password"),
            "mfa_reauthenticate": _("Use a code"),
            "mfa_reauthenticate:webauthn": _("Use a passkey"),
        }
        return [{**one, "description": words[one["id"]]} for one in found if one["id"] in words]

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        """A closed account reads like an unknown one."""
        return redirect("web:sign-in")

    def get_client_ip(self, request: HttpRequest) -> str:
        """For limits, and for the list of one's sessions."""
        return counted_as(request) or "unknown"  # type: ignore[arg-type]

    def _stopped(self, email: str) -> None:
        """A burst of failures at somebody's door is told once; at a door that is nobody's there is nothing to tell."""
        person = Person.objects.filter(email=email.strip().lower()).first()
        if person is not None and cache.add(f"burst:{person.id}", 1, FAILURE_SECONDS):
            with transaction.atomic():
                log.record(
                    kind="person.sign_in_stopped",
                    subject=f"person:{person.id}",
                    actor=Actor.system("sign-in"),
                    data={"failures": FAILURES, "seconds": FAILURE_SECONDS},
                )


class FactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Vouch"}

    def generate_authenticator_name(self, user: Any, kind: Any) -> str:
        count = Authenticator.objects.filter(user_id=user.pk, type=kind).count()
        return str(_("Passkey %(number)s") % {"number": count + 1})


def name_of(person: Person) -> str:
    """What an authenticator shows beside the address (``ACCOUNT_USER_DISPLAY``)."""
    return person.display_name
