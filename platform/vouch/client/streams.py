"""Speech as it is made: a blocking iterator of bytes and one for event loops, with what is known of the stream.

An answer that breaks off is no end: the request is asked why, and a Problem with its code is raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import httpx

from vouch.client.calls import Operation, Problem, Unreachable, fetch

#: While the rest is being made nobody knows how long a piece takes; the server closes what is lost.
READ_SECONDS = 90.0


class _Facts:
    """``label``: what the spoken label says, empty for a rhythm. ``output``: the recording that it becomes."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.speech = headers["X-Vouch-Speech"]
        self.output = headers["X-Vouch-Output"]
        self.media_type = headers["Content-Type"]
        self.label = unquote(headers["X-Vouch-Label"])
        self.label_seconds = float(headers["X-Vouch-Label-Seconds"])


class SpeechStream(_Facts):
    """Bytes of the file, the label first. Leave its ``with`` to stop the speaking. Iterating raises Problem with the
    request's own code when the stream broke off, Unreachable when the request cannot say why."""

    def __init__(self, response: httpx.Response, run: Callable[[Operation[Any]], Any]) -> None:
        super().__init__(response.headers)
        self._response, self._run = response, run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_bytes()
        except (httpx.TransportError, ConnectionError) as lost:
            raise why(self._run(fetch(f"speech/{self.speech}"))) from lost


class AsyncSpeechStream(_Facts):
    """The same for event loops: ``async with``, ``async for``."""

    def __init__(self, response: httpx.Response, run: Callable[[Operation[Any]], Coroutine[Any, Any, Any]]) -> None:
        super().__init__(response.headers)
        self._response, self._run = response, run

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._response.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except (httpx.TransportError, ConnectionError) as lost:
            raise why(await self._run(fetch(f"speech/{self.speech}"))) from lost


def why(found: Mapping[str, Any]) -> Problem | Unreachable:
    """Why a stream broke off, as its request tells."""
    if not found["error_code"]:
        return Unreachable(f"The connection was lost; the request is {found['state']}.")
    return Problem(0, {"code": found["error_code"], "detail": found["error_detail"]})
