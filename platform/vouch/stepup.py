"""Step-up: an irreversible act asks for the second factor again, whoever is signed in, by session or by key.

``require_step_up(request)`` goes in front of every such act. A session that has just shown a code (``step_up``) need
not show another for `FRESH`; a program sends its code with the request, in the header ``X-Step-Up``.
"""

from datetime import timedelta
from typing import Any, Final

from foundation.clock import now
from foundation.errors import NotAllowed, NotSignedIn
from foundation.identity import second_factor
from foundation.identity.actors import Actor
from foundation.identity.models import Person

FRESH: Final = timedelta(minutes=5)
HEADER: Final = "X-Step-Up"
_MARK: Final = "step_up_at"


class StepUpNeeded(NotAllowed):
    """This act cannot be taken back: show your second factor first."""

    code = "step_up_needed"
    advice = "Enter the code of your authenticator app (POST /api/v1/step-up, or the header X-Step-Up)."


def step_up(request: Any, *, code: str) -> None:
    """Takes a code and marks the session. Raises NotSignedIn, NoSecondFactor, WrongCode, FactorLocked."""
    second_factor.check(actor=_actor(request), code=code)
    session = _session(request)
    if session is not None:
        session[_MARK] = [str(_person(request).id), now().timestamp()]


def require_step_up(request: Any) -> None:
    """Returns when the caller has shown their second factor just now; ``request`` is Django's or DRF's.

    Raises NotSignedIn, StepUpNeeded, NoSecondFactor, WrongCode, FactorLocked.
    """
    code = request.headers.get(HEADER, "")
    if code:
        second_factor.check(actor=_actor(request), code=code)
        return
    person = _person(request)
    if not second_factor.is_set_up(person.id):
        raise second_factor.NoSecondFactor
    session = _session(request)
    whose, shown = (session.get(_MARK) or ("", 0.0)) if session is not None else ("", 0.0)
    age = now().timestamp() - shown
    if whose != str(person.id) or not 0 <= age <= FRESH.total_seconds():
        raise StepUpNeeded


def _session(request: Any) -> Any:
    """The session that was used to sign in; none for a caller with a key, whatever cookie comes along."""
    if request.headers.get("Authorization"):
        return None
    return getattr(getattr(request, "_request", request), "session", None)


def _person(request: Any) -> Person:
    if not isinstance(request.user, Person) and not getattr(request.user, "pk", None):
        raise NotSignedIn
    person: Person = request.user
    return person


def _actor(request: Any) -> Actor:
    return Actor.of(_person(request))
