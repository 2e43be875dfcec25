"""Asking for a mask, naming it, ending it: by the voice's owner alone, each an act with its leaf."""

import secrets
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from cloning import errors, gate, jobs
from cloning.engine.versions import STARTER
from cloning.masks import ending
from cloning.masks.models import MAX_NAME, VoiceMask
from cloning.models import MAX_SEED, Job, JobKind, Voice
from cloning.states import OPEN_JOB_STATES, MaskState, VoiceState
from consent.models import Consent
from foundation.audit import log
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor

MOST: Final = 10
"""Masks of a voice that are in use or being made."""
IN_USE: Final = (MaskState.MAKING, MaskState.READY)


def request_mask(*, actor: Actor, voice_id: UUID, name: str, seed: int | None = None) -> VoiceMask:
    """A mask of the actor's own voice, and the queued job that seeks it (``mask.job``).

    ``seed``, 0 to 2**31-1, decides in what order disturbances are tried; without one it is drawn. Raises GateRefused
    (VoiceUnknown for a voice of somebody else's), MaskVersion, MaskExists, TooManyMasks, MaskBeingMade, Refused (name,
    seed).
    """
    name = _checked(name)
    seed = secrets.randbelow(MAX_SEED + 1) if seed is None else seed
    if not 0 <= seed <= MAX_SEED:
        raise Refused(f"A seed is 0 to {MAX_SEED}.", code="seed_invalid")
    if actor.person_id is None:
        raise NotFound
    with transaction.atomic():
        judgement = gate.judge_mask(voice_id=voice_id, owner_id=actor.person_id)
        if judgement.refusal is None and judgement.voice is not None:
            return _make(actor, judgement.voice, name, seed)
        gate.log_refusal(actor, judgement, purpose="speak")
    raise judgement.refusal or errors.VoiceUnknown()


def _make(actor: Actor, voice: Voice, name: str, seed: int) -> VoiceMask:
    if voice.version != STARTER:
        raise errors.MaskVersion
    if voice.state != VoiceState.READY:  # an instant voice has none
        raise errors.VoiceNotReady
    used = VoiceMask.objects.filter(voice=voice, state__in=IN_USE)
    if used.count() >= MOST:
        raise errors.TooManyMasks(f"A voice has at most {MOST}.")
    if Job.objects.filter(voice=voice, kind=JobKind.MASK, state__in=OPEN_JOB_STATES).exists():
        raise errors.MaskBeingMade
    if used.filter(name=name).exists():
        raise errors.MaskExists
    job = Job.objects.create(kind=JobKind.MASK, voice=voice, requester_id=voice.owner_id, stage="queued")
    mask = VoiceMask.objects.create(voice=voice, owner_id=voice.owner_id, job=job, name=name, seed=seed)
    log.record(
        kind="mask.requested",
        subject=f"mask:{mask.id}",
        actor=actor,
        data={"voice": str(voice.id), "job": str(job.id)},
        rehearsal=voice.rehearsal,
    )
    jobs.enqueue(job)
    return mask


@transaction.atomic
def rename_mask(*, actor: Actor, mask_id: UUID, name: str) -> VoiceMask:
    """Another name for a mask of the actor's own. Raises NotFound, MaskExists, MaskEnded, Refused."""
    mask = _own(actor, mask_id)
    name = _checked(name)
    if mask.state not in IN_USE:
        raise errors.MaskEnded
    try:
        with transaction.atomic():
            mask.name = name
            mask.save(update_fields=["name"])
    except IntegrityError as error:
        raise errors.MaskExists from error
    return mask


@transaction.atomic
def end_mask(*, actor: Actor, mask_id: UUID) -> VoiceMask:
    """Ends a mask of the actor's own: nothing more is spoken through it. Safe to call twice. What was spoken stays.

    Raises NotFound, MaskNotReady (it is being made).
    """
    mask = _own(actor, mask_id)
    if mask.state == MaskState.MAKING:
        raise errors.MaskNotReady("This mask is being made; end it when it is done.")
    ending.end(mask, reason="ended_by_owner", actor=actor)
    return mask


def _own(actor: Actor, mask_id: UUID) -> VoiceMask:
    """Locked, after its consent: a clearance that is being given comes before or after, never between."""
    consent_id = VoiceMask.objects.filter(id=mask_id, owner_id=actor.person_id).values_list("voice__consent_id")
    if Consent.objects.select_for_update(of=("self",)).filter(id__in=consent_id).first() is None:
        raise NotFound
    rows = VoiceMask.objects.select_for_update(of=("self",)).select_related("voice", "style__key")
    return rows.get(id=mask_id)


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Refused(f"A mask's name has 1 to {MAX_NAME} characters.", code="name_invalid")
    return name
