"""Bases as voices: what adapter voices are added to, found by the digest they name."""

from __future__ import annotations

import functools

from cloning.engine.training.base import Base, starter_base
from cloning.engine.voicefile import Voice


def as_voice(base: Base) -> Voice:
    """The base without a reference, for speaking, weights in the base's own precision where it has them.

    A part that the base lacks gets the weights that the seed 0 gives it, as in `train_many`.
    """
    semantic = base.build_semantic(0).state_dict() if base.semantic is None else base.semantic
    # Built in any case: the codebook is a file of its own, and weights from a file may lack it.
    acoustic = base.build_acoustic(0).state_dict()
    whole = Voice(config=base.config, language="en", semantic=semantic, acoustic=acoustic, base_digest=base.digest)
    return whole.for_speaking()


@functools.lru_cache(maxsize=1)
def _starter() -> Voice:
    return as_voice(starter_base())


def shipped(digest: str) -> Voice | None:
    """The base that comes with the engine, if the digest is its own: what to give to `voicefile.unpack` as `base=`."""
    voice = _starter()
    return voice if digest == voice.digest() else None
