"""Own ears: which of several readings of a text says its phones? For voices that speak the shipped base's codes.

A code stands for two frames of the content encoder, whose phone head tells what is spoken in them, so a reading can be
heard before anything makes sound of it. Its score is how well the text's phones fit the frames when they are laid along
them (`cloning.engine.alignment`). No recogniser that judges voices in `evaluate` has a part in this.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.alignment import fit, heard
from cloning.engine.config import EngineConfig, starter
from cloning.engine.text.classes import classes_of
from cloning.engine.training.base import Base, starter_base

#: Readings that are drawn of a fragment. S1 says eight in one batch in a fraction of the time that S2 takes for one.
READINGS = 8
#: A reading that takes this many times as long as half of the others has lost its end; nobody waits for it.
PATIENCE = 1.5
#: Two codebooks are one when no number differs by more: the rounding of half precision.
_ROUNDING = 1e-2


class Ears:
    """What each code of the base says. Threads may share it."""

    def __init__(self, codebook: Tensor, said: npt.NDArray[np.float32]) -> None:
        self.codebook = codebook
        self._said = said

    def score(self, codes: Tensor, ids: Sequence[int]) -> float:
        """Mean log probability a frame, at most 0, of codes N saying the phones `ids`; -inf for too few frames."""
        phones = classes_of(ids)
        if not phones or not codes.numel():
            return -np.inf
        return fit(self._said[codes.cpu().numpy()].reshape(-1, self._said.shape[2]), phones)


def known_to(config: EngineConfig, model: AcousticModel) -> Ears | None:
    """The shipped base's ears for a voice that speaks its codes; None for all others, whose codes nobody here knows."""
    if config.version != "starter" or config.acoustic.code_layout != starter().acoustic.code_layout:
        return None
    ears = shipped_ears()
    theirs = model.quantizer.book.embed.detach().float().cpu()
    same = theirs.shape == ears.codebook.shape and bool((theirs - ears.codebook).abs().max() < _ROUNDING)
    return ears if same else None


@functools.lru_cache(maxsize=1)
def shipped_ears() -> Ears:
    """Of the shipped base. Raises EngineError `missing_base`."""
    # Building them draws from torch's global generator: the first sentence of a process must not change others' draws.
    with torch.random.fork_rng(devices=[]):
        return ears_of(starter_base())


def ears_of(base: Base) -> Ears:
    """Of a base with a content encoder of its own."""
    encoder, codebook = base.build_content(), base.codebook.float()
    with torch.inference_mode():
        logits, _ = encoder.heads(codebook.view(len(codebook), -1, base.config.content.dim))
        return Ears(codebook, heard(logits))
