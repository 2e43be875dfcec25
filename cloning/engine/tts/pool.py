"""Loaded voices within a memory budget: the one not used for longest goes first, one in use never does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cloning.engine.errors import EngineError
from cloning.engine.tts.shared import Shared


class Pooled(Protocol):
    """What the pool needs to know of a voice."""

    def settle(self, shared: Shared) -> frozenset[str]:
        """Called once, before anybody uses the voice: share what can be shared and make ready; -> keys to release."""
        ...

    def unshared_bytes(self) -> int:
        """Memory that `settle` did not share."""
        ...


V = TypeVar("V", bound=Pooled)


class NoRoom(EngineError):
    """The voices in use leave no room within the budget, or the voice alone is larger than it."""


@dataclass(frozen=True, slots=True)
class PoolReport:
    """`own_bytes`: for every loaded voice, what would come back if it went now. `total_bytes`: all of them together,
    shared tensors counted once. `leases`: how many voices are in use right now (one in use twice counts twice)."""

    own_bytes: dict[Hashable, int]
    total_bytes: int
    leases: int


@dataclass(slots=True)
class _Entry(Generic[V]):
    voice: V | None = None
    leases: int = 0
    keys: frozenset[str] = frozenset()
    unshared: int = 0


class VoicePool(Generic[V]):
    """Thread-safe. `budget` in bytes counts the voices' tensors, not what a request needs while it runs."""

    def __init__(self, budget: int) -> None:
        if budget < 1:
            raise ValueError("the budget must be positive")
        self.budget = budget
        self._changed = threading.Condition()
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._shared = Shared()

    @contextmanager
    def lease(self, key: Hashable, load: Callable[[], V]) -> Iterator[V]:
        """The voice of that key for the time of the `with` block, loaded by `load` if it is not here.

        Whoever asks while it is being loaded waits for that one loading. What `load` raises goes to its caller, and
        the next one tries again. Raises NoRoom when the voice does not fit beside those in use.
        """
        entry = self._taken(key, load)
        try:
            assert entry.voice is not None
            yield entry.voice
        finally:
            with self._changed:
                entry.leases -= 1
                self._make_room()

    def drop(self, key: Hashable) -> bool:
        """Forget a voice that is not in use; False when it is in use or not here."""
        with self._changed:
            entry = self._entries.get(key)
            if entry is None or entry.voice is None or entry.leases:
                return False
            self._forget(key)
            return True

    def report(self) -> PoolReport:
        """Measured sizes, in the order of last use."""
        with self._changed:
            ready = {key: entry for key, entry in self._entries.items() if entry.voice is not None}
            return PoolReport(
                own_bytes={k: self._shared.own_bytes(e.keys) + e.unshared for k, e in ready.items()},
                total_bytes=self._total(),
                leases=sum(entry.leases for entry in self._entries.values()),
            )

    def _taken(self, key: Hashable, load: Callable[[], V]) -> _Entry[V]:
        with self._changed:
            while (entry := self._entries.get(key)) is not None:
                if entry.voice is not None:
                    entry.leases += 1
                    self._entries.move_to_end(key)
                    return entry
                self._changed.wait()
            entry = self._entries[key] = _Entry()
        try:
            voice = load()
            keys, unshared = voice.settle(self._shared), voice.unshared_bytes()
        except BaseException:
            with self._changed:
                del self._entries[key]
                self._changed.notify_all()
            raise
        with self._changed:
            entry.voice, entry.keys, entry.unshared, entry.leases = voice, keys, unshared, 1
            self._entries.move_to_end(key)
            self._make_room()
            self._changed.notify_all()
            if self._total() > self.budget:
                needed = self._total()
                self._forget(key)
                raise NoRoom(
                    "no_room", f"the voices in use and this one need {needed} bytes; the budget is {self.budget}"
                )
        return entry

    def _make_room(self) -> None:
        for key in [key for key, entry in self._entries.items() if entry.voice is not None and not entry.leases]:
            if self._total() <= self.budget:
                return
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self._shared.release(entry.keys)

    def _total(self) -> int:
        return self._shared.total_bytes + sum(entry.unshared for entry in self._entries.values())
