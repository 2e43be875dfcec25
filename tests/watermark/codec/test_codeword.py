import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark.codec.codeword import check_key, check_payload, codewords
from watermark.codec.errors import BadKey, BadPayload
from watermark.codec.grid import BANDS, CHIPS, EDGES, RATE, WINDOW


def test_codeword_is_shake_256_of_key_and_payload_msb_first():
    digest = hashlib.shake_256(b"k" * 16 + (77).to_bytes(8, "big")).digest(CHIPS * BANDS // 8)
    bits = [byte >> (7 - place) & 1 for byte in digest for place in range(8)]
    assert codewords(b"k" * 16, [77])[0].ravel().tolist() == [1.0 if bit else -1.0 for bit in bits]


@given(st.integers(1, 2**48 - 1), st.integers(1, 2**48 - 1))
def test_codewords_of_two_payloads_hardly_correlate(one, two):
    if one == two:
        return
    words = codewords(bytes(16), [one, two])
    assert abs(float((words[0] * words[1]).sum())) < 7 * np.sqrt(CHIPS * BANDS)


@pytest.mark.parametrize("payload", [0, -1, 2**48, True, 1.5, "7"])
def test_bad_payload_is_refused(payload):
    with pytest.raises(BadPayload):
        check_payload(payload)


@pytest.mark.parametrize("key", [b"", b"short", bytes(65), "k" * 16, bytearray(16)])
def test_bad_key_is_refused(key):
    with pytest.raises(BadKey):
        check_key(key)


def test_bands_rise_without_a_narrow_one():
    widths = np.diff(EDGES) * RATE / WINDOW
    assert (len(widths), set(widths.tolist())) == (42, {125.0, 250.0})
    assert (np.diff(widths) >= 0).all()
