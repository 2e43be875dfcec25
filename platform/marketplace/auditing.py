"""The licensing audit: every recording of a period against the licence, consent and log entry it rested on at its time.

Set-based: one pass over the recordings with everything they are held against joined in, one over the running sums of
what was used, one over the log. The moment judged is the gate's last yes (``cleared_at``): a licence that ended while
its text was being spoken was in force when that was allowed. Nothing is believed that can be held against the log: the
entry of each recording, and the entry that granted each licence, must say the same as the row.

What is not replayed: what a text was about (the texts are gone by design; the owner's approvals are), and whether a
recording was really used where its requester declared.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from consent import compact
from foundation.audit import receipts
from foundation.audit.errors import NoSuchLeaf
from foundation.clock import now
from marketplace.auditing_charges import CHARGES

MOST: Final = 10_000
"""Findings listed; all are counted."""
PROOFS: Final = 100
"""Findings whose log entries are proved in the report."""

KINDS: Final = {
    "unlicensed": "spoken by somebody who is not the owner, without a licence",
    "own_use": "spoken by the owner without consent to own use",
    "not_licensee": "spoken by somebody who neither holds the licence nor had a seat in it",
    "term": "spoken outside the licence's term",
    "consent": "spoken outside the term of the consent, or after its end",
    "other_consent": "spoken under a licence of another consent's voice",
    "languages": "in a language that is not licensed",
    "channels": "for a channel that is not licensed, or not declared",
    "territory": "for a territory that is not licensed, or not declared",
    "uses": "for a use that is not licensed",
    "approval": "without the owner's approval that the licence asks for",
    "exclusive": "while another licence was exclusive",
    "cap.characters": "beyond the licensed characters",
    "cap.seconds": "beyond the licensed seconds",
    "cap.outputs": "beyond the licensed outputs",
    "unmetered": "without a row of usage",
    "log": "whose log entry says something else, or is missing",
    "unrecorded": "in the log, without a recording",
    "licence_log": "under a licence whose log entry says something else, or is missing",
    "counter": "under a licence whose counter is not the sum of its uses",
    "charge": "charged by the month or of revenue, not as the order and its log entry say",
    "uncharged": "a month that is over, or revenue that was paid, without a charge",
    "undeclared": "used in a month whose revenue is overdue and was not declared",
}
"""Every finding there is, in words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: the recording (or licence) it is about, and the log entries that show it."""

    kind: str
    subject: str
    licence: str | None
    at: datetime | None
    leaves: tuple[int, ...]
    said: str = ""


@dataclass(slots=True)
class Audit:
    """``outputs``: recordings looked at. ``counts``: findings by kind, also those beyond ``MOST``."""

    since: datetime
    until: datetime
    outputs: int = 0
    licences: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, found: Finding) -> None:
        self.counts[found.kind] += 1
        if len(self.findings) < MOST:
            self.findings.append(found)


_OUTPUTS: Final = """
WITH exclusive AS MATERIALIZED (
    SELECT id, consent_id, granted_at, least(valid_until, ended_at) AS over FROM consent_licence
    WHERE scope @> '{"exclusive": true}'
), judged AS (
    SELECT o.id, o.created_at, o.leaf_index, o.licence_id, l.leaf_index AS licence_leaf,
           coalesce(r.cleared_at, r.created_at) AS at,
           o.requester_id = v.owner_id AS own, v.language AS voice_language, o.requester_id,
           u.id AS usage_id, u.consent_id, u.characters, r.language, r.channel, r.territory, r.uses,
           r.approval_id, a.state AS approval_state, o.sha256, o.voice_id,
           l.licensee_id, l.scope, l.granted_at, least(l.valid_until, l.ended_at) AS over,
           l.consent_id AS licence_consent, c.uses AS allowed, c.languages AS spoken, c.territory AS countries,
           c.given_at, least(c.valid_until, c.ended_at) AS consent_over, leaf.kind AS leaf_kind,
           convert_from(leaf.body, 'UTF8')::jsonb AS entry
    FROM cloning_output o
    JOIN cloning_speechrequest r ON r.id = o.request_id
    JOIN cloning_voice v ON v.id = o.voice_id
    LEFT JOIN cloning_usage u ON u.output_id = o.id
    LEFT JOIN consent_licence l ON l.id = o.licence_id
    LEFT JOIN consent_consent c ON c.id = u.consent_id
    LEFT JOIN cloning_textapproval a ON a.id = r.approval_id
    LEFT JOIN audit_leaf leaf ON leaf.index = o.leaf_index
    WHERE o.created_at >= %(since)s AND o.created_at < %(until)s
), found AS (
    SELECT id, licence_id, created_at, leaf_index, licence_leaf, array_remove(ARRAY[
        CASE WHEN usage_id IS NULL THEN 'unmetered' END,
        CASE WHEN licence_id IS NULL AND NOT own THEN 'unlicensed' END,
        CASE WHEN licence_id IS NULL AND own AND usage_id IS NOT NULL
             AND allowed -> 'own_use' IS DISTINCT FROM 'true'::jsonb THEN 'own_use' END,
        CASE WHEN licence_id IS NOT NULL AND requester_id <> licensee_id AND NOT EXISTS (
            SELECT 1 FROM consent_licenceseat s WHERE s.licence_id = judged.licence_id
            AND s.person_id = judged.requester_id AND s.joined_at <= judged.at
            AND (s.returned_at IS NULL OR s.returned_at > judged.at)) THEN 'not_licensee' END,
        CASE WHEN licence_id IS NOT NULL AND (at < granted_at OR at >= over) THEN 'term' END,
        CASE WHEN usage_id IS NOT NULL AND (created_at < given_at OR at >= consent_over) THEN 'consent' END,
        CASE WHEN licence_consent <> consent_id AND NOT EXISTS (
            SELECT 1 FROM cloning_voice w WHERE w.id = judged.voice_id AND w.consent_id = licence_consent)
            THEN 'other_consent' END,
        CASE WHEN NOT spoken ? language OR (scope ? 'languages' AND NOT scope -> 'languages' ? language)
             THEN 'languages' END,
        CASE WHEN scope ? 'channels' AND NOT scope -> 'channels' ? channel THEN 'channels' END,
        CASE WHEN licence_id IS NOT NULL AND CASE WHEN scope ? 'territory' THEN NOT scope -> 'territory' ? territory
             ELSE countries <> 'worldwide' AND NOT territory = ANY (string_to_array(countries, ',')) END
             THEN 'territory' END,
        CASE WHEN licence_id IS NOT NULL AND usage_id IS NOT NULL AND (
                (uses <> '[]'::jsonb AND (
                    (scope ? 'uses' AND NOT scope -> 'uses' @> uses) OR EXISTS (
                        SELECT 1 FROM jsonb_array_elements_text(uses) AS one
                        WHERE allowed -> one IS DISTINCT FROM 'true'::jsonb)))
                OR (language <> voice_language AND (
                    allowed -> 'cross_lingual' IS DISTINCT FROM 'true'::jsonb
                    OR (scope ? 'uses' AND NOT scope -> 'uses' ? 'cross_lingual')))
                OR allowed -> 'licence_to_others' IS DISTINCT FROM 'true'::jsonb) THEN 'uses' END,
        CASE WHEN (scope ->> 'moderation' = 'every' AND approval_id IS NULL)
             OR approval_state <> 'approved' THEN 'approval' END,
        CASE WHEN licence_id IS NOT NULL AND (SELECT count(*) FROM exclusive) > 0 AND EXISTS (
            SELECT 1 FROM exclusive e WHERE e.consent_id = judged.licence_consent AND e.id <> judged.licence_id
            AND judged.at >= e.granted_at AND judged.at < e.over) THEN 'exclusive' END,
        CASE WHEN leaf_kind IS DISTINCT FROM 'output.sealed'
             OR entry ->> 'subject' IS DISTINCT FROM 'output:' || id
             OR entry #>> '{data,sha256}' IS DISTINCT FROM sha256
             OR entry #>> '{data,voice}' IS DISTINCT FROM voice_id::text
             OR entry #>> '{data,licence}' IS DISTINCT FROM licence_id::text
             OR (usage_id IS NOT NULL AND (entry #>> '{data,consent}' IS DISTINCT FROM consent_id::text
                 OR (entry #>> '{data,characters}')::bigint IS DISTINCT FROM characters)) THEN 'log' END
    ], NULL) AS kinds FROM judged
)
SELECT id, licence_id, created_at, leaf_index, licence_leaf, kinds FROM found WHERE kinds <> '{}'
ORDER BY created_at, id
"""
_CAPS: Final = """
WITH touched AS (
    SELECT DISTINCT licence_id FROM cloning_usage
    WHERE licence_id IS NOT NULL AND created_at >= %(since)s AND created_at < %(until)s
), summed AS (
    SELECT u.output_id, u.licence_id, u.created_at,
           sum(u.characters) OVER w AS characters,
           sum(ceil(u.seconds::numeric * 1000)) OVER w AS milliseconds, count(*) OVER w AS outputs
    FROM cloning_usage u JOIN touched t ON t.licence_id = u.licence_id
    WHERE u.created_at < %(until)s
    WINDOW w AS (PARTITION BY u.licence_id ORDER BY u.created_at, u.id)
)
SELECT s.output_id, s.licence_id, s.created_at, o.leaf_index, l.leaf_index, s.characters, s.milliseconds, s.outputs,
       l.characters_cap, l.milliseconds_cap, l.outputs_cap
FROM summed s JOIN consent_licence l ON l.id = s.licence_id JOIN cloning_output o ON o.id = s.output_id
WHERE s.created_at >= %(since)s AND (s.characters > l.characters_cap
    OR s.milliseconds > l.milliseconds_cap OR s.outputs > l.outputs_cap)
ORDER BY s.created_at, s.output_id
"""
_COUNTERS: Final = """
SELECT l.id, l.leaf_index, l.characters_used, coalesce(sum(u.characters), 0), l.outputs_used, count(u.id)
FROM consent_licence l LEFT JOIN cloning_usage u ON u.licence_id = l.id
WHERE l.granted_at < %(until)s
GROUP BY l.id HAVING l.characters_used <> coalesce(sum(u.characters), 0)
    OR (l.outputs_used <> count(u.id) AND l.statement <> '{}'::jsonb)
ORDER BY l.id
"""
_UNRECORDED: Final = """
SELECT leaf.index, leaf.created_at FROM audit_leaf leaf
WHERE leaf.kind = 'output.sealed' AND leaf.created_at >= %(since)s AND leaf.created_at < %(until)s
AND NOT EXISTS (SELECT 1 FROM cloning_output o WHERE o.leaf_index = leaf.index)
ORDER BY leaf.index
"""
_LICENCES: Final = """
SELECT l.id, l.leaf_index, l.statement, l.licensee_id, entry #>> '{data,statement}', (
    leaf.index IS NULL OR entry ->> 'subject' IS DISTINCT FROM 'licence:' || l.id
    OR entry #> '{data,scope}' IS DISTINCT FROM l.scope
    OR (entry #>> '{data,characters}')::bigint IS DISTINCT FROM l.characters_cap
    OR (entry #>> '{data,valid_until}')::timestamptz < l.valid_until)
FROM consent_licence l
LEFT JOIN audit_leaf leaf ON leaf.index = l.leaf_index AND leaf.kind = 'licence.granted'
CROSS JOIN LATERAL (SELECT convert_from(leaf.body, 'UTF8')::jsonb AS entry) e
WHERE l.granted_at < %(until)s
ORDER BY l.id
"""
_COUNT: Final = """
SELECT count(*), count(DISTINCT licence_id) FROM cloning_output
WHERE created_at >= %(since)s AND created_at < %(until)s
"""


def _charges(cursor: Any, bounds: dict[str, Any]) -> Iterator[Finding]:
    """What is paid by the month, or of revenue (`auditing_charges`)."""
    for kind, order, licence, at, leaf, said in _rows(cursor, CHARGES, bounds | {"now": now()}):
        yield Finding(kind, f"order:{order}", _text(licence), at, _leaves(leaf), said)


def audit(*, since: datetime, until: datetime) -> Audit:
    """Replays ``since <= made < until``. Read only; in one snapshot unless the caller is in a transaction already."""
    done = Audit(since, until)
    bounds = {"since": since, "until": until}
    alone = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if alone:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(_COUNT, bounds)
        done.outputs, done.licences = cursor.fetchone()
        for output, licence, at, leaf, licence_leaf, kinds in _rows(cursor, _OUTPUTS, bounds):
            for kind in kinds:
                done.add(Finding(kind, f"output:{output}", _text(licence), at, _leaves(leaf, licence_leaf)))
        for row in _rows(cursor, _CAPS, bounds):
            for found in _over(row):
                done.add(found)
        for licence, leaf, counted, used, outputs, uses in _rows(cursor, _COUNTERS, bounds):
            said = f"counted {counted} characters and {outputs} outputs, used {used} and {uses}"
            done.add(Finding("counter", f"licence:{licence}", str(licence), None, _leaves(leaf), said))
        for leaf, at in _rows(cursor, _UNRECORDED, bounds):
            done.add(Finding("unrecorded", f"leaf:{leaf}", None, at, (leaf,)))
        for licence, leaf, statement, licensee, logged, differs in _rows(cursor, _LICENCES, bounds):
            if differs or not _stated(json.loads(statement), licensee, logged):
                done.add(Finding("licence_log", f"licence:{licence}", str(licence), None, _leaves(leaf)))
        for found in _charges(cursor, bounds):
            done.add(found)
    return done


def proofs(found: Audit) -> dict[str, Any]:
    """The log's receipts of what the first findings name, by leaf index. Outside a transaction only."""
    proved: dict[str, Any] = {}
    for finding in found.findings[:PROOFS]:
        for leaf in finding.leaves:
            if str(leaf) not in proved:
                try:
                    proved[str(leaf)] = receipts.receipt(leaf)
                except NoSuchLeaf:
                    proved[str(leaf)] = None
    return proved


def report(found: Audit) -> dict[str, Any]:
    """The audit as JSON: period, counts, findings, and the proofs of the first ones."""
    return {
        "kind": "vouch-licence-audit-1",
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "outputs": found.outputs,
        "licences": found.licences,
        "counts": dict(sorted(found.counts.items())),
        "findings": [
            {
                "kind": one.kind,
                "says": KINDS[one.kind],
                "subject": one.subject,
                "licence": one.licence,
                "at": one.at.isoformat() if one.at else None,
                "leaves": list(one.leaves),
                "said": one.said,
            }
            for one in found.findings
        ],
        "proofs": proofs(found),
    }


def _over(row: tuple[Any, ...]) -> Iterator[Finding]:
    output, licence, at, leaf, licence_leaf, characters, milliseconds, outputs, *caps = row
    for kind, used, cap in zip(
        ("cap.characters", "cap.seconds", "cap.outputs"), (characters, milliseconds, outputs), caps, strict=True
    ):
        if cap is not None and used > cap:
            unit = " milliseconds" if kind == "cap.seconds" else ""
            said = f"{used} of {cap}{unit}"
            yield Finding(kind, f"output:{output}", str(licence), at, _leaves(leaf, licence_leaf), said)


def _stated(statement: dict[str, Any], licensee: UUID, logged: str | None) -> bool:
    """Whether the log has the hash of what was signed, and that names the licensee of the row (the log itself names
    people by tags). A licence from before licences were signed has neither."""
    if not statement:
        return logged is None
    return statement.get("licensee") == str(licensee) and compact.statement_digest(statement) == logged


def _rows(cursor: Any, query: str, bounds: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    cursor.execute(query, bounds)
    while rows := cursor.fetchmany(1_000):
        yield from rows


def _leaves(*indices: int | None) -> tuple[int, ...]:
    return tuple(one for one in indices if one is not None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
