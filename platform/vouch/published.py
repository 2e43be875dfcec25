"""Reading a published log (tiles) from a folder or over HTTP, for ``vouch verify-log``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from foundation.audit import notes, tiles
from foundation.audit.tiles import BadTile, Fetch

TIMEOUT: Final = 30.0
"""Seconds a server has for one tile."""

CHECKPOINT: Final = "checkpoint"
MAX_TILE: Final = tiles.MAX_BUNDLE


def is_published(place: str) -> bool:
    """Whether ``place`` is a tile folder, or a URL that is not this platform's API."""
    if place.startswith(("https://", "http://")):
        return not place.rstrip("/").endswith("/api/v1")
    return (Path(place) / "tile").is_dir()


def fetcher(place: str) -> Fetch:
    """How to read one published file. Raises BadTile for what is too large, OSError for what cannot be read."""
    return _from_url(place.rstrip("/")) if place.startswith(("https://", "http://")) else _from_folder(Path(place))


def checkpoint(fetch: Fetch) -> str:
    """The newest signed note. Raises BadTile, notes.BadNote."""
    data = fetch(CHECKPOINT)
    if data is None:
        raise BadTile("checkpoint: missing")
    if len(data) > notes.MAX_NOTE:
        raise notes.BadNote("too long")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise notes.BadNote("not text") from error


def _from_folder(folder: Path) -> Fetch:
    def fetch(path: str) -> bytes | None:
        try:
            with (folder / path).open("rb") as file:
                data = file.read(MAX_TILE + 1)
        except FileNotFoundError:
            return None
        return _bounded(path, data)

    return fetch


def _from_url(url: str) -> Fetch:
    import httpx

    client = httpx.Client(timeout=TIMEOUT)
    get: Callable[..., Any] = client.stream

    def fetch(path: str) -> bytes | None:
        try:
            with get("GET", f"{url}/{path}") as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise BadTile(f"{path}: the server answered {response.status_code}")
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    _bounded(path, body)
                return bytes(body)
        except httpx.HTTPError as error:
            raise OSError(f"{path}: {error}") from error

    return fetch


def _bounded(path: str, data: Any) -> Any:
    if len(data) > MAX_TILE:
        raise BadTile(f"{path}: larger than any tile")
    return data
