"""The compact receipt: what fits a QR code, and that nobody but the log's key makes one."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent import base45, compact
from consent.uses import USES
from foundation.audit import notes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE, PUBLIC = KEY.private_bytes_raw(), KEY.public_key().public_bytes_raw()
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
COUNTRIES = st.lists(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2), min_size=1, max_size=50)

found = st.builds(
    compact.Compact,
    consent_id=st.uuids(),
    statement=st.binary(min_size=32, max_size=32),
    given_at=TIMES,
    valid_until=TIMES,
    uses=st.sets(st.sampled_from(USES)).map(lambda some: tuple(use for use in USES if use in some)),
    languages=st.lists(st.sampled_from(["en", "zh", "yue"]), min_size=1, unique=True).map(tuple),
    territory=st.just("worldwide") | COUNTRIES.map(",".join),
    leaf_index=st.integers(0, 2**53 - 1),
    basis=st.sampled_from([compact.SELF, compact.REPRESENTATIVE, compact.WITHOUT_BIOMETRICS]),
    rehearsal=st.booleans(),
)


def one(**fields: Any) -> compact.Compact:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return compact.Compact(
        **{
            "consent_id": uuid.UUID(int=7), "statement": bytes(32), "given_at": moment,
            "valid_until": moment + timedelta(days=365), "uses": ("own_use",), "languages": ("en", "zh"),
            "territory": "worldwide", "leaf_index": 12, "basis": compact.SELF, "rehearsal": False, **fields,
        }
    )  # fmt: skip


@pytest.mark.parametrize(("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581")])
def test_base45_is_the_rfcs(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@given(st.binary(max_size=300))
def test_base45_gives_back_what_it_was_given(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@pytest.mark.parametrize("text", ["A", "ABCD", "GGW", ":::", "ab8", "ß00"])
def test_what_base45_could_not_have_written_is_refused(text: str) -> None:
    with pytest.raises(base45.NotBase45):
        base45.decode(text)


@given(found)
def test_what_was_signed_is_read_back_whole(made: compact.Compact) -> None:
    text = compact.text(made, compact.sign(made, PRIVATE))
    assert compact.verify(text, PUBLIC) == made
    assert len(text) <= compact.MAX_TEXT


@given(found, st.integers(0), st.integers(1, 255))
def test_no_byte_of_it_can_be_changed(made: compact.Compact, place: int, flip: int) -> None:
    data = bytearray(base45.decode(compact.text(made, compact.sign(made, PRIVATE))[len(compact.PREFIX) :]))
    data[place % len(data)] ^= flip
    with pytest.raises(compact.CompactInvalid):
        compact.verify(compact.PREFIX + base45.encode(bytes(data)), PUBLIC)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: compact.PREFIX + base45.encode(data)))
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(compact.CompactInvalid):
        compact.verify(text, PUBLIC)


def test_another_key_and_a_signature_over_a_checkpoint_are_worth_nothing() -> None:
    made = one()
    text = compact.text(made, compact.sign(made, PRIVATE))
    with pytest.raises(compact.CompactInvalid):
        compact.verify(text, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    # The same key signs checkpoints: neither kind of text can be read as the other.
    with pytest.raises(notes.BadNote):
        notes.sign(notes.SignedCheckpoint(compact.CONTEXT.decode().strip(), 1, bytes(32)), PRIVATE)


def test_an_ordinary_one_fits_a_small_code() -> None:
    made = one()
    assert len(compact.text(made, compact.sign(made, PRIVATE))) < 260


def test_a_statement_that_is_none_has_no_compact_form() -> None:
    for broken in ({}, {"id": "x"}):
        with pytest.raises((KeyError, ValueError)):
            compact.of(broken, 1)
