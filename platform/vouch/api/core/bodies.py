"""Request bodies: bounded before they are read, never spooled."""

from collections.abc import Iterator
from typing import Any, NoReturn

from django.core.files.uploadhandler import FileUploadHandler
from rest_framework.request import Request

from foundation.errors import TooLarge, VouchError

CHUNK = 64 * 1024


class LengthRequired(VouchError):
    """Send a Content-Length header: bodies of unknown length are not accepted."""

    code, status = "length_required", 411


class BodyCutShort(VouchError):
    """The body ended before its announced length."""

    code, status = "body_cut_short", 400


def stream_body(request: Request, *, max_bytes: int, chunk: int = CHUNK) -> Iterator[bytes]:
    """The raw body in pieces of at most ``chunk`` bytes, straight from the socket.

    The bound is checked against Content-Length before the first byte is read, at the call and not at the first
    iteration. Raises LengthRequired, TooLarge (413); the iterator raises BodyCutShort when the client stops early.
    """
    return _pieces(request, check_length(request, max_bytes=max_bytes), chunk)


def check_length(request: Request, *, max_bytes: int) -> int:
    """The announced length of a body, before anything of it is read. Raises LengthRequired, TooLarge (413)."""
    raw = request.META.get("CONTENT_LENGTH") or ""
    if not raw.isdigit():
        raise LengthRequired
    announced = int(raw)
    if announced > max_bytes:
        raise TooLarge(f"At most {max_bytes} bytes are accepted; {announced} were announced.", max_bytes=max_bytes)
    return announced


def read_body(request: Request, *, max_bytes: int) -> bytes:
    """The whole raw body, for small ones. Raises as ``stream_body``."""
    return b"".join(stream_body(request, max_bytes=max_bytes))


def _pieces(request: Request, announced: int, chunk: int) -> Iterator[bytes]:
    left = announced
    while left:
        piece: bytes = request._request.read(min(chunk, left))
        if not piece:
            raise BodyCutShort(f"{announced - left} of {announced} bytes arrived.")
        left -= len(piece)
        yield piece


class NoUploads(FileUploadHandler):
    """Refuses every file in a form: recordings have their own streamed addresses and are never spooled to disk."""

    chunk_size = CHUNK

    def new_file(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TooLarge("Files are not accepted in forms.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> NoReturn:
        raise TooLarge("Files are not accepted in forms.")

    def file_complete(self, file_size: int) -> None:
        return None
