"""Step-up: an irreversible act asks for the second factor again, whoever is signed in, by session or by key.

``require_step_up(request)`` goes in front of every such act. A session that has just shown a code (``step_up``) or a
passkey (``offer_passkey``, ``take_passkey``) need not show another for `FRESH`; what was shown stands where
django-allauth keeps it, in the session. A program with a key sends a code with the request, in the header
``X-Step-Up``: a passkey answers to a page of this site alone, so there is none for programs.
"""

from datetime import timedelta
from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.base.internal.flows import check_rate_limit, post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth as webauthn
from django.core.cache import cache
from django.db import transaction

from foundation.clock import now
from foundation.errors import NotAllowed, NotSignedIn, Refused, TooMany
from foundation.identity import second_factor
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch.adapters import FAILURE_SECONDS
from vouch.passkeys import ShownPasskey

FRESH: Final = timedelta(minutes=5)
HEADER: Final = "X-Step-Up"


class StepUpNeeded(NotAllowed):
    """This act cannot be taken back: show your second factor first."""

    code = "step_up_needed"
    advice = (
        "Enter the code of your authenticator app (POST /api/v1/step-up, or the header X-Step-Up), or use a passkey "
        "(POST /api/v1/step-up/passkey/challenge)."
    )


class WrongPasskey(Refused):
    """The passkey's answer does not hold."""

    code = "wrong_passkey"
    advice = "Ask for a new challenge and try again, with a passkey of this account."


class PageNeeded(NotAllowed):
    """A passkey answers to a page of this site, in a session."""

    code = "page_needed"
    advice = "Send the code of an authenticator app in the header X-Step-Up."


def step_up(request: Any, *, code: str) -> None:
    """Takes a code, once, and marks the session. Raises NotSignedIn, NoSecondFactor, WrongCode, Guessed."""
    _take_code(request, code)


def offer_passkey(request: Any) -> dict[str, Any]:
    """A challenge for the person's passkeys (WebAuthn's PublicKeyCredentialRequestOptions, as JSON), for this session.

    Raises NotSignedIn, PageNeeded, NoSecondFactor.
    """
    person = _person(request)
    if _session(request) is None:
        raise PageNeeded
    if not _has(person, Authenticator.Type.WEBAUTHN):
        raise second_factor.NoSecondFactor("You have no passkey.")
    return webauthn.begin_authentication(person)


def take_passkey(request: Any, *, credential: dict[str, Any]) -> None:
    """Takes a passkey's answer to the challenge and marks the session. Raises NotSignedIn, PageNeeded, WrongPasskey,
    Guessed."""
    person = _person(request)
    if _session(request) is None:
        raise PageNeeded
    form = ShownPasskey({"credential": credential}, user=person)
    with _telling_of_a_lock(request):
        valid = form.is_valid()
    if not valid:
        raise WrongPasskey
    form.save()


def require_step_up(request: Any) -> None:
    """Returns when the caller has shown their second factor just now; ``request`` is Django's or DRF's.

    Raises NotSignedIn, StepUpNeeded, NoSecondFactor, WrongCode, Guessed.
    """
    code = request.headers.get(HEADER, "")
    if code:
        _take_code(request, code)
        return
    person = _person(request)
    if not second_factor.is_set_up(person.id):
        raise second_factor.NoSecondFactor
    if not _shown_just_now(request, person):
        raise StepUpNeeded(methods=methods_of(request))


def methods_of(request: Any) -> list[str]:
    """How the caller may step up: ``code``, and in a session ``passkey``."""
    person, names = _person(request), []
    if _has(person, Authenticator.Type.TOTP):
        names.append("code")
    if _session(request) is not None and _has(person, Authenticator.Type.WEBAUTHN):
        names.append("passkey")
    return names


def _shown_just_now(request: Any, person: Person) -> bool:
    if _session(request) is None:
        return False
    fresh = [
        record["id"]
        for record in get_authentication_records(_plain(request), person)
        if record.get("reauthenticated")
        and record.get("type") in second_factor.STRONG
        and 0 <= now().timestamp() - record["at"] <= FRESH.total_seconds()
    ]
    # What was shown must still be there: whoever removed a lost factor meant it.
    return Authenticator.objects.filter(user=person, id__in=fresh).exists()


def _take_code(request: Any, code: str) -> None:
    person = _person(request)
    found = Authenticator.objects.filter(user=person, type=Authenticator.Type.TOTP).first()
    if found is None:
        raise second_factor.NoSecondFactor("You have no authenticator app.")
    with _telling_of_a_lock(request):
        forget_failures = check_rate_limit(person)
    if not found.wrap().validate_code(code):
        raise second_factor.WrongCode
    forget_failures()
    if _session(request) is None:
        found.record_usage()
    else:
        post_authentication(_plain(request), found, reauthenticated=True)


class _telling_of_a_lock:
    """The first refusal of a burst leaves a leaf; those after it in the same minutes would tell nothing new."""

    def __init__(self, request: Any) -> None:
        self._actor = Actor.of(_person(request))

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, TooMany) and cache.add(f"locked:{self._actor.person_id}", 1, FAILURE_SECONDS):
            with transaction.atomic():
                second_factor.record(actor=self._actor, act="locked")


def _has(person: Person, kind: str) -> bool:
    return Authenticator.objects.filter(user=person, type=kind).exists()


def _plain(request: Any) -> Any:
    """Django's request, behind DRF's."""
    return getattr(request, "_request", request)


def _session(request: Any) -> Any:
    """The session that was used to sign in; none for a caller with a key, whatever cookie comes along."""
    if request.headers.get("Authorization"):
        return None
    return getattr(_plain(request), "session", None)


def _person(request: Any) -> Person:
    if not isinstance(request.user, Person) and not getattr(request.user, "pk", None):
        raise NotSignedIn
    person: Person = request.user
    return person
