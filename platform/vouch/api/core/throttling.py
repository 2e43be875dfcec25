"""Quotas in Redis: fixed windows per API key, person, address and door. Redis down means the door stays shut.

Every request counts for whoever it is of: its key, the person behind it (all keys and sessions together) and the
address it comes from (of IPv6 the /64 network); doors may have windows of their own. An answer tells of the fullest
window in the headers ``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10), a refusal also
in ``Retry-After``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import redis
from django.conf import settings
from rest_framework.request import Request

from foundation.errors import TooMany
from vouch.api.core.addresses import counted_as

MINUTE: Final = 60


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL.replace("redis+socket://", "unix://"))


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``most`` calls of ``caller`` in ``seconds``; ``name`` is what answers call it."""

    name: str
    caller: str
    most: int
    seconds: int = MINUTE


def windows(request: Request) -> list[Window]:
    """The quotas of a request over all endpoints: of its key, its person, its address."""
    found = []
    person, key, address = caller_of(request), getattr(request._request, "api_key", ""), counted_as(request)
    if key:
        found.append(Window("key", key, settings.VOUCH_RATE_KEY))
    if person:
        found.append(Window("person", person, settings.VOUCH_RATE_PERSON))
        if address:
            found.append(Window("address", address, settings.VOUCH_RATE_ADDRESS))
    else:
        # Nobody has signed for these: an address that does not say who it is gets less.
        found.append(Window("anonymous", address, settings.VOUCH_RATE_ANONYMOUS))
    return found


def caller_of(request: Request) -> str:
    """The id of who is signed in, or nothing."""
    return str(request.user.pk) if getattr(request.user, "pk", None) else ""


def door(request: Request, name: str, most: int, seconds: int = MINUTE) -> Window:
    """A quota of one endpoint's own, by person, or by address without one."""
    return Window(name, caller_of(request) or counted_as(request), most, seconds)


def limit(request: Request, *, door: str, per_minute: int, seconds: int = MINUTE) -> None:
    """Counts this call at one door. Raises TooMany (429, Retry-After) above ``per_minute`` in ``seconds``."""
    count([Window(door, caller_of(request) or counted_as(request), per_minute, seconds)])


def count(wanted: list[Window]) -> dict[str, str]:
    """Counts a call in each window; the headers that tell of the fullest. Raises TooMany with those and Retry-After."""
    pipe = _redis().pipeline()
    for one in wanted:
        name = f"limit:{one.name}:{one.caller}"
        pipe.set(name, 0, ex=one.seconds, nx=True)
        pipe.incr(name)
        pipe.ttl(name)
    said: list[Any] = pipe.execute()
    left = [(one.most - said[3 * place + 1], max(int(said[3 * place + 2]), 1), one) for place, one in enumerate(wanted)]
    rest, seconds, fullest = min(left, key=lambda state: (state[0] >= 0, state[0] / state[2].most, -state[1]))
    headers = {
        "RateLimit-Policy": f'"{fullest.name}";q={fullest.most};w={fullest.seconds}',
        "RateLimit": f'"{fullest.name}";r={max(rest, 0)};t={seconds}',
    }
    if rest < 0:
        span = "a minute" if fullest.seconds == MINUTE else f"in {fullest.seconds} s"
        raise TooMany(f"At most {fullest.most} {span} here.", quota=fullest.name, retry_after=seconds, headers=headers)
    return headers
