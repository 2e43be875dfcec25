"""The test provider: it lives in this process, moves no money, and says what a real one would. Never in production.

Its state is the caller's: what it is asked it answers, and ``pay`` is the customer's card. Two cards are declined.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from foundation.clock import now
from marketplace.payments import signing
from marketplace.payments.provider import Begun, Charge, Event, EventKind, NotSigned, ProviderRefused

HEADER: Final = "X-Vouch-Test-Signature"
MAX_EVENT: Final = 16 * 1024
DECLINED: Final = frozenset({"declined", "expired"})
"""Cards that fail; any other one works."""


class EmbeddedProvider:
    """``secret`` signs its events as a provider would."""

    name = "test"

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def begin(self, charge: Charge) -> Begun:
        return Begun(f"test_{charge.order_id}", "test")

    def capture(self, reference: str, charge: Charge) -> None:
        self._known(reference, charge)

    def void(self, reference: str, charge: Charge) -> None:
        self._known(reference, charge)

    def refund(self, reference: str, charge: Charge, amount_minor: int) -> None:
        self._known(reference, charge)
        if not 0 < amount_minor <= charge.amount_minor:
            raise ProviderRefused("more than was taken")

    def read(self, body: bytes, headers: Mapping[str, str]) -> Event:
        if len(body) > MAX_EVENT:
            raise NotSigned("too large")
        try:
            signing.check(body, headers.get(HEADER, ""), self._secret, int(now().timestamp()))
            found = json.loads(body)
            kind, reference, currency = EventKind(found["kind"]), str(found["reference"]), str(found["currency"])
            return Event(str(found["id"]), kind, reference, int(found["amount"]), currency)
        except (signing.BadSignature, ValueError, RecursionError, KeyError, TypeError) as error:
            raise NotSigned(str(error)) from error

    # -- what only a test provider has --------------------------------------------------------------------------------
    def pay(self, reference: str, charge: Charge, card: str) -> tuple[bytes, dict[str, str]]:
        """The event of a customer who pays with ``card``: body and headers as they would come in."""
        kind = EventKind.FAILED if card in DECLINED else EventKind.HELD
        return self.event(f"{kind}-{card}-{reference}", kind, reference, charge)

    def event(self, name: str, kind: EventKind, reference: str, charge: Charge) -> tuple[bytes, dict[str, str]]:
        """Any event, signed."""
        said: dict[str, Any] = {
            "id": name,
            "kind": kind.value,
            "reference": reference,
            "amount": charge.amount_minor,
            "currency": charge.currency,
        }
        body = json.dumps(said).encode()
        return body, {HEADER: signing.sign(body, self._secret, int(now().timestamp()))}

    @staticmethod
    def _known(reference: str, charge: Charge) -> None:
        if reference != f"test_{charge.order_id}":
            raise ProviderRefused("no such payment")
