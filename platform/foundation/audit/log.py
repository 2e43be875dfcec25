"""Appending to the log, in the transaction of the act that is recorded."""

import re
from typing import Any

from django.db import connection

from foundation.audit import canonical, events, merkle, tree
from foundation.audit.errors import BadEvent, NotInTransaction, UnknownKind
from foundation.audit.models import Leaf, Node
from foundation.clock import now
from foundation.identity.actors import Actor

LOCK = 0x766F756368_01
"""The advisory lock that orders appends ("vouch", 1). Nothing else in the project takes it."""

MAX_DATA = 8 * 1024
"""Bytes of an event's data: the log holds facts and hashes; anything larger lies in the vault, its digest here."""

MAX_SUBJECT = 200
"""Characters of a subject such as ``consent:<uuid>``."""

# An address in clear could never be taken out of an append-only log again. "core@1.2" (a policy pack) is none.
_EMAIL = re.compile(r"[^\s@]{1,64}@(?=[A-Za-z])[A-Za-z0-9.-]{0,250}\.[A-Za-z]{2,24}\b")


def append(*, kind: str, subject: str, actor: Actor, data: dict[str, Any], rehearsal: bool = False) -> Leaf:
    """Appends one event and returns its leaf; indices have no gaps and commit in order.

    Call it late in the transaction: from here to commit every other append waits (one advisory lock, released by
    commit or rollback), and rows should be locked before it, never after, or two acts may deadlock. ``data`` is
    JSON-safe, at most 8 KiB, and holds nobody's name, address or words in clear: use ``commitments.commit`` for those.
    Raises NotInTransaction, UnknownKind, BadEvent.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    event = events.EVENTS.get(kind)
    if event is None:
        raise UnknownKind(f"'{kind}' is not in the table of events.")
    if not 1 <= len(subject) <= MAX_SUBJECT:
        raise BadEvent(f"A subject has 1 to {MAX_SUBJECT} characters.")
    if lacking := events.missing(kind, data):
        raise BadEvent(f"'{kind}' needs: {', '.join(lacking)}.")
    moment = now()
    try:
        if len(canonical.encode(data)) > MAX_DATA:
            raise BadEvent(f"At most {MAX_DATA} bytes of data.")
        body = canonical.encode(
            {
                "v": event.version,
                "kind": kind,
                "subject": subject,
                "actor": actor.label,
                "at": moment.isoformat(timespec="microseconds"),
                "rehearsal": rehearsal,
                "data": data,
            }
        )
    except canonical.NotCanonical as error:
        raise BadEvent(str(error)) from error
    if _EMAIL.search(body.decode()):
        raise BadEvent("An e-mail address may not stand in the log: commit to it (foundation.audit.commitments).")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    index = tree.size()
    hashed = merkle.leaf_hash(body)
    leaf = Leaf.objects.create(index=index, kind=kind, body=body, leaf_hash=hashed, created_at=moment)
    Node.objects.bulk_create(tree.nodes_completed_by(index, hashed))
    return leaf
