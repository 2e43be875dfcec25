"""Legal holds: the one thing that puts off a destruction. Two people, a reason, an end; visible to whom it
concerns.

A hold keeps the key from being destroyed, and that is all: while it stands nobody reads the item, not even its owner
and not the system itself, and nothing is derived from it. The deadline does not move either, so when the hold ends
after it the next sweep destroys the item.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from foundation.audit import log
from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotAllowed, VouchError
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.lifecycle import BRIEF
from foundation.vault.models import SealedObject
from retention import moments
from retention.errors import HoldInvalid, HoldNotOpen, HoldTakesTwo, HoldUnknown, ItemUnknown
from retention.models import HOLD_MOVES, REASON_CHARS, CustodyItem, CustodyState, HoldState, LegalHold
from retention.purposes import MAX_HOLD

logger = logging.getLogger("retention")

OPERATE = "operate"
"""The scope that may order a hold."""


@transaction.atomic
def request_hold(*, actor: Actor, item_id: UUID, reason: str, expires_at: datetime) -> LegalHold:
    """Asks for a hold on a whole recording and what was derived from it. It holds nothing until another approves it.

    Raises MissingScope, NotAllowed (the system itself asks for none), ItemUnknown, HoldInvalid, HoldTakesTwo.
    """
    actor.require_scope(OPERATE)
    if actor.person_id is None:
        raise NotAllowed("A hold is asked for by a person.")
    item = _lock_item(item_id)
    moment = now()
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_CHARS or not moment < expires_at <= moment + MAX_HOLD:
        raise HoldInvalid
    if item.parent_id is not None or item.state != CustodyState.HELD or moments.present() >= item.deadline:
        raise HoldInvalid("Only a whole recording that is held now can be put under a hold.")
    if item.subject_id == actor.person_id:
        raise HoldTakesTwo
    if item.holds.exclude(state=HoldState.ENDED).exists():
        raise HoldNotOpen("There is a hold on this recording, or one is asked for.")
    committed = commit(reason)
    hold = LegalHold.objects.create(
        item=item,
        reason=reason,
        reason_digest=committed.digest,
        reason_salt=committed.salt,
        requested_by_id=actor.person_id,
        requested_at=moment,
        expires_at=expires_at,
    )
    _record(hold, "hold.requested", actor)
    return hold


@transaction.atomic
def approve_hold(*, actor: Actor, hold_id: UUID) -> LegalHold:
    """The second person's yes: from now on the item is not destroyed and not read.

    Raises MissingScope, HoldUnknown, HoldNotOpen, HoldTakesTwo.
    """
    actor.require_scope(OPERATE)
    hold = _lock(hold_id)
    if actor.person_id is None or actor.person_id in (hold.requested_by_id, hold.item.subject_id):
        raise HoldTakesTwo
    if HoldState.ACTIVE not in HOLD_MOVES[HoldState(hold.state)] or hold.expires_at <= now():
        raise HoldNotOpen
    if hold.item.state != CustodyState.HELD:
        raise HoldNotOpen("The recording is gone.")
    hold.state, hold.approved_by_id, hold.approved_at = HoldState.ACTIVE, actor.person_id, now()
    hold.leaf_index = _record(hold, "hold.approved", actor)
    hold.save(update_fields=["state", "approved_by_id", "approved_at", "leaf_index"])
    return hold


@transaction.atomic
def end_hold(*, actor: Actor, hold_id: UUID) -> LegalHold:
    """Takes a request back, or ends a hold before its time, which takes two: one asks for it, another agrees.

    The first call on an active hold writes down who asked; the hold stands until another person's call. Raises
    MissingScope, HoldUnknown, HoldNotOpen, HoldTakesTwo (the same person twice, or the one it concerns).
    """
    actor.require_scope(OPERATE)
    hold = _lock(hold_id)
    if hold.state == HoldState.REQUESTED:
        return _end(hold, "released", actor)
    if HoldState.ENDED not in HOLD_MOVES[HoldState(hold.state)] or hold.expires_at <= now():
        raise HoldNotOpen
    if actor.person_id is None or actor.person_id in (hold.ending_by_id, hold.item.subject_id):
        raise HoldTakesTwo
    if hold.ending_by_id is not None:
        return _end(hold, "released", actor)
    hold.ending_by_id, hold.ending_at = actor.person_id, now()
    _record(hold, "hold.release_requested", actor)
    hold.save(update_fields=["ending_by", "ending_at"])
    return hold


def expire_holds() -> int:
    """Ends every hold whose time is over; returns how many. Safe to run twice and by several at once."""
    actor = Actor.system("retention.holds")
    ended = 0
    over = LegalHold.objects.exclude(state=HoldState.ENDED).filter(expires_at__lte=now())
    for hold_id in over.values_list("id", flat=True):
        with transaction.atomic():
            hold = _lock(hold_id)
            if hold.state != HoldState.ENDED and hold.expires_at <= now():
                _end(hold, "expired", actor)
                ended += 1
    return ended


def keep_files() -> int:
    """Moves the files of what is held out of the reach of a bucket's own expiry; returns how many.

    Days remain before a bucket would act, so a file that cannot be moved now waits for the next sweep.
    """
    moved = 0
    standing = LegalHold.objects.filter(state=HoldState.ACTIVE, expires_at__gt=now())
    # What was derived from a recording is sealed under its key.
    parts = SealedObject.objects.filter(
        key_id__in=standing.values("item__key_id"), location__startswith=BRIEF, file_deleted_at=None
    )
    for sealed in parts:
        try:
            moved += vault.keep_on(sealed_object=sealed)
        except VouchError as error:
            logger.warning("custody.held_file_not_moved object=%s error=%s", sealed.id, error.code)
    return moved


def in_force(item: CustodyItem) -> bool:
    """Is the item, or what it was derived from, under a hold now?"""
    standing = LegalHold.objects.filter(state=HoldState.ACTIVE, expires_at__gt=now())
    while not standing.filter(item_id=item.id).exists():
        if item.parent is None:
            return False
        item = item.parent
    return True


def held_by_law() -> Q:
    """The roots under a hold now, as a condition on CustodyItem."""
    standing = LegalHold.objects.filter(state=HoldState.ACTIVE, expires_at__gt=now())
    return Q(id__in=standing.values("item_id"))


def holds(*, actor: Actor) -> QuerySet[LegalHold]:
    """Every hold, newest first, for operators and auditors. Raises MissingScope."""
    if "audit:read" not in actor.scopes:
        actor.require_scope(OPERATE)
    return LegalHold.objects.select_related("item").order_by("-requested_at")


def _end(hold: LegalHold, reason: str, actor: Actor) -> LegalHold:
    if HoldState.ENDED not in HOLD_MOVES[HoldState(hold.state)]:
        raise HoldNotOpen
    hold.state, hold.ended_at, hold.ended_reason = HoldState.ENDED, now(), reason
    hold.ended_by_id = actor.person_id
    _record(hold, "hold.ended", actor)
    hold.save(update_fields=["state", "ended_by", "ended_at", "ended_reason"])
    return hold


def _record(hold: LegalHold, kind: str, actor: Actor) -> int:
    """The reason stands in the log as a commitment only: it may name people."""
    return log.append(
        kind=kind,
        subject=f"custody:{hold.item_id}",
        actor=actor,
        data={
            "hold": str(hold.id),
            "reason": hold.reason_digest,
            "expires_at": hold.expires_at.isoformat(),
            "ended": hold.ended_reason or None,
        },
    ).index


def _lock_item(item_id: UUID) -> CustodyItem:
    found = CustodyItem.objects.select_for_update(of=("self",)).filter(id=item_id).first()
    if found is None:
        raise ItemUnknown
    return found


def _lock(hold_id: UUID) -> LegalHold:
    """The hold, its item locked first: the sweep and every other end of the item lock it too."""
    found = LegalHold.objects.filter(id=hold_id).first()
    if found is None:
        raise HoldUnknown
    item = _lock_item(found.item_id)
    hold = LegalHold.objects.select_for_update(of=("self",)).get(id=hold_id)
    hold.item = item
    return hold
