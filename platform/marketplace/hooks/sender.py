"""One signed POST to a customer's server: bounded in time and answer, no redirect, to the address that was checked."""

from dataclasses import dataclass
from typing import Any, Final

import httpx

from marketplace.hooks.addresses import Target

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
MAX_ANSWER: Final = 4 * 1024
"""Bytes of an answer that are looked at; nothing in it is kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is 0 when there was none; ``error`` then names what happened."""

    status: int
    error: str = ""

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


def send(target: Target, body: bytes, headers: dict[str, str], transport: httpx.BaseTransport | None = None) -> Answer:
    """Never raises for what the other side does."""
    address = f"[{target.address}]" if ":" in target.address else target.address
    # The name stays in the certificate's check (SNI) and the Host header; only the connection goes by address.
    extensions: dict[str, Any] = {"sni_hostname": target.host}
    sent = {**headers, "Host": target.host, "Content-Type": "application/json", "User-Agent": "Vouch-Webhooks/1"}
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False, transport=transport) as client,
            client.stream(
                "POST", f"https://{address}{target.path}", content=body, headers=sent, extensions=extensions
            ) as answer,
        ):
            seen = 0
            for piece in answer.iter_raw():
                seen += len(piece)
                if seen > MAX_ANSWER:
                    break
            return Answer(answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Answer(0, type(error).__name__)
