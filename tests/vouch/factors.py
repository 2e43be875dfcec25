"""Second factors for tests: an authenticator app that answers, and the codes it shows."""

import time
from collections.abc import Callable
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from foundation.identity import second_factor
from foundation.identity.actors import Actor

PASSWORD = "a long enough password"
STEP_SECONDS = 30


def code_of(secret: str, ahead: int = 0) -> str:
    """What an app shows now, or so many steps later."""
    return format_hotp_value(hotp_value("".join(secret.split()), int(time.time()) // STEP_SECONDS + ahead))


def with_password(one: Any) -> Any:
    one.set_password(PASSWORD)
    one.save()
    return one


def app_of(one: Any) -> Callable[[], str]:
    """Gives somebody an authenticator app; the answer gives its next code, which was not used yet."""
    actor = Actor.of(with_password(one))
    secret = second_factor.begin(actor=actor, password=PASSWORD)
    second_factor.confirm(actor=actor, code=code_of(secret))
    return lambda: code_of(secret, ahead=1)
