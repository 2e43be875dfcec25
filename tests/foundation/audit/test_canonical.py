import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.audit import canonical
from foundation.audit.commitments import commit

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abü", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("abü", max_size=3), json_values, max_size=3))
def test_what_is_written_is_read_back_and_has_one_spelling(value: dict[str, Any]) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.encode(dict(reversed(value.items()))) == data


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, {1: "a"}, {"a": b"bytes"}, "\ud800", {"a": {1, 2}}, [[[[[[[[[[1]]]]]]]]]]],
    ids=repr,
)
def test_values_without_a_common_json_form_are_refused(value: Any) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


@pytest.mark.parametrize("data", [b'{"b":1,"a":2}', b'{ "a":1}', b'{"a":1.0e0}', b'"\\u0061"', b"[" * 5000, b"\xff"])
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(data)


def test_a_commitment_matches_its_value_alone_and_shows_nothing() -> None:
    first, second = commit("Ada Lovelace"), commit("Ada Lovelace")
    assert first.matches("Ada Lovelace")
    assert first.matches(b"Ada Lovelace")
    assert not first.matches("Ada Lovelac")
    assert first.digest != second.digest
