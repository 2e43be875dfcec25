"""Clearance tokens in hostile hands."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.vault.clearance import MAX_LIFETIME, Clearance, encode, verify
from foundation.vault.errors import ClearanceExpired, ClearanceInvalid

PRIVATE = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CLEARANCE = Clearance(
    id=uuid4(), purpose="speak", voice_id=uuid4(), digest="ab" * 32, consent_id=uuid4(), licence_id=None,
    requester_id=uuid4(), policy_version="core@1", rehearsal=False, issued_at=NOW,
    expires_at=NOW + timedelta(minutes=3),
)  # fmt: skip
TOKEN = encode(CLEARANCE, PRIVATE)


def signed(payload: bytes, prefix: bytes = b"vouch clearance v1\n") -> str:
    signature = Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(prefix + payload)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (payload, signature))


def test_a_clearance_comes_back_as_it_was_issued() -> None:
    assert verify(TOKEN, public_key=PUBLIC, now=NOW + timedelta(minutes=1)) == CLEARANCE
    with_licence = replace(CLEARANCE, licence_id=uuid4(), purpose="train", rehearsal=True)
    assert verify(encode(with_licence, PRIVATE), public_key=PUBLIC, now=NOW) == with_licence


def test_it_ends_at_its_second_and_does_not_come_from_the_future() -> None:
    with pytest.raises(ClearanceExpired):
        verify(TOKEN, public_key=PUBLIC, now=CLEARANCE.expires_at)
    with pytest.raises(ClearanceInvalid):
        verify(TOKEN, public_key=PUBLIC, now=NOW - timedelta(minutes=1))


def test_every_single_bit_flip_of_a_token_is_found() -> None:
    data = TOKEN.encode()
    for bit in range(len(data) * 8):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ClearanceInvalid):
            verify(bent.decode("latin-1"), public_key=PUBLIC, now=NOW)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", TOKEN + "=", TOKEN + ".", " " + TOKEN, TOKEN + "\n", "é.é", "x" * 5000, TOKEN * 2]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ClearanceInvalid):
        verify(token, public_key=PUBLIC, now=NOW)


def test_another_key_and_another_kind_of_signature_are_refused() -> None:
    payload = base64.urlsafe_b64decode(TOKEN.split(".")[0] + "==")
    assert verify(signed(payload), public_key=PUBLIC, now=NOW) == CLEARANCE
    for token in (encode(CLEARANCE, bytes(32)), signed(payload, prefix=b"")):
        with pytest.raises(ClearanceInvalid):
            verify(token, public_key=PUBLIC, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1}, {"purpose": "sing"}, {"purpose": []}, {"voice_id": "x"}, {"voice_id": 5}, {"rehearsal": 1},
        {"digest": ""}, {"digest": "x" * 201}, {"digest": 5}, {"policy_version": None}, {"licence_id": 0},
        {"issued_at": "yesterday"}, {"issued_at": "2026-05-01T12:00:00"}, {"expires_at": "2036-05-01T12:00:00+00:00"},
        {"expires_at": "2026-05-01T12:00:00+00:00"}, {"expires_at": None},
    ],
    ids=repr,
)  # fmt: skip
def test_even_signed_a_payload_of_another_shape_is_no_clearance(change: dict[str, Any]) -> None:
    payload = json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[0] + "=="))
    bent = json.dumps(payload | change, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(ClearanceInvalid):
        verify(signed(bent), public_key=PUBLIC, now=NOW)


def test_signed_rubbish_is_no_clearance() -> None:
    for payload in (b"", b"[]", b"null", b"\xff", b"{}", b"[" * 2000):
        with pytest.raises(ClearanceInvalid):
            verify(signed(payload), public_key=PUBLIC, now=NOW)


def test_a_clearance_that_may_not_be_is_not_signed() -> None:
    for wrong in (
        replace(CLEARANCE, expires_at=NOW + MAX_LIFETIME + timedelta(microseconds=1)),
        replace(CLEARANCE, expires_at=NOW),
        replace(CLEARANCE, digest=""),
        replace(CLEARANCE, purpose="sing"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ClearanceInvalid):
            encode(wrong, PRIVATE)


def test_ids_are_uuids() -> None:
    assert isinstance(verify(TOKEN, public_key=PUBLIC, now=NOW).id, UUID)
