"""How fast one core seals and opens. Prints what it measured on this machine; nothing else depends on it."""

import hashlib
import time
from collections.abc import Iterable, Iterator

from foundation.vault import envelope

MIB = 1024 * 1024


def rates(total: int = 256 * MIB, piece: int = 256 * 1024) -> dict[str, float]:
    """MB/s (10^6 bytes a second of this process's CPU time) for ``total`` bytes in pieces of ``piece``.

    ``seal`` is the cipher alone; ``store`` adds the SHA-256 of the ciphertext that storage keeps; ``open`` unseals.
    """
    key, plain = envelope.new_data_key(), [bytes(piece)] * (total // piece)
    sealed = list(envelope.seal(key, plain, bound_to=b"bench"))
    return {
        "seal": _rate(total, envelope.seal(key, plain, bound_to=b"bench")),
        "store": _rate(total, _hashed(envelope.seal(key, plain, bound_to=b"bench"))),
        "open": _rate(total, envelope.unseal(key, sealed, bound_to=b"bench")),
    }


def _rate(total: int, work: Iterable[bytes]) -> float:
    start = time.process_time()
    for _ in work:
        pass
    return total / 1e6 / (time.process_time() - start)


def _hashed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
