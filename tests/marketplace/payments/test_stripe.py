"""The Stripe adapter against shapes of its public API, written from its reference; no network, no key of anybody."""

import json
import time
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
import stripe

from marketplace.payments.provider import Charge, EventKind, NotSigned, ProviderRefused, ProviderTrouble
from marketplace.payments.stripe_adapter import HEADER, StripeProvider

ORDER = UUID("6f1c3c1e-8a6f-4a53-9d3a-0a1f5e1b2c3d")
CHARGE = Charge(ORDER, 1_990, "EUR")
SECRET = "whsec_test"
INTENT = {
    "id": "pi_3Nk", "object": "payment_intent", "amount": 1_990, "amount_capturable": 0, "amount_received": 0,
    "capture_method": "manual", "client_secret": "pi_3Nk_secret_x", "currency": "eur",
    "metadata": {"order": str(ORDER)}, "status": "requires_payment_method",
}  # fmt: skip


class Recorded(stripe.HTTPClient):
    """Answers as Stripe would, and keeps what it was asked."""

    name = "recorded"

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.asked = list(answers), []

    def request(self, method, url, headers, post_data=None, **_):
        self.asked.append((method, url, dict(headers), dict(parse_qsl(post_data or ""))))
        status, body = self.answers.pop(0)
        return json.dumps(body).encode(), status, {"Request-Id": "req_1"}

    def close(self):
        pass


def provider(*answers):
    http = Recorded(*answers)
    return StripeProvider("sk_test_nobody", SECRET, http), http


def event(kind, thing, **more):
    return {"id": "evt_1", "object": "event", "type": kind, "data": {"object": thing}, **more}


def signed(body, secret=SECRET, at=None):
    at = int(at if at is not None else time.time())
    mac = stripe.WebhookSignature._compute_signature(f"{at}.{body.decode()}", secret)
    return {HEADER: f"t={at},v1={mac}"}


def test_a_payment_is_begun_held_first_and_named_by_our_order():
    stripe_, http = provider((200, INTENT))
    begun = stripe_.begin(CHARGE)
    assert (begun.reference, begun.token) == ("pi_3Nk", "pi_3Nk_secret_x")
    ((method, url, headers, sent),) = http.asked
    assert (method, url) == ("post", "https://api.stripe.com/v1/payment_intents")
    assert (sent["amount"], sent["currency"], sent["capture_method"]) == ("1990", "eur", "manual")
    assert sent["metadata[order]"] == str(ORDER)
    assert headers["Idempotency-Key"] == f"begin-{ORDER}"


@pytest.mark.parametrize("change", [{"amount": 1_991}, {"currency": "usd"}])
def test_a_payment_prepared_for_another_amount_is_refused(change):
    stripe_, _ = provider((200, {**INTENT, **change}))
    with pytest.raises(ProviderRefused):
        stripe_.begin(CHARGE)


def test_each_step_has_its_address_its_amount_and_its_key():
    refund = {"id": "re_1", "object": "refund", "amount": 900, "status": "succeeded"}
    stripe_, http = provider((200, INTENT), (200, INTENT), (200, refund))
    stripe_.capture("pi_3Nk", CHARGE)
    stripe_.void("pi_3Nk", CHARGE)
    stripe_.refund("pi_3Nk", CHARGE, 900)
    capture, void, back = http.asked
    assert capture[1].endswith("/v1/payment_intents/pi_3Nk/capture")
    assert capture[3] == {"amount_to_capture": "1990"}
    assert void[1].endswith("/v1/payment_intents/pi_3Nk/cancel")
    assert back[1].endswith("/v1/refunds")
    assert back[3] == {"payment_intent": "pi_3Nk", "amount": "900"}
    assert {asked[2]["Idempotency-Key"] for asked in http.asked} == {
        f"{name}-{ORDER}" for name in ("capture", "void", "refund")
    }


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [(402, "card_error", ProviderRefused), (400, "invalid_request_error", ProviderRefused),
     (401, "invalid_request_error", ProviderRefused), (429, "rate_limit_error", ProviderTrouble)],
)  # fmt: skip
def test_errors_are_told_apart_by_whether_trying_again_helps(status, kind, raised):
    answer = (status, {"error": {"type": kind, "code": "charge_expired_for_capture", "message": "no"}})
    stripe_, _ = provider(*[answer] * 3)
    with pytest.raises(raised):
        stripe_.capture("pi_3Nk", CHARGE)


def test_a_server_that_fails_is_asked_again_with_the_same_key(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    stripe_, http = provider((500, {"error": {"type": "api_error"}}), (200, INTENT))
    stripe_.capture("pi_3Nk", CHARGE)
    assert len({asked[2]["Idempotency-Key"] for asked in http.asked}) == 1
    assert len(http.asked) == 2


@pytest.mark.parametrize(
    ("kind", "change", "meaning"),
    [
        ("payment_intent.amount_capturable_updated", {"amount_capturable": 1_990}, EventKind.HELD),
        ("payment_intent.succeeded", {"amount_received": 1_990}, EventKind.CAPTURED),
        ("payment_intent.payment_failed", {}, EventKind.FAILED),
        ("payment_intent.canceled", {}, EventKind.VOIDED),
    ],
)
def test_events_about_an_intent_are_read(kind, change, meaning):
    body = json.dumps(event(kind, {**INTENT, **change})).encode()
    found = provider()[0].read(body, signed(body))
    assert (found.id, found.kind, found.reference, found.amount_minor, found.currency) == (
        "evt_1", meaning, "pi_3Nk", 1_990, "EUR",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "status", "meaning"),
    [("charge.dispute.created", "needs_response", EventKind.DISPUTED),
     ("charge.dispute.closed", "lost", EventKind.DISPUTE_LOST), ("charge.dispute.closed", "won", EventKind.DISPUTE_WON),
     ("charge.refunded", "succeeded", EventKind.REFUNDED)],
)  # fmt: skip
def test_events_about_a_charge_lead_to_its_intent(kind, status, meaning):
    thing = {"id": "dp_1", "payment_intent": "pi_3Nk", "amount": 700, "currency": "eur", "status": status}
    body = json.dumps(event(kind, thing)).encode()
    found = provider()[0].read(body, signed(body))
    assert (found.kind, found.reference, found.amount_minor) == (meaning, "pi_3Nk", 700)


def test_another_event_is_kept_and_means_nothing():
    body = json.dumps(event("customer.created", {"id": "cus_1"})).encode()
    assert provider()[0].read(body, signed(body)).kind == EventKind.OTHER


def test_a_bad_signature_is_refused():
    body = json.dumps(event("payment_intent.succeeded", {**INTENT, "amount_received": 1_990})).encode()
    stripe_ = provider()[0]
    headers = [{}, {HEADER: ""}, {HEADER: "t=1,v1=00"}, signed(body, "whsec_other"), signed(body, at=time.time() - 301),
               signed(body + b" ")]  # fmt: skip
    for one in headers:
        with pytest.raises(NotSigned):
            stripe_.read(body, one)


@pytest.mark.parametrize(
    "thing", [{}, {**INTENT, "amount_received": "1990"}, {**INTENT, "id": None}, {**INTENT, "currency": 5}, []]
)
def test_an_event_of_another_shape_is_refused(thing):
    body = json.dumps(event("payment_intent.succeeded", thing)).encode()
    with pytest.raises(NotSigned):
        provider()[0].read(body, signed(body))
    for raw in (b"[]", b"{}", b"\xff", b"1"):
        with pytest.raises(NotSigned):
            provider()[0].read(raw, signed(raw) if raw != b"\xff" else {})
