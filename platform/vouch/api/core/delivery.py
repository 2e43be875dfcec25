"""Handing out bytes that have a known size and digest: whole, in part, or not at all when the client has them.

RFC 9110: one range of bytes (section 14), If-None-Match and If-Range with strong tags (section 13). Several ranges in
one answer are not made: the whole is sent, as the RFC allows.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from foundation.errors import VouchError

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class NoSuchPart(VouchError):
    """The range lies outside the recording."""

    code, status = "range_not_satisfiable", 416


def delivered(
    request: Request, read: Callable[[], Iterable[bytes]], *, size: int, etag: str, media_type: str
) -> HttpResponseBase:
    """200, 206, or 304 with nothing read. ``read`` gives the whole; ``etag`` is its digest. Raises NoSuchPart."""
    tag = f'"{etag}"'
    if has(request, tag):
        response: HttpResponseBase = HttpResponse(status=304)
    else:
        part = _part(request, size, tag)
        first, last = part or (0, size - 1)
        pieces = read() if part is None else _cut(read(), first, last)
        response = StreamingHttpResponse(pieces, content_type=media_type, status=206 if part else 200)
        response["Content-Length"] = str(last - first + 1)
        if part:
            response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["ETag"] = tag
    response["Accept-Ranges"] = "bytes"
    return response


def has(request: Request, tag: str) -> bool:
    """Whether the client has what this tag (in quotes) names: If-None-Match, by weak comparison."""
    tags = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    return tag in tags or tags == ["*"]


def _part(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    asked = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked is None or request.headers.get("If-Range", tag) != tag:
        return None
    begin, end = asked.groups()
    if begin:
        first, last = int(begin), min(int(end), size - 1) if end else size - 1
        if end and int(end) < int(begin):
            return None  # not a range at all: RFC 9110, 14.1.2
    elif end:
        first, last = max(0, size - int(end)), size - 1
    else:
        return None
    if first >= size or first > last:
        raise NoSuchPart(f"The recording has {size} bytes.", size=size)
    return first, last


def _cut(pieces: Iterable[bytes], first: int, last: int) -> Iterator[bytes]:
    place = 0
    for piece in pieces:
        begin, end = max(first - place, 0), min(last + 1 - place, len(piece))
        if begin < end:
            yield piece[begin:end]
        place += len(piece)
        if place > last:
            return
