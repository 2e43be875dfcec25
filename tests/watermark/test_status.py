"""The list says exactly which places are revoked, and nothing that was not signed by the right key is believed."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from watermark import status
from watermark.status import LIST_SIZE, BadStatusList, check, entry, make

SIGNER, STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.from_private_bytes(b"x" * 32)
KEY = SIGNER.public_key().public_bytes_raw()
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def made(revoked=(), number=1, signer=SIGNER):
    return make(number, revoked, address="https://vouch.example/api/v1/status/1", issuer="vouch.example",
                sign=signer.sign, at=AT)  # fmt: skip


def altered(data, change, signer=SIGNER):
    """The list with its content changed, signed again."""
    head, body, _ = data.decode().split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=="))
    change(content)
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    signature = base64.urlsafe_b64encode(signer.sign(f"{head}.{body}".encode())).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}".encode()


@given(st.sets(st.integers(0, LIST_SIZE - 1), max_size=20), st.integers(0, LIST_SIZE - 1))
def test_exactly_the_revoked_places_are_set(revoked, other):
    found = check(made(revoked), KEY, number=1)
    assert all(found.revoked(index) for index in revoked)
    assert found.revoked(other) is (other in revoked)
    assert sum(byte.bit_count() for byte in found.bits) == len(revoked)


def test_form_is_the_standards():
    """Bitstring Status List v1.0: multibase u, GZIP, first bit is the left-most, 16 KB at least."""
    head, body, _ = made({0, 9}).decode().split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "EdDSA", "typ": "vc+jwt"}
    credential = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert credential["type"] == ["VerifiableCredential", "BitstringStatusListCredential"]
    subject = credential["credentialSubject"]
    assert (subject["type"], subject["statusPurpose"]) == ("BitstringStatusList", "revocation")
    packed = subject["encodedList"]
    bits = gzip.decompress(base64.urlsafe_b64decode(packed[1:] + "=" * (-len(packed[1:]) % 4)))
    assert len(bits) == 16 * 1024
    assert bits[:2] == bytes([0b1000_0000, 0b0100_0000])
    assert (credential["validFrom"], credential["validUntil"]) == ("2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z")


def test_list_is_the_same_whenever_nothing_changed():
    assert made({5}) == made({5})


def test_times_are_read_back():
    found = check(made(), KEY, number=1)
    assert (found.valid_from, found.valid_until) == (AT, AT + timedelta(hours=24))


@pytest.mark.parametrize(
    ("position", "place"),
    [(1, (1, 0)), (LIST_SIZE, (1, LIST_SIZE - 1)), (LIST_SIZE + 1, (2, 0))],
)
def test_every_mark_has_its_place(position, place):
    assert entry(position) == {"list": place[0], "index": place[1]}


def test_another_key_another_list_or_an_altered_byte_is_refused():
    with pytest.raises(BadStatusList, match="not by this key"):
        check(made(signer=STRANGER), KEY, number=1)
    with pytest.raises(BadStatusList, match="not the revocation list 2"):
        check(made(), KEY, number=2)
    head, body, signature = made({7}).decode().split(".")
    with pytest.raises(BadStatusList):
        check(f"{head}.{body[:-2]}AA.{signature}".encode(), KEY, number=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["credentialSubject"].update(statusPurpose="suspension"),
        lambda c: c["credentialSubject"].update(encodedList="z" + c["credentialSubject"]["encodedList"][1:]),
        lambda c: c["credentialSubject"].update(encodedList="uAAAA"),
        lambda c: c["credentialSubject"].update(
            encodedList="u" + base64.urlsafe_b64encode(gzip.compress(bytes(99))).decode().rstrip("=")
        ),
        # A bomb: far more than a list holds.
        lambda c: c["credentialSubject"].update(
            encodedList="u" + base64.urlsafe_b64encode(gzip.compress(bytes(1 << 24))).decode().rstrip("=")
        ),
        lambda c: c.update(validUntil="2026-11-02T12:00:00"),
        lambda c: c.update(validUntil="soon"),
        lambda c: c.pop("credentialSubject"),
    ],
)
def test_malformed_lists_are_refused_even_when_signed(change):
    with pytest.raises(BadStatusList):
        check(altered(made({3}), change), KEY, number=1)


@given(st.binary(max_size=300))
def test_garbage_is_named(data):
    with pytest.raises(BadStatusList):
        check(data, KEY, number=1)


def test_too_long_lists_and_places_out_of_range_are_refused():
    with pytest.raises(BadStatusList):
        check(b"a" * (status.MAX_LIST + 1), KEY, number=1)
    with pytest.raises(BadStatusList):
        check(made(), KEY, number=1).revoked(LIST_SIZE)
    with pytest.raises(BadStatusList):
        made({LIST_SIZE})
