"""A mask put on: what the engine is told of it. Runs in a worker only, behind the gate's yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloning.errors import MaskEnded
from cloning.manner import Manner
from cloning.masks.disturbance import Disturbance
from cloning.masks.ending import ACTOR
from cloning.states import MaskState
from foundation.vault import services as vault

if TYPE_CHECKING:
    from cloning.engine.disguise import Move
    from cloning.models import SpeechRequest

MOST_BYTES: Final = 64 * 1024
"""Of a sealed style: far more than any version's."""


@dataclass(frozen=True, slots=True)
class Worn:
    """``style``: what is added to the voice's; None without a mask. ``pitch``, ``formants``: of the finished speech."""

    style: Move | None
    pitch: float
    formants: float

    @property
    def shift(self) -> dict[str, float]:
        """As `cloning.engine.shift.shifted` names it."""
        return {"pitch": self.pitch, "formants": self.formants}


def worn(request: SpeechRequest) -> Worn:
    """What the request's mask does; without one, the shift that its manner asks for. Raises MaskEnded, KeyDestroyed."""
    import numpy as np

    mask = request.mask
    if mask is None:
        manner = Manner.of(request.manner)
        return Worn(None, manner.pitch, manner.formants)
    mask.refresh_from_db()
    if mask.state != MaskState.READY or mask.style is None or mask.style.size > MOST_BYTES:
        raise MaskEnded
    style = np.frombuffer(vault.read(sealed_object=mask.style, actor=ACTOR), "<f4").astype(np.float32)
    return Worn(style, **Disturbance.of(mask.disturbance).shift)
