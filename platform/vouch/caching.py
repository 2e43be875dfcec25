"""Django's cache in Redis: shared by all processes, so that a limit is one limit and a code is used once.

Values are JSON (nothing that is read here can run), and `clear` touches nothing else that the same Redis holds.
"""

import json
from typing import Any, Final

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

PREFIX: Final = "cache"


class Json:
    """What Django asks of a serializer."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class _Client(RedisCacheClient):
    def clear(self) -> bool:
        client = self.get_client(None, write=True)
        for name in client.scan_iter(f"{PREFIX}:*"):
            client.delete(name)
        return True


class Cache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server.replace("redis+socket://", "unix://"), params)
        self._class = _Client
