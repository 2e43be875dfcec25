"""A stream's frames on their way from the worker to the web process, through Redis: few, sealed, and soon gone.

Every stream has a key of its own, derived from the deployment's secret and the job (HKDF-SHA256, RFC 5869); every frame
is AES-256-GCM under it, numbered, so that none can be changed, left out or put elsewhere unnoticed. A job streams at
most once (`cloning.streaming`), so no number is used twice under one key. Frames expire; there are at most FRAMES_MOST,
and a worker waits for room: that is the back-pressure. A listener shows that it listens by a key that expires, so a web
process that died looks like a client that left.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import redis
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

FRAME_BYTES: Final = 32 * 1024
"""Most bytes of sound in a frame: half a second of a WAV at 32 kHz."""
FRAMES_MOST: Final = 256
"""Frames that may wait: 8 MiB, about two minutes of a WAV at 32 kHz."""
KEPT_SECONDS: Final = 120
"""How long frames lie that nobody fetches."""
LISTENS_SECONDS: Final = 30
"""How long a listener is believed without a sign; longer than a write to a slow client may take."""
STALL_SECONDS: Final = 20.0
"""How long a worker waits for room while nothing at all is fetched."""
PAUSE: Final = 0.05

START, LABEL, SOUND, PROGRESS, DONE = "start", "label", "sound", "progress", "done"
"""What a frame holds: facts of the stream (JSON), the file's head and label, sound, how far it is (JSON), the end."""
KINDS: Final = (START, LABEL, SOUND, PROGRESS, DONE)


class NobodyListens(Exception):
    """The listener left, or its process died."""


class TooSlow(NobodyListens):
    """The listener is there and fetches nothing."""


class BadFrame(Exception):
    """A frame was changed, left out, or is not this stream's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``data`` of a START, PROGRESS or DONE is JSON."""

    kind: str
    data: bytes

    def facts(self) -> dict[str, Any]:
        """The JSON of such a frame."""
        facts: dict[str, Any] = json.loads(self.data)
        return facts


class Sender:
    """The worker's end."""

    def __init__(self, job_id: UUID) -> None:
        self._names, self._cipher, self._number = _Names(job_id), _cipher(job_id), 0

    def check(self) -> None:
        """Raises NobodyListens."""
        if not _redis().exists(self._names.listens):
            raise NobodyListens

    def facts(self, kind: str, **facts: Any) -> None:
        """Sends a START, PROGRESS or DONE. Raises NobodyListens, TooSlow."""
        self._send(Frame(kind, json.dumps(facts).encode()))

    def sound(self, data: bytes, *, kind: str = SOUND) -> None:
        """Sends sound, in as many frames as it takes; waits for room. Raises NobodyListens, TooSlow."""
        for at in range(0, len(data), FRAME_BYTES):
            self._send(Frame(kind, data[at : at + FRAME_BYTES]))

    def _send(self, frame: Frame) -> None:
        self._wait_for_room()
        nonce, kind = self._number.to_bytes(12, "big"), KINDS.index(frame.kind)
        sealed = bytes([kind]) + self._cipher.encrypt(nonce, frame.data, bytes([kind]))
        self._number += 1
        pipe = _redis().pipeline()
        pipe.rpush(self._names.frames, sealed)
        pipe.expire(self._names.frames, KEPT_SECONDS)
        pipe.execute()

    def _wait_for_room(self) -> None:
        fewest, until = FRAMES_MOST, time.monotonic() + STALL_SECONDS
        while True:
            pipe = _redis().pipeline()
            pipe.exists(self._names.listens)
            pipe.llen(self._names.frames)
            listens, waiting = pipe.execute()
            if not listens:
                raise NobodyListens
            if waiting < FRAMES_MOST:
                return
            if waiting < fewest:
                fewest, until = waiting, time.monotonic() + STALL_SECONDS
            if time.monotonic() > until:
                raise TooSlow
            time.sleep(PAUSE)


class Listener:
    """The web process's end. From the moment it is made until ``leave`` the stream has a listener."""

    def __init__(self, job_id: UUID) -> None:
        self._job_id = job_id
        self._names, self._cipher, self._number = _Names(job_id), _cipher(job_id), 0
        expect(job_id)

    def next(self, seconds: float) -> Frame | None:
        """The next frame, or None when none came within ``seconds``. Raises BadFrame."""
        expect(self._job_id)
        found: Any = _redis().blpop([self._names.frames], timeout=seconds)
        if found is None:
            return None
        sealed: bytes = found[1]
        try:
            plain = self._cipher.decrypt(self._number.to_bytes(12, "big"), sealed[1:], sealed[:1])
            kind = KINDS[sealed[0]]
        except (InvalidTag, IndexError) as error:
            raise BadFrame from error
        self._number += 1
        return Frame(kind, plain)

    def leave(self) -> None:
        """Nobody listens any more; what was sent is forgotten."""
        _redis().delete(self._names.listens, self._names.frames)


def expect(job_id: UUID) -> None:
    """Somebody listens, or is about to."""
    _redis().set(_Names(job_id).listens, 1, ex=LISTENS_SECONDS)


class _Names:
    def __init__(self, job_id: UUID) -> None:
        self.frames, self.listens = f"stream:{job_id}:frames", f"stream:{job_id}:listens"


def _cipher(job_id: UUID) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt=job_id.bytes, info=b"vouch stream of speech")
    return AESGCM(derived.derive(settings.SECRET_KEY.encode()))


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL.replace("redis+socket://", "unix://"))
