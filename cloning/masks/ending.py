"""The ends of masks, in the caller's transaction and under its locks: with their making, or with their voice."""

from typing import TYPE_CHECKING, Final

from cloning.masks.models import VoiceMask
from cloning.states import MASK, MaskState, move
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault

if TYPE_CHECKING:
    from cloning.models import Job, Voice

ACTOR: Final = Actor.system("cloning.masks")


def failed(job: "Job") -> None:
    """A job that makes a mask came to a bad end. Nothing for any other job."""
    mask = VoiceMask.objects.select_for_update(of=("self",)).filter(job=job, state=MaskState.MAKING).first()
    if mask is not None:
        move(mask, MaskState.FAILED, MASK)
        mask.save(update_fields=["state"])


def end(mask: VoiceMask, *, reason: str, actor: Actor) -> None:
    """A locked mask ends: its state, its key, its leaf. Nothing for one that has ended."""
    if mask.state == MaskState.ENDED:
        return
    move(mask, MaskState.ENDED, MASK)
    mask.ended_at, mask.disturbance = now(), {}
    mask.save(update_fields=["state", "ended_at", "disturbance"])
    if mask.style is not None:
        vault.destroy_key(key=mask.style.key, reason=reason, actor=actor)
    log.record(
        kind="mask.ended",
        subject=f"mask:{mask.id}",
        actor=actor,
        data={"voice": str(mask.voice_id), "reason": reason},
        rehearsal=mask.voice.rehearsal,
    )


def end_all(voice: "Voice") -> None:
    """A locked voice ends, and its masks with it."""
    masks = VoiceMask.objects.select_for_update(of=("self",)).filter(voice=voice).exclude(state=MaskState.ENDED)
    for mask in masks.select_related("voice", "style__key").order_by("id"):
        end(mask, reason="voice_destroyed", actor=ACTOR)
