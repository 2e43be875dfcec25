"""A small client of the public API: what a program of a customer would look like."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT = httpx.Timeout(60.0)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. ``code`` is the stable error code of a problem, else the empty string."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if self.status >= 400 and isinstance(self.body, dict) else ""

    def __getitem__(self, name: str) -> Any:
        if self.status >= 400:
            raise ApiProblem(self)
        return self.body[name]


class ApiProblem(Exception):
    """An answer that was needed and was an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body}")
        self.answer = answer


class TookTooLong(Exception):
    """Something that should have finished did not."""


class Client:
    """Speaks to ``/api/v1/`` with one API key (or none)."""

    def __init__(self, address: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=f"{address}/api/v1/", headers=headers, timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Answer:
        return self._answer(self._http.get(path))

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Answer:
        """POST JSON; ``key`` is an Idempotency-Key."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._answer(self._http.post(path, json=body or {}, headers=headers))

    def send(self, method: str, path: str, content: bytes, content_type: str = "application/octet-stream") -> Answer:
        """A raw body: audio."""
        return self._answer(self._http.request(method, path, content=content, headers={"Content-Type": content_type}))

    def download(self, path: str) -> tuple[int, bytes]:
        answer = self._http.get(path)
        return answer.status_code, answer.content

    def wait(
        self,
        path: str,
        until: Callable[[dict[str, Any]], bool],
        *,
        seconds: float,
        show: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Asks again and again until ``until`` says yes. Raises TookTooLong, ApiProblem.

        A server that is away for a moment (503, refused connection) is asked again, as a good client would.
        """
        deadline = time.monotonic() + seconds
        body: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                answer = self.get(path)
            except httpx.TransportError:
                time.sleep(0.5)
                continue
            if answer.status == 503:
                time.sleep(0.5)
                continue
            if answer.status >= 400:
                raise ApiProblem(answer)
            body = answer.body
            if show:
                show(body)
            if until(body):
                return body
            time.sleep(0.3)
        raise TookTooLong(f"{path} after {seconds:.0f} s: {body}")

    @staticmethod
    def _answer(response: httpx.Response) -> Answer:
        try:
            body = response.json() if response.content else {}
        except ValueError:
            body = {"raw": response.text[:500]}
        return Answer(response.status_code, body)
