"""Carrying operations out: blocking with ``Vouch``, in an event loop with ``AsyncVouch``.

What may be sent twice without harm is sent again after a lost connection, a 503 or a 429, as long as the server asks
to wait, and while an earlier sending of it is still being answered; for at most ``patience`` seconds in sum.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from vouch.client import operations
from vouch.client.calls import PAGE, Answer, Call, Operation, Pause, Problem, Unreachable, page
from vouch.client.streams import READ_SECONDS, AsyncSpeechStream, SpeechStream

P = ParamSpec("P")
T = TypeVar("T")
AGAIN = (429, 502, 503, 504)
"""502 and 504 are a proxy's: no answer of the server's came through."""
STILL_ANSWERED = "idempotency_in_progress"
FIRST_WAIT = 0.5


class _Wire:
    """How a call looks on the wire, and whether it is worth another try."""

    def __init__(self, address: str, key: str | None, patience: float) -> None:
        self.base = f"{address.rstrip('/')}/api/v1/"
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.patience = patience

    def request(
        self, http: httpx.Client | httpx.AsyncClient, call: Call, *, seconds: float | None = None
    ) -> httpx.Request:
        """``seconds``: how long one read may take, where that is longer than usual."""
        headers = {"Idempotency-Key": call.once} if call.once else {}
        if call.offset is not None:
            headers["Upload-Offset"] = str(call.offset)
        return http.build_request(
            call.method, call.path, params=dict(call.query), json=call.json, content=call.content, headers=headers,
            timeout=httpx.USE_CLIENT_DEFAULT if seconds is None else httpx.Timeout(seconds),
        )  # fmt: skip

    def answer(self, response: httpx.Response) -> Answer:
        """Raises Problem."""
        if response.status_code >= 400:
            raise Problem.of(response.status_code, response.content)
        return Answer(response.status_code, dict(response.headers), response.content)

    def wait(self, call: Call, waited: float, response: httpx.Response | None) -> float | None:
        """Seconds to wait before trying again; None to give up."""
        if not call.repeatable or (response is not None and not self._passes(response)):
            return None
        asked = response.headers.get("Retry-After", "") if response is not None else ""
        pause = float(asked) if asked.isdigit() else FIRST_WAIT + waited
        return pause if waited + pause <= self.patience else None

    @staticmethod
    def _passes(response: httpx.Response) -> bool:
        """Whether it is a refusal for now: also of a call whose first sending, its answer lost, still runs."""
        if response.status_code == 409:
            return Problem.of(409, response.content).code == STILL_ANSWERED
        return response.status_code in AGAIN


def _blocking(operation: Callable[P, Operation[T]]) -> Callable[Concatenate[Vouch, P], T]:
    def method(self: Vouch, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(operation(*args, **kwargs))

    method.__name__, method.__doc__ = operation.__name__, operation.__doc__
    method.__wrapped__ = operation  # type: ignore[attr-defined]
    return method


def _awaited(operation: Callable[P, Operation[T]]) -> Callable[Concatenate[AsyncVouch, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncVouch, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(operation(*args, **kwargs))

    method.__name__, method.__doc__ = operation.__name__, operation.__doc__
    method.__wrapped__ = operation  # type: ignore[attr-defined]
    return method


class Vouch:
    """A blocking client. ``key``: none is needed to trace. Close it, or use it in ``with``.

    Every operation raises Problem (the API refused), Unreachable (no answer) or TookTooLong.
    """

    def __init__(
        self, address: str, key: str | None = None, *, timeout: float = 60.0, patience: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._wire = _Wire(address, key, patience)
        self._http = httpx.Client(
            base_url=self._wire.base, headers=self._wire.headers, timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def run(self, operation: Operation[T]) -> T:
        """Carries out an operation of `vouch.client.operations`, or one of your own."""
        told: Answer | None = None
        refused: Problem | None = None
        while True:
            try:
                step = operation.send(told) if refused is None else operation.throw(refused)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            told = refused = None
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                told = self._call(step)
            except Problem as problem:
                refused = problem

    def each(self, path: str, *, limit: int = PAGE, **query: str) -> Iterator[Any]:
        """The rows of a list (``"outputs"``, ``"jobs"`` …), newest first, fetched page by page as they are taken."""
        rows, cursor = self.run(page(path, limit=limit, **query))
        yield from rows
        while cursor:
            rows, cursor = self.run(page(path, cursor=cursor, limit=limit, **query))
            yield from rows

    def _call(self, call: Call) -> Answer:
        waited = 0.0
        while True:
            response, trouble = None, None
            try:
                response = self._http.send(self._wire.request(self._http, call))
            except httpx.TransportError as error:
                trouble = error
            pause = self._wire.wait(call, waited, response)
            if response is not None and (response.status_code < 400 or pause is None):
                return self._wire.answer(response)
            if pause is None:
                raise Unreachable(f"{call.method} {call.path}: {trouble}") from trouble
            time.sleep(pause)
            waited += pause

    def stream(self, voice: str, text: str, **how: Any) -> SpeechStream:
        """``text`` in the voice, to be heard while it is made: iterate it for bytes, in a ``with``. ``how``: language,
        container (wav, mp3, opus), seed, manner, and further fields of ``POST voices/ID/speech/stream``. Nothing is
        sent again by itself: what was begun counts. Raises Problem, Unreachable."""
        call = self.run(operations.to_stream(voice, text, **how))
        try:
            response = self._http.send(self._wire.request(self._http, call, seconds=READ_SECONDS), stream=True)
        except httpx.TransportError as trouble:
            raise Unreachable(f"{call.method} {call.path}: {trouble}") from trouble
        if response.status_code >= 400:
            try:
                raise Problem.of(response.status_code, response.read())
            finally:
                response.close()
        return SpeechStream(response, self.run)

    whoami = _blocking(operations.whoami)
    voices = _blocking(operations.voices)
    usable_voices = _blocking(operations.usable_voices)
    speak = _blocking(operations.speak)
    download = _blocking(operations.download)
    link = _blocking(operations.link)
    proof = _blocking(operations.proof)
    batch = _blocking(operations.batch)
    mask = _blocking(operations.mask)
    add_webhook = _blocking(operations.add_webhook)
    trace = _blocking(operations.trace)
    open_challenge = _blocking(operations.open_challenge)
    send_piece = _blocking(operations.send_piece)
    finish_challenge = _blocking(operations.finish_challenge)
    upload = _blocking(operations.upload)
    send_content = _blocking(operations.send_content)
    consent_texts = _blocking(operations.consent_texts)
    consent = _blocking(operations.consent)
    withdraw = _blocking(operations.withdraw)
    train = _blocking(operations.train)


class AsyncVouch:
    """The same for event loops: ``async with``, and every operation is awaited."""

    def __init__(
        self, address: str, key: str | None = None, *, timeout: float = 60.0, patience: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._wire = _Wire(address, key, patience)
        self._http = httpx.AsyncClient(
            base_url=self._wire.base, headers=self._wire.headers, timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def run(self, operation: Operation[T]) -> T:
        """Carries out an operation of `vouch.client.operations`, or one of your own."""
        told: Answer | None = None
        refused: Problem | None = None
        while True:
            try:
                step = operation.send(told) if refused is None else operation.throw(refused)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            told = refused = None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                told = await self._call(step)
            except Problem as problem:
                refused = problem

    async def each(self, path: str, *, limit: int = PAGE, **query: str) -> AsyncIterator[Any]:
        """As ``Vouch.each``, for ``async for``."""
        rows, cursor = await self.run(page(path, limit=limit, **query))
        for row in rows:
            yield row
        while cursor:
            rows, cursor = await self.run(page(path, cursor=cursor, limit=limit, **query))
            for row in rows:
                yield row

    async def _call(self, call: Call) -> Answer:
        waited = 0.0
        while True:
            response, trouble = None, None
            try:
                response = await self._http.send(self._wire.request(self._http, call))
            except httpx.TransportError as error:
                trouble = error
            pause = self._wire.wait(call, waited, response)
            if response is not None and (response.status_code < 400 or pause is None):
                return self._wire.answer(response)
            if pause is None:
                raise Unreachable(f"{call.method} {call.path}: {trouble}") from trouble
            await asyncio.sleep(pause)
            waited += pause

    async def stream(self, voice: str, text: str, **how: Any) -> AsyncSpeechStream:
        """As ``Vouch.stream``, with ``async with`` and ``async for``."""
        call = await self.run(operations.to_stream(voice, text, **how))
        try:
            response = await self._http.send(self._wire.request(self._http, call, seconds=READ_SECONDS), stream=True)
        except httpx.TransportError as trouble:
            raise Unreachable(f"{call.method} {call.path}: {trouble}") from trouble
        if response.status_code >= 400:
            try:
                raise Problem.of(response.status_code, await response.aread())
            finally:
                await response.aclose()
        return AsyncSpeechStream(response, self.run)

    whoami = _awaited(operations.whoami)
    voices = _awaited(operations.voices)
    usable_voices = _awaited(operations.usable_voices)
    speak = _awaited(operations.speak)
    download = _awaited(operations.download)
    link = _awaited(operations.link)
    proof = _awaited(operations.proof)
    batch = _awaited(operations.batch)
    mask = _awaited(operations.mask)
    add_webhook = _awaited(operations.add_webhook)
    trace = _awaited(operations.trace)
    open_challenge = _awaited(operations.open_challenge)
    send_piece = _awaited(operations.send_piece)
    finish_challenge = _awaited(operations.finish_challenge)
    upload = _awaited(operations.upload)
    send_content = _awaited(operations.send_content)
    consent_texts = _awaited(operations.consent_texts)
    consent = _awaited(operations.consent)
    withdraw = _awaited(operations.withdraw)
    train = _awaited(operations.train)
