"""A small JSON client over Django's test client."""

import json as jsonlib
from typing import Any

from django.test import Client


class Api:
    """A small JSON client over Django's test client, signed in with a real key."""

    def __init__(self, key: str | None) -> None:
        self.client = Client(raise_request_exception=True)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(self._url(path), headers={**self.headers, **headers})

    def post(self, path: str, json: Any = None, content: bytes | None = None, **headers: str) -> Any:
        return self._send("POST", path, json, content, headers)

    def put(self, path: str, json: Any = None, content: bytes | None = None, **headers: str) -> Any:
        return self._send("PUT", path, json, content, headers)

    def patch(self, path: str, json: Any = None, content: bytes | None = None, **headers: str) -> Any:
        return self._send("PATCH", path, json, content, headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.client.delete(self._url(path), headers={**self.headers, **headers})

    def _send(self, method: str, path: str, json: Any, content: bytes | None, headers: dict[str, str]) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body, kind = (
            (content, "application/octet-stream")
            if content is not None
            else (jsonlib.dumps(json or {}), "application/json")
        )
        return self.client.generic(method, self._url(path), body, kind, headers={**self.headers, **named})

    @staticmethod
    def _url(path: str) -> str:
        return path if path.startswith("/") else f"/api/v1/{path}"
