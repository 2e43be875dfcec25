"""The payloads that were issued, as a search wants them: in shards that only ever grow.

A shard holds payloads and, once asked for with a key, their codewords as packed bits (168 bytes each, 176 MB for a
million), worked out once and kept in memory only: they follow from key and payload, and on a disk they would be worth
as much as the key. Shards are scored one by one and independently, so they may lie on several machines; only the total
number of payloads has to be known where the answers come together, for the bound counts every one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from watermark.codec.codeword import check_key, check_payload, packed_codewords

#: Payloads in a full shard: 11 MB of codewords.
SHARD_SIZE = 65_536


class Shard:
    """Up to SHARD_SIZE payloads in the order of their coming."""

    def __init__(self) -> None:
        self.payloads: list[int] = []
        self._of: bytes | None = None
        self._packed: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    def packed(self, key: bytes) -> NDArray[np.uint8]:
        """Codewords (payloads, CODE_LENGTH / 8) under ``key``; only those that came since the last call are made."""
        of = hashlib.sha256(key).digest()
        if self._of != of:
            self._of, self._packed = of, packed_codewords(key, [])
        if len(self._packed) < len(self.payloads):
            new = packed_codewords(key, self.payloads[len(self._packed) :])
            self._packed = np.concatenate([self._packed, new])
        return self._packed

    def __len__(self) -> int:
        return len(self.payloads)


class IssuedIndex:
    """Payloads in shards. Grows by append(); a payload that is there already is not taken twice. Raises BadPayload."""

    def __init__(self, payloads: Iterable[int] = (), *, shard_size: int = SHARD_SIZE) -> None:
        if shard_size < 1:
            raise ValueError("a shard holds at least one payload")
        self._size = shard_size
        self._shards: list[Shard] = []
        self._known: set[int] = set()
        self.append(payloads)

    def append(self, payloads: Iterable[int]) -> int:
        """Add payloads in order; return how many were new. Nothing is added if one of them is bad."""
        new = [payload for payload in dict.fromkeys(map(check_payload, payloads)) if payload not in self._known]
        for payload in new:
            if not self._shards or len(self._shards[-1]) == self._size:
                self._shards.append(Shard())
            self._shards[-1].payloads.append(payload)
        self._known.update(new)
        return len(new)

    @property
    def shards(self) -> Sequence[Shard]:
        """All shards; every one but the last is full."""
        return tuple(self._shards)

    def warm(self, key: bytes) -> None:
        """Work out every codeword now rather than with the first search. Raises BadKey."""
        for shard in self._shards:
            shard.packed(check_key(key))

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[int]:
        for shard in self._shards:
            yield from shard.payloads

    def __contains__(self, payload: object) -> bool:
        return payload in self._known


def as_index(issued: Sequence[int] | IssuedIndex) -> IssuedIndex:
    """``issued`` itself or an index of it."""
    return issued if isinstance(issued, IssuedIndex) else IssuedIndex(issued)
