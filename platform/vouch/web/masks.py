"""A voice's masks as the studio shows them: how far each carries the voice, in words and as a meter."""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cloning.engine.versions import STARTER
from cloning.gate_rules import VOICE_MASK
from cloning.masks import selectors
from cloning.masks.models import VoiceMask
from cloning.models import Voice
from cloning.states import MaskState, VoiceState
from foundation.errors import NotFound
from foundation.identity.actors import Actor

SHOWN: Final = 20
FARNESS: Final[tuple[tuple[float, Promise], ...]] = (
    (0.15, _("clearly somebody else")),
    (0.08, _("somebody else")),
    (0.0, _("somebody else, though not far from you")),
)
"""Words by how far below the limit a likeness is, at least."""


@dataclass(frozen=True)
class Row:
    """Numbers as text, so that no locale rewrites them; ``limit`` and ``value`` are the meter's."""

    mask: VoiceMask
    ready: bool
    making: bool
    value: str = ""
    limit: str = ""
    near: str = ""
    others: str = ""
    words: str | Promise = ""


def rows(actor: Actor, voice: Voice) -> list[Row]:
    """Newest first, without those that have ended; none where the actor may see none."""
    try:
        found = selectors.masks(actor=actor, voice_id=voice.id)
    except NotFound:
        return []
    return [_row(one) for one in found.exclude(state=MaskState.ENDED)[:SHOWN]]


def shown(actor: Actor, voice: Voice) -> dict[str, object]:
    """For the studio: all of them to the owner of a voice that can have any, to others those that they may use."""
    found = rows(actor, voice)
    offered = voice.owner_id == actor.person_id and voice.version == STARTER and voice.state == VoiceState.READY
    return {
        "masks": found,
        "masks_shown": bool(found) or offered,
        "masks_allowed": voice.consent.uses.get(VOICE_MASK) is True,
        "usable_masks": [row for row in found if row.ready],
    }


def _row(mask: VoiceMask) -> Row:
    ready, making = mask.state == MaskState.READY, mask.state == MaskState.MAKING
    if not ready or mask.likeness is None or mask.limit is None:
        return Row(mask, ready=False, making=making)
    below = mask.limit - mask.likeness
    return Row(
        mask,
        ready=True,
        making=False,
        value=f"{max(mask.likeness, 0.0):.2f}",
        limit=f"{mask.limit:.2f}",
        near=f"{mask.limit - FARNESS[1][0]:.2f}",
        others=f"{mask.others_below:.2f}",
        words=next((words for least, words in FARNESS if below >= least), FARNESS[-1][1]),
    )
