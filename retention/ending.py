"""How an item ends: its key first, then its row and leaf in the same transaction, its ciphertext after the commit."""

import logging
import uuid
from collections.abc import Iterable

from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault import storage
from foundation.vault.models import SealedObject
from retention import holds
from retention.models import MOVES, CustodyItem, CustodyPart, CustodyState, Incident

logger = logging.getLogger("retention")


def destroy(*, item: CustodyItem, reason: str, actor: Actor) -> None:
    """Ends the item and everything derived from it. Safe to call again.

    A derived item shares its parent's key, so by itself it ends by deletion of its ciphertext; the key ends with the
    parent. Under a legal hold nothing is destroyed: the deadline becomes now, so that the sweep ends the item with the
    hold.
    """
    destroy_all(items=[item], reason=reason, actor=actor)


@transaction.atomic
def destroy_all(*, items: Iterable[CustodyItem], reason: str, actor: Actor) -> list[CustodyItem]:
    """As `destroy`, for several: all rows are locked in one order before anything is logged. Returns what ended now."""
    roots = list(
        CustodyItem.objects.select_for_update(of=("self",))
        .select_related("key")
        .filter(id__in={item.id for item in items})
        .exclude(state=CustodyState.DESTROYED)
        .order_by("id")
    )
    families = [(root, _family(root)) for root in roots]
    ended: dict[uuid.UUID, CustodyItem] = {}
    for root, family in families:
        if holds.in_force(root):
            _due_now(root, family)
            continue
        if root.parent_id is None:
            vault.destroy_key(key=root.key, reason=reason, actor=actor)
        for member in family:
            if member.id not in ended and CustodyState.DESTROYED in MOVES[CustodyState(member.state)]:
                _mark_destroyed(member, reason, actor)
                ended[member.id] = member
    Incident.objects.filter(item__in=list(ended), closed_at=None).update(closed_at=now())
    # robust: the keys are gone whatever the disk says; the sweep comes back for files that are left.
    transaction.on_commit(lambda: delete_files(list(ended)), robust=True)
    return list(ended.values())


def delete_files(item_ids: Iterable[uuid.UUID] | None = None, *, at_most: int = 1_000) -> int:
    """Deletes the ciphertext of destroyed items (of these, or of any that a crash or a full disk left behind).

    Returns how many files went. A file that cannot be deleted now is tried again by the next sweep.
    """
    left = CustodyPart.objects.filter(item__state=CustodyState.DESTROYED, sealed__file_deleted_at=None)
    if item_ids is not None:
        left = left.filter(item_id__in=item_ids)
    count = 0
    for sealed_id, location in left.values_list("sealed_id", "sealed__location")[:at_most]:
        try:
            storage.current().delete(location)
        except Exception as error:  # noqa: BLE001 - whatever storage is behind, the next file still must go
            logger.warning("custody.file_left object=%s error=%s", sealed_id, type(error).__name__)
            continue
        count += SealedObject.objects.filter(id=sealed_id, file_deleted_at=None).update(file_deleted_at=now())
    return count


def _mark_destroyed(item: CustodyItem, reason: str, actor: Actor) -> None:
    item.state, item.destroyed_at, item.destroyed_reason = CustodyState.DESTROYED, now(), reason
    item.destroyed_leaf = log.append(
        kind="custody.destroyed",
        subject=f"custody:{item.id}",
        actor=actor,
        data={
            "purpose": item.purpose,
            "kind": item.kind,
            "key": str(item.key_id),
            "reason": reason,
            "commitment": item.commitment,
            "received_at": item.received_at.isoformat(),
            "deadline": item.deadline.isoformat(),
            "destroyed_at": item.destroyed_at.isoformat(),
        },
    ).index
    item.lease_until = None
    item.save(update_fields=["state", "destroyed_at", "destroyed_reason", "destroyed_leaf", "lease_until"])


def _due_now(root: CustodyItem, family: list[CustodyItem]) -> None:
    """What wants to be destroyed while it is held by law stays sealed, becomes unreadable, and ends with the hold."""
    moment = now()
    for member in family:
        if member.deadline > moment:
            member.deadline = max(moment, member.received_at)
            member.save(update_fields=["deadline"])


def _family(root: CustodyItem) -> list[CustodyItem]:
    """The item and everything derived from it, locked, parents first."""
    members, generation = [root], [root.id]
    while generation:
        children = list(CustodyItem.objects.select_for_update(of=("self",)).filter(parent_id__in=generation))
        members += children
        generation = [child.id for child in children]
    return members
