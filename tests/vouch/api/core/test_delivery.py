"""Bytes in whole, in part, or not at all (RFC 9110)."""

from typing import Any

import pytest
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from vouch.api.core.delivery import NoSuchPart, delivered

DATA = bytes(range(100))
PIECES = [DATA[:30], DATA[30:31], DATA[31:]]


def ask(**headers: str) -> HttpResponseBase:
    request = Request(APIRequestFactory().get("/", headers=headers))
    return delivered(request, lambda: iter(PIECES), size=100, etag="abc", media_type="audio/wav")


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_the_whole_says_that_parts_can_be_had() -> None:
    response = ask()
    assert (response.status_code, body(response), response["ETag"]) == (200, DATA, '"abc"')
    assert (response["Accept-Ranges"], response["Content-Length"]) == ("bytes", "100")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0), ("bytes=29-31", 29, 31), ("bytes=40-", 40, 99), ("bytes=-5", 95, 99),
        ("bytes=90-500", 90, 99), ("bytes=-500", 0, 99),
    ],
)  # fmt: skip
def test_a_part(asked: str, first: int, last: int) -> None:
    response = ask(Range=asked)
    assert (response.status_code, body(response)) == (206, DATA[first : last + 1])
    assert response["Content-Range"] == f"bytes {first}-{last}/100"
    assert response["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "odd", ["bytes=5-2", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes=x-y", "bytes=" + "9" * 40]
)
def test_what_is_no_single_range_gets_the_whole(odd: str) -> None:
    assert ask(Range=odd).status_code == 200


@pytest.mark.parametrize("outside", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(outside: str) -> None:
    with pytest.raises(NoSuchPart):
        ask(Range=outside)


@pytest.mark.parametrize("tags", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
def test_who_has_it_gets_nothing(tags: str) -> None:
    response = ask(**{"If-None-Match": tags})
    assert (response.status_code, response["ETag"]) == (304, '"abc"')
    assert not response.streaming


def test_a_part_of_something_else_is_not_joined_to_it() -> None:
    assert ask(**{"Range": "bytes=1-2", "If-Range": '"old"'}).status_code == 200
    assert ask(**{"Range": "bytes=1-2", "If-Range": '"abc"'}).status_code == 206
