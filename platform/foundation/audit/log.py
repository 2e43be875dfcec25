"""Writing to the log, in the transaction of the act that is recorded.

The tree grows inside the database, under one lock that makes indices gap-free and puts them in commit order.
``record`` holds it only while the transaction commits; ``append`` knows the index at once and holds it from there on.

Neither holds it while the disk writes. Such a transaction commits without waiting for its flush, and waits right after,
with the lock free (``_settle``): many acts share one flush. Nobody is told of an act, and no callback of it runs,
before it is on disk; what a crash can take is only ever the end of the log, together with its acts, and never a leaf
that was signed, for a checkpoint's own commit flushes all that came before it.
"""

import re
from datetime import datetime
from typing import Any

from django.db import connection

from foundation.audit import canonical, events, flushing, merkle, people
from foundation.audit.errors import BadEvent, NotInTransaction, UnknownKind
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.identity.actors import Actor

LOCK = 0x766F756368_01
"""The advisory lock that orders leaves ("vouch", 1), taken by ``audit_place`` in the database and nowhere else."""

MAX_DATA = 8 * 1024
"""Bytes of an event's data: the log holds facts and hashes; anything larger lies in the vault, its digest here."""

# An address in clear could never be taken out of an append-only log again. "core@1.2" (a policy pack) is none.
# It begins at the sign and looks back: begun before it, the search would try every letter of the body.
_EMAIL = re.compile(r"(?<=[^\s@])@(?=[A-Za-z])[A-Za-z0-9.-]{0,250}\.[A-Za-z]{2,24}\b")


def record(*, kind: str, subject: str, actor: Actor, data: dict[str, Any], rehearsal: bool = False) -> None:
    """Writes one event whose leaf gets its index when the transaction commits; a rollback leaves nothing behind.

    For every act that need not know its index: nobody waits for the lock until the commit, which takes it inside the
    database for the time of the insert. Events of one transaction keep their order, and so do ``append``'s among
    them. ``data`` as in ``append``. Raises NotInTransaction, UnknownKind, BadEvent.
    """
    body, moment = _body(kind=kind, subject=subject, actor=actor, data=data, rehearsal=rehearsal)
    _settle_after_commit()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_record (kind, body, moment) VALUES (%s, %s, %s)", [kind, body, moment])


def append(*, kind: str, subject: str, actor: Actor, data: dict[str, Any], rehearsal: bool = False) -> Leaf:
    """Appends one event and returns its leaf; indices have no gaps and commit in order.

    Call it late in the transaction: from here to commit every other writer waits (one advisory lock, released by
    commit or rollback), and rows should be locked before it, never after, or two acts may deadlock. Where the index
    is not needed at once use ``record``. ``data`` is JSON-safe, at most 8 KiB, and holds nobody's name, address or
    words in clear: use ``commitments.commit`` for those. Ids of people become tags (``people``). Raises
    NotInTransaction, UnknownKind, BadEvent.
    """
    body, moment = _body(kind=kind, subject=subject, actor=actor, data=data, rehearsal=rehearsal)
    _settle_after_commit()
    # All that can be made ready before the lock is: everybody waits for what comes after it.
    leaf = Leaf(kind=kind, body=body, leaf_hash=merkle.leaf_hash(body), created_at=moment)
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_append(%s, %s, %s)", [kind, body, moment])
        leaf.index = cursor.fetchone()[0]
    return leaf


def _settle_after_commit() -> None:
    """Has this transaction wait for its flush when it has committed, before any other callback of it runs."""
    waiting: Any = connection.run_on_commit
    if all(callback is not _settle for _, callback, _ in waiting):
        # `transaction.on_commit` would put it last: files would be deleted and tasks sent for an act that a crash
        # could still undo.
        waiting.insert(0, (set(connection.savepoint_ids), _settle, False))


def _flush() -> None:
    """Returns when everything committed before is on disk: an empty message's own commit waits for the log's flush."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'vouch', '')")


_settle = flushing.SharedFlush(_flush).wait


def _body(*, kind: str, subject: str, actor: Actor, data: dict[str, Any], rehearsal: bool) -> tuple[bytes, datetime]:
    """The leaf's bytes and its time."""
    if not connection.in_atomic_block:
        raise NotInTransaction
    event = events.EVENTS.get(kind)
    if event is None:
        raise UnknownKind(f"'{kind}' is not in the table of events.")
    if not 1 <= len(subject) <= events.MAX_SUBJECT:
        raise BadEvent(f"A subject has 1 to {events.MAX_SUBJECT} characters.")
    if lacking := events.missing(kind, data):
        raise BadEvent(f"'{kind}' needs: {', '.join(lacking)}.")
    if unknown := events.unknown(kind, data):
        raise BadEvent(f"'{kind}' may not state: {', '.join(unknown)}. foundation.audit.events says what it states.")
    moment = now()
    at = moment.isoformat(timespec="microseconds")
    try:
        body = canonical.encode(
            {
                "v": event.version,
                "kind": kind,
                "subject": subject,
                "actor": actor.label,
                "at": at,
                "rehearsal": rehearsal,
                "data": data,
            }
        )
    except canonical.NotCanonical as error:
        raise BadEvent(str(error)) from error
    body = people.hidden(body, kind=kind, at=at)
    # The first question of each pair costs little and settles nearly every event.
    if len(body) > MAX_DATA and len(canonical.encode(data)) > MAX_DATA:
        raise BadEvent(f"At most {MAX_DATA} bytes of data.")
    if b"@" in body and _EMAIL.search(body.decode()):
        raise BadEvent("An e-mail address may not stand in the log: commit to it (foundation.audit.commitments).")
    return body, moment
