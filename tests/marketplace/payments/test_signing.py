"""Signatures of webhooks, ours and the test provider's: the body, the secret and the time all count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.payments.signing import TOLERANCE, BadSignature, check, sign

AT = 1_800_000_000


@given(st.binary(max_size=50), st.text(min_size=1, max_size=20), st.integers(-TOLERANCE, TOLERANCE))
def test_what_was_signed_lately_passes_and_nothing_else(body, secret, late):
    header = sign(body, secret, AT)
    check(body, header, secret, AT + late)
    for changed, by in ((body + b"x", secret), (body, secret + "x")):
        with pytest.raises(BadSignature):
            check(changed, header, by, AT)
    for now in (AT + TOLERANCE + 1, AT - TOLERANCE - 1):
        with pytest.raises(BadSignature):
            check(body, header, secret, now)


def test_a_header_of_another_time_does_not_carry_its_signature_along():
    header = sign(b"x", "s", AT)
    with pytest.raises(BadSignature):
        check(b"x", header.replace(str(AT), str(AT + 1)), "s", AT)


def test_two_signatures_may_stand_there_while_a_secret_is_replaced():
    old, new = sign(b"x", "old", AT), sign(b"x", "new", AT)
    check(b"x", f"{old},{new.split(',')[1]}", "new", AT)


@pytest.mark.parametrize("header", ["", "t=1", "v1=" + "0" * 64, "t=1,t=2,v1=" + "0" * 64, "t=x,v1=0", "x" * 5_000])
def test_what_is_no_signature_is_refused(header):
    with pytest.raises(BadSignature):
        check(b"x", header, "s", 1)
