"""Stripe: PaymentIntents that are captured by hand (docs.stripe.com/api/payment_intents, /webhooks/signature).

The library speaks HTTP and checks signatures; what is trusted of an event is its id, its kind and whom it is about,
and amount and currency only to compare them with our order.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import stripe

from marketplace.payments.provider import (
    Begun,
    Charge,
    Event,
    EventKind,
    NotSigned,
    ProviderRefused,
    ProviderTrouble,
)

HEADER: Final = "Stripe-Signature"
TIMEOUT: Final = 20.0
"""Seconds one call may take."""
TOLERANCE: Final = 300
"""Seconds an event may be old, as Stripe recommends."""
RETRIES: Final = 2
"""Of the library, for calls that did not arrive; safe, as each carries its idempotency key."""
MAX_EVENT: Final = 512 * 1024

_INTENT: Final = {
    "payment_intent.amount_capturable_updated": (EventKind.HELD, "amount_capturable"),
    "payment_intent.succeeded": (EventKind.CAPTURED, "amount_received"),
    "payment_intent.payment_failed": (EventKind.FAILED, "amount"),
    "payment_intent.canceled": (EventKind.VOIDED, "amount"),
}
"""Events about an intent: what each means, and which of its amounts is meant."""
_LOST: Final = {"lost": EventKind.DISPUTE_LOST, "won": EventKind.DISPUTE_WON, "warning_closed": EventKind.DISPUTE_WON}


class StripeProvider:
    """``http``: what speaks HTTP; None for the library's own."""

    name = "stripe"

    def __init__(self, key: str, webhook_secret: str, http: stripe.HTTPClient | None = None) -> None:
        client = http or stripe.RequestsClient(timeout=TIMEOUT)
        self._api = stripe.StripeClient(key, http_client=client, max_network_retries=RETRIES)
        self._secret = webhook_secret

    def begin(self, charge: Charge) -> Begun:
        intent = _call(
            lambda: self._api.v1.payment_intents.create(
                params={
                    "amount": charge.amount_minor,
                    "currency": charge.currency.lower(),
                    "capture_method": "manual",
                    "automatic_payment_methods": {"enabled": True},
                    "metadata": {"order": str(charge.order_id)},
                },
                options={"idempotency_key": f"begin-{charge.order_id}"},
            )
        )
        if (intent.amount, intent.currency) != (charge.amount_minor, charge.currency.lower()):
            raise ProviderRefused("the payment was prepared for another amount")
        return Begun(intent.id, intent.client_secret or "")

    def capture(self, reference: str, charge: Charge) -> None:
        _call(
            lambda: self._api.v1.payment_intents.capture(
                reference,
                params={"amount_to_capture": charge.amount_minor},
                options={"idempotency_key": f"capture-{charge.order_id}"},
            )
        )

    def void(self, reference: str, charge: Charge) -> None:
        _call(
            lambda: self._api.v1.payment_intents.cancel(
                reference, options={"idempotency_key": f"void-{charge.order_id}"}
            )
        )

    def refund(self, reference: str, charge: Charge, amount_minor: int) -> None:
        _call(
            lambda: self._api.v1.refunds.create(
                params={"payment_intent": reference, "amount": amount_minor},
                options={"idempotency_key": f"refund-{charge.order_id}"},
            )
        )

    def read(self, body: bytes, headers: Mapping[str, str]) -> Event:
        if len(body) > MAX_EVENT:
            raise NotSigned("too large")
        try:
            text = body.decode()
            stripe.WebhookSignature.verify_header(text, headers.get(HEADER, ""), self._secret, TOLERANCE)
            return _event(json.loads(text))
        except (stripe.SignatureVerificationError, ValueError, RecursionError, KeyError, TypeError) as error:
            raise NotSigned(str(error)) from error


def _event(found: dict[str, Any]) -> Event:
    """Raises KeyError, TypeError, ValueError for another shape."""
    kind, thing = found["type"], found["data"]["object"]
    if kind in _INTENT:
        meaning, amount = _INTENT[kind]
        return _made(found, meaning, thing["id"], thing[amount], thing["currency"])
    if kind == "charge.refunded":
        return _made(found, EventKind.REFUNDED, thing["payment_intent"], thing["amount"], thing["currency"])
    if kind in ("charge.dispute.created", "charge.dispute.closed"):
        meaning = EventKind.DISPUTED if kind.endswith("created") else _LOST[thing["status"]]
        return _made(found, meaning, thing["payment_intent"], thing["amount"], thing["currency"])
    return Event(str(found["id"]), EventKind.OTHER, "", 0, "")


def _made(found: dict[str, Any], kind: EventKind, reference: Any, amount: Any, currency: Any) -> Event:
    if not isinstance(reference, str) or type(amount) is not int or not isinstance(currency, str):
        raise ValueError("an event of another shape")
    return Event(str(found["id"]), kind, reference, amount, currency.upper())


def _call(call: Callable[[], Any]) -> Any:
    """Stripe's errors as ours: what may be tried again, and what not."""
    try:
        return call()
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as error:
        raise ProviderTrouble(type(error).__name__) from error
    except stripe.StripeError as error:
        raise ProviderRefused(f"{type(error).__name__} {error.code or ''}".strip()) from error
