"""What an operation asks of the network, and what it is told: no socket is opened here.

An operation is a generator that yields a Call or a Pause and is sent the Answer, or has the Problem thrown at it, so
that one description of it serves blocking programs and asynchronous ones (`vouch.client.drivers`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
PAGE = 200
"""Rows asked for at once: as many as the API gives."""


@dataclass(frozen=True)
class Call:
    """One HTTP request below ``/api/v1/``. ``once``: an Idempotency-Key, which makes it safe to send again; so does
    ``offset``, where in an upload its content begins."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    content: bytes | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    once: str = ""
    offset: int | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        return self.method in ("GET", "PUT", "DELETE") or bool(self.once) or self.offset is not None


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds before the next call."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """An HTTP answer below 400."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def body(self) -> Any:
        """Its JSON."""
        return json.loads(self.content) if self.content else {}


Operation = Generator[Call | Pause, Answer | None, T]


class Problem(Exception):
    """The API refused. ``code`` is stable and for programs, ``detail`` and ``advice`` are for people."""

    def __init__(self, status: int, said: Mapping[str, Any]) -> None:
        self.status, self.said = status, dict(said)
        self.code = str(said.get("code", "unknown"))
        self.detail = str(said.get("detail", "")) or f"HTTP {status}"
        self.advice = str(said.get("advice", ""))
        self.request_id = str(said.get("request_id", ""))
        super().__init__(" ".join(part for part in (f"{self.code}: {self.detail}", self.advice) if part))

    @classmethod
    def of(cls, status: int, content: bytes) -> Problem:
        """From an answer, whatever stands in it: a proxy's page is a problem too."""
        try:
            said = json.loads(content)
        except ValueError:
            said = {}
        return cls(status, said if isinstance(said, dict) else {})


class Unreachable(Exception):
    """No answer came, after all attempts."""


class TookTooLong(Exception):
    """What should have ended did not within the time given; it goes on at the other side."""


def ask(call: Call) -> Operation[Answer]:
    """The answer to one call."""
    answer = yield call
    if answer is None:
        raise RuntimeError("a call was not answered")
    return answer


def fetch(path: str, **query: str) -> Operation[Any]:
    """The JSON at ``path``."""
    answer = yield from ask(Call("GET", path, query=query))
    return answer.body()


def page(path: str, *, cursor: str = "", limit: int = PAGE, **query: Any) -> Operation[tuple[list[Any], str]]:
    """Rows of the list at ``path``, and the cursor of the next page; empty on the last."""
    more = {"cursor": cursor} if cursor else {}
    answer = yield from ask(Call("GET", path, query={**query, **more, "limit": str(limit)}))
    return answer.body(), answer.headers.get("next-cursor", "")


def every(path: str, **query: Any) -> Operation[list[Any]]:
    """The whole list at ``path``, page by page."""
    rows, cursor = yield from page(path, **query)
    while cursor:
        further, cursor = yield from page(path, cursor=cursor, **query)
        rows += further
    return rows


def send(path: str, fields: Mapping[str, Any] | None = None, *, once: str = "") -> Operation[Any]:
    """POST ``fields`` as JSON and return the answer's."""
    answer = yield from ask(Call("POST", path, json=fields or {}, once=once))
    return answer.body()


def until_done(path: str, ended: frozenset[str], *, seconds: float, every: float = 0.5) -> Operation[dict[str, Any]]:
    """Asks ``path`` until its ``state`` is one of ``ended``. Raises TookTooLong after about ``seconds``."""
    waited = 0.0
    while True:
        found: dict[str, Any] = yield from fetch(path)
        if found["state"] in ended:
            return found
        if waited >= seconds:
            raise TookTooLong(f"{path} is still {found['state']} after {seconds:.0f} s.")
        yield Pause(every)
        waited += every
