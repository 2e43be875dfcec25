"""Own ears: which of several readings of a text says its phones? For voices that speak the shipped base's codes.

A code stands for two frames of the content encoder, whose phone head tells what is spoken in them, so a reading can be
heard before anything makes sound of it. Its score is that of the best way to lay the text's phones along the frames
(Viterbi), each at least one frame long, pauses wherever they fit: a skipped phone must still be laid on a frame that
says another one, and what is said twice or made up must be laid on phones it is not. No recogniser that judges voices
in `evaluate` has a part in this.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig, starter
from cloning.engine.starter.corpus import PHONE_INDEX, phone_class
from cloning.engine.text.symbols import SYMBOLS
from cloning.engine.training.base import Base, starter_base

#: Readings that are drawn of a fragment. S1 says eight in one batch in a fraction of the time that S2 takes for one.
READINGS = 8
#: A reading that takes this many times as long as half of the others has lost its end; nobody waits for it.
PATIENCE = 1.5
#: Least log probability of a phone in a frame: one frame told wrongly is not the end of a reading.
LEAST = -7.0
PAUSE = PHONE_INDEX["pau"]
#: The synthesiser's reduced vowel, which the text's symbols do not tell from `ah`.
_AX, _AH = PHONE_INDEX["ax"], PHONE_INDEX["ah"]
#: Two codebooks are one when no number differs by more: the rounding of half precision.
_ROUNDING = 1e-2


class Ears:
    """What each code of the base says. Threads may share it."""

    def __init__(self, codebook: Tensor, said: npt.NDArray[np.float32]) -> None:
        self.codebook = codebook
        self._said = said

    def score(self, codes: Tensor, ids: Sequence[int]) -> float:
        """Mean log probability a frame, at most 0, of codes N saying the phones `ids`; -inf for too few frames."""
        phones = wanted(ids)
        if not phones or not codes.numel():
            return -np.inf
        return fit(self._said[codes.cpu().numpy()].reshape(-1, self._said.shape[2]), phones)


def known_to(config: EngineConfig, model: AcousticModel) -> Ears | None:
    """The shipped base's ears for a voice that speaks its codes; None for all others, whose codes nobody here knows."""
    if config.version != "starter" or config.acoustic != starter().acoustic:
        return None
    ears = shipped_ears()
    theirs = model.quantizer.book.embed.detach().float().cpu()
    return ears if bool((theirs - ears.codebook).abs().max() < _ROUNDING) else None


@functools.lru_cache(maxsize=1)
def shipped_ears() -> Ears:
    """Of the shipped base. Raises EngineError `missing_base`."""
    return ears_of(starter_base())


def ears_of(base: Base) -> Ears:
    """Of a base with a content encoder of its own."""
    encoder, codebook = base.build_content(), base.codebook.float()
    with torch.inference_mode():
        logits, _ = encoder.heads(codebook.view(len(codebook), -1, base.config.content.dim))
        said = logits.log_softmax(-1)
        said[..., _AH] = torch.logaddexp(said[..., _AH], said[..., _AX])
    return Ears(codebook, said.clamp(min=LEAST).numpy())


def wanted(ids: Sequence[int]) -> list[int]:
    """Phones, as the encoder's classes, of a text's symbols; marks are pauses, which need not be spoken."""
    classes = (phone_class(SYMBOLS[row]) for row in ids)
    return [phone for phone in classes if phone is not None]


def fit(said: npt.NDArray[np.float32], phones: Sequence[int]) -> float:
    """Mean over frames of the best alignment's log probabilities: said T x classes, phones in order -> at most 0; -inf
    when there are fewer frames than phones."""
    if len(said) < len(phones):
        return -np.inf
    states = np.full(2 * len(phones) + 1, PAUSE)
    states[1::2] = phones
    each = said[:, states].astype(np.float64)
    # A phone follows the pause before it, or the phone before that when the pause is left out.
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = True
    best = np.full(len(states), -np.inf)
    best[:2] = each[0, :2]
    for now in each[1:]:
        stepped, skipped = np.full_like(best, -np.inf), np.full_like(best, -np.inf)
        stepped[1:] = best[:-1]
        skipped[2:] = np.where(skips[2:], best[:-2], -np.inf)
        best = np.maximum(best, np.maximum(stepped, skipped)) + now
    return float(best[-2:].max()) / len(said)
