"""Rate limits in Redis: a fixed window per caller and door. Redis down means the door stays shut (fail closed)."""

from functools import lru_cache

import redis
from django.conf import settings
from rest_framework.request import Request

from foundation.errors import TooMany
from vouch.api.core.addresses import address_of


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL.replace("redis+socket://", "unix://"))


def limit(request: Request, *, door: str, per_minute: int, seconds: int = 60) -> None:
    """Counts this call and raises TooMany (429, Retry-After) above ``per_minute`` for one person or address; with
    ``seconds``, above so many in that time."""
    caller = str(request.user.pk) if getattr(request.user, "pk", None) else address_of(request)
    name = f"limit:{door}:{caller}"
    pipe = _redis().pipeline()
    pipe.set(name, 0, ex=seconds, nx=True)
    pipe.incr(name)
    pipe.ttl(name)
    _, count, left = pipe.execute()
    if count > per_minute:
        raise TooMany(
            f"At most {per_minute} {'a minute' if seconds == 60 else f'in {seconds} s'} here.",
            retry_after=max(int(left), 1),
        )
