"""A sketch of a text: enough to tell that two are nearly the same, too little to read either.

MinHash (Broder 1997) over the stretches of ``SHINGLE`` letters of the text as a listener hears it
(`safety.detectors.normalise`): one changed word moves a few of them, no writing trick moves any. Of each of ``SLOTS``
random orders the smallest stretch is kept as 16 bits, keyed by the voice, so that sketches of two voices say nothing to
each other. The share of equal slots estimates the Jaccard similarity, with a standard error of at most 0.05.
"""

import hashlib
from typing import Final
from uuid import UUID

from safety.detectors.normalise import normalise

SHINGLE: Final = 4
SLOTS: Final = 96
LEAST: Final = 8
"""Stretches a text needs: of a shorter one a changed word leaves nothing, and only its digest knows it again."""
SAME_TEXT: Final = 0.5
"""From this likeness on two texts are one with small edits: a word in six may have changed. Others of a language stay
under 0.15."""
_PRIME: Final = (1 << 31) - 1


def sketch(text: str, *, voice: UUID) -> bytes:
    """2 * SLOTS bytes, or none for a text of fewer than LEAST stretches. Linear in the text."""
    import numpy as np

    letters = normalise(text)[0].letters
    pieces = {letters[at : at + SHINGLE] for at in range(len(letters) - SHINGLE + 1)}
    if len(pieces) < LEAST:
        return b""
    hashes = [hashlib.blake2b(piece.encode(), key=voice.bytes, digest_size=4).digest() for piece in pieces]
    values = np.frombuffer(b"".join(hashes), "<u4").astype(np.uint64) % _PRIME
    random = np.random.Generator(np.random.PCG64(1))  # the same orders for everybody, always
    factors = random.integers(1, _PRIME, (SLOTS, 1), np.uint64)
    shifts = random.integers(0, _PRIME, (SLOTS, 1), np.uint64)
    lowest = ((values[None, :] * factors + shifts) % _PRIME).min(axis=1)
    return bytes((lowest & 0xFFFF).astype("<u2").tobytes())


def likeness(one: bytes, other: bytes) -> float:
    """0..1: the share of equal slots; 0 where either text was too short."""
    import numpy as np

    if not one or len(one) != len(other):
        return 0.0
    return float((np.frombuffer(one, "<u2") == np.frombuffer(other, "<u2")).mean())
