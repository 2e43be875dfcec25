"""One signed POST to a customer's server: bounded in time and answer, no redirect, to the address that was checked."""

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from marketplace.hooks.addresses import Target

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
TOTAL: Final = 10.0
"""Seconds for the whole: to connect, to send, to be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is 0 when there was none; ``error`` then names what happened."""

    status: int
    error: str = ""

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


def send(target: Target, body: bytes, headers: dict[str, str], transport: httpx.BaseTransport | None = None) -> Answer:
    """Never raises for what the other side does, and is back within TOTAL seconds whatever it does."""
    address = f"[{target.address}]" if ":" in target.address else target.address
    sent = {**headers, "Host": target.host, "Content-Type": "application/json", "User-Agent": "Vouch-Webhooks/1"}
    # The name stays in the certificate's check (SNI) and the Host header; only the connection goes by address.
    return post(f"https://{address}{target.path}", body, sent, {"sni_hostname": target.host}, transport)


def post(
    url: str, body: bytes, headers: dict[str, str], extensions: dict[str, Any],
    transport: httpx.BaseTransport | None = None, *, total: float = TOTAL,
) -> Answer:  # fmt: skip
    """The status with which ``url`` answers; of the answer itself nothing is read."""
    with _Deadline(total) as deadline:
        try:
            with (
                httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False, transport=transport) as client,
                client.stream(
                    "POST", url, content=body, headers=headers, extensions={**extensions, "trace": deadline.seen}
                ) as answer,
            ):
                return Answer(answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(0, "TooSlow" if deadline.over else type(error).__name__)


class _Deadline:
    """Shuts the connection when the time is over. httpx's own limits are for one read each: a server that sends a byte
    now and then would keep a worker for days."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def seen(self, event: str, facts: dict[str, Any]) -> None:
        """httpcore's ``trace``: the connection when it is made, and again when it is encrypted."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._connection = facts["return_value"].get_extra_info("socket")
                if self.over:
                    self._shut()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):  # it is gone already
                # The plain method: a TLS socket's own first unwraps, and that waits for the other side.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
