"""One byte string for one JSON value: keys sorted by code point, no spaces, UTF-8. Pure.

What is hashed and signed are these bytes as they were written; a verifier never has to make them again. The value
space is narrow on purpose (finite numbers, integers a double can hold, bounded depth), so that every language reads
the same value back.
"""

import json
import math
from typing import Any

MAX_DEPTH = 8
"""Deeper nesting than any event needs; keeps a hostile value from exhausting the stack."""

MAX_INTEGER = 2**53 - 1
"""The largest whole number every JSON reader keeps exactly (RFC 8259, section 6)."""


class NotCanonical(ValueError):
    """The value, or the bytes, have no canonical form."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a value of dicts, lists, strings, finite numbers, booleans and None.

    Raises NotCanonical, naming the place, for anything else.
    """
    _check(value, "$", 0)
    try:
        return _written(value)
    except UnicodeEncodeError as error:
        raise NotCanonical("a string holds half of a surrogate pair") from error


def again(text: str) -> bytes:
    """The canonical bytes of canonical JSON in which strings were replaced, keys perhaps among them."""
    return _written(json.loads(text))


def decode(data: bytes) -> Any:
    """The value behind canonical bytes. Raises NotCanonical for any other spelling of the same value."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if encode(value) != data:
        raise NotCanonical("not the canonical spelling")
    return value


def _written(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _check(value: Any, place: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(f"{place}: nested deeper than {MAX_DEPTH}")
    if type(value) is str:  # nearly everything is
        return
    match value:
        case None | bool() | str():
            pass
        case int():
            if abs(value) > MAX_INTEGER:
                raise NotCanonical(f"{place}: a whole number above 2^53")
        case float():
            if not math.isfinite(value):
                raise NotCanonical(f"{place}: not a finite number")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise NotCanonical(f"{place}: a key that is no string")
                if type(item) is not str:
                    _check(item, f"{place}.{key}", depth + 1)
        case list() | tuple():
            for number, item in enumerate(value):
                _check(item, f"{place}[{number}]", depth + 1)
        case _:
            raise NotCanonical(f"{place}: {type(value).__name__} is not JSON")
