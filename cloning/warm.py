"""Starter voices kept ready in a worker for a moment, so that the next sentence need not build them again.

A ready voice is a voice in the clear, so keeping one must not get around a clearance, nor outlive its voice. It is
found only by the bytes that the vault has just given out against a clearance, so a text without one never comes near
it. It goes after KEPT_SECONDS without use, when a newer voice needs its place, and within LOOK_SECONDS of its voice
being destroyed; when the database does not answer, at once.

Only a worker keeps any (`keep`, when a worker process begins): elsewhere every voice is built and dropped.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connection
from django.db.utils import DatabaseError

from cloning.models import Voice
from cloning.states import VoiceState

if TYPE_CHECKING:
    from cloning.engine.pieces import ReadyVoice

MOST: Final = 2
"""Voices kept: 60 MB each of a starter voice."""
KEPT_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Kept:
    voice_id: UUID
    ready: ReadyVoice
    used: float


class Shelf:
    """The voices kept. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._keeps = False
        self._watch: threading.Thread | None = None

    def keep(self) -> None:
        """From now on voices are kept."""
        self._keeps = True

    def ready(self, data: bytes, voice_id: UUID) -> ReadyVoice:
        """The voice in ``data``, which the vault gave out a moment ago. Raises VoiceFileError."""
        name = f"{voice_id}:{hashlib.sha256(data).hexdigest()}"
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                found.used = time.monotonic()
                return found.ready
        from cloning.engine import bases, voicefile
        from cloning.engine.pieces import ReadyVoice

        made = ReadyVoice(voicefile.unpack(data, base=bases.shipped))
        if self._keeps:
            self._put(name, _Kept(voice_id, made, time.monotonic()))
        return made

    def look(self, *, moment: float | None = None) -> int:
        """Drops what may not be kept any longer; how many are left."""
        moment = time.monotonic() if moment is None else moment
        with self._lock:
            held = {one.voice_id for one in self._kept.values()}
        try:
            standing = Voice.objects.filter(id__in=held).exclude(state=VoiceState.DESTROYED)
            alive = set(standing.values_list("id", flat=True))
        except DatabaseError:
            alive = set()
        with self._lock:
            self._kept = {
                name: one
                for name, one in self._kept.items()
                if one.voice_id in alive | ({one.voice_id} - held) and moment - one.used < KEPT_SECONDS
            }
            return len(self._kept)

    def clear(self) -> None:
        """Drops everything."""
        with self._lock:
            self._kept.clear()

    def _put(self, name: str, made: _Kept) -> None:
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > MOST:
                del self._kept[min(self._kept, key=lambda one: self._kept[one].used)]
            if self._watch is None or not self._watch.is_alive():
                self._watch = threading.Thread(target=self._watching, name="warm-voices", daemon=True)
                self._watch.start()

    def _watching(self) -> None:
        try:
            while True:
                time.sleep(LOOK_SECONDS)
                left = self.look()
                connection.close()
                if left:
                    continue
                with self._lock:
                    if not self._kept:
                        self._watch = None
                        return
        finally:
            connection.close()


shelf = Shelf()
