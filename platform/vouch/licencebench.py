"""``python -m vouch.licencebench``: how long `manage.py licence_audit` takes for a million uses, on this machine.

A PostgreSQL of its own is filled with recordings, requests, usage, licences and their log entries, then audited as the
command does it. A few uses are made to break their licences, so that the audit is seen to find exactly those. The rows
are written with the database's guards asleep, and the log's entries without their tree: the audit reads what the
entries say. Prints JSON; the exit code is 1 when the goal is missed or anything else is found.
"""

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from vouch.runtime import postgres

GOAL_SECONDS: Final = 60.0
TICKS: Final = os.sysconf("SC_CLK_TCK")
BREACHES: Final = 7
"""Uses without a licence that are hidden among the others."""

FILL: Final = """
SET session_replication_role = replica;
INSERT INTO identity_person (id, password, email, display_name, role, is_active, created_at)
SELECT md5('p' || n)::uuid, '', 'p' || n || '@bench.example', 'p', 'member', true, now()
FROM generate_series(0, %(people)s) n;
INSERT INTO consent_consent (id, person_id, version, basis, uses, languages, territory, valid_until, text_version,
    text_sha256, biometric_release, biometric_sha256, evidence, statement, signature, state, rehearsal, leaf_index,
    given_at, challenge_id, template_id, template_key_id)
SELECT md5('c' || n)::uuid, md5('p' || n)::uuid, 1, 'self', '{"own_use": true, "licence_to_others": true}', '["en"]',
    'worldwide', now() + interval '1 year', 'en-1', '', 'x', '', '[]', '{}', '', 'active', false, 0,
    now() - interval '1 year', md5('h' || n)::uuid, md5('s' || n)::uuid, md5('k' || n)::uuid
FROM generate_series(0, %(voices)s) n;
INSERT INTO cloning_voice (id, owner_id, consent_id, name, language, state, training_digest, key_id, weights_id,
    rehearsal, created_at, ready_at, version)
SELECT md5('v' || n)::uuid, md5('p' || n)::uuid, md5('c' || n)::uuid, 'v', 'en', 'ready', '', md5('k' || n)::uuid,
    md5('s' || n)::uuid, false, now() - interval '1 year', now() - interval '1 year', 'v2Pro'
FROM generate_series(0, %(voices)s) n;
INSERT INTO consent_licence (id, consent_id, licensee_id, scope, characters_cap, characters_used, characters_reserved,
    milliseconds_cap, milliseconds_used, milliseconds_reserved, outputs_cap, outputs_used, outputs_reserved, statement,
    signature, stop_reason, stop_salt, valid_until, state, ended_reason, rehearsal, leaf_index, granted_at)
SELECT md5('l' || n)::uuid, md5('c' || n %% (%(voices)s + 1))::uuid, md5('p' || %(voices)s + 1 + n)::uuid,
    '{"languages": ["en"], "channels": ["online"]}', 1000000000, 0, 0, 10000000000, 0, 0, 100000000, 0, 0, '{}', '',
    '', '', now() + interval '1 year', 'active', '', false, n, now() - interval '300 days'
FROM generate_series(0, %(licences)s) n;
INSERT INTO audit_leaf (index, kind, body, leaf_hash, created_at)
SELECT l.leaf_index, 'licence.granted', convert_to(jsonb_build_object('v', 3, 'kind', 'licence.granted', 'subject',
    'licence:' || l.id, 'data', jsonb_build_object('consent', l.consent_id, 'licensee', l.licensee_id, 'scope', l.scope,
    'characters', l.characters_cap, 'valid_until', l.valid_until))::text, 'UTF8'), '\\x00', l.granted_at
FROM consent_licence l;
INSERT INTO cloning_speechrequest (id, job_id, voice_id, requester_id, text, text_digest, characters, reserved,
    reserved_ms, channel, territory, uses, cleared_at, language, seed, container, rate, label_language, licence_id,
    manner, text_sketch, created_at)
SELECT md5('r' || n)::uuid, md5('j' || n)::uuid, md5('v' || l %% (%(voices)s + 1))::uuid,
    md5('p' || %(voices)s + 1 + l)::uuid, '', md5(n::text) || md5(n::text), 60 + n %% 40, 0, 0, 'online', '', '[]', at,
    'en', 1, 'wav', 32000, 'en', md5('l' || l)::uuid, '{}', '', at
FROM (SELECT n, n %% (%(licences)s + 1) AS l, now() - interval '29 days' + n * interval '2 seconds' AS at
      FROM generate_series(1, %(events)s) n) e;
INSERT INTO cloning_output (id, request_id, voice_id, licence_id, requester_id, sealed_id, media_type, sha256, seconds,
    label_seconds, mark_payload, provenance, state, leaf_index, rehearsal, created_at)
SELECT md5('o' || n)::uuid, md5('r' || n)::uuid, md5('v' || l %% (%(voices)s + 1))::uuid,
    CASE WHEN n <= %(breaches)s THEN NULL ELSE md5('l' || l)::uuid END, md5('p' || %(voices)s + 1 + l)::uuid,
    md5('z' || n)::uuid, 'audio/wav', md5(n::text) || md5(n::text), 4.5, 1.0, n, '{}', 'live', %(licences)s + n, false,
    now() - interval '29 days' + n * interval '2 seconds' + interval '1 second'
FROM (SELECT n, n %% (%(licences)s + 1) AS l FROM generate_series(1, %(events)s) n) e;
INSERT INTO cloning_usage (output_id, licence_id, consent_id, characters, seconds, created_at)
SELECT o.id, o.licence_id, v.consent_id, r.characters, 3.5, o.created_at
FROM cloning_output o JOIN cloning_voice v ON v.id = o.voice_id JOIN cloning_speechrequest r ON r.id = o.request_id;
INSERT INTO audit_leaf (index, kind, body, leaf_hash, created_at)
SELECT o.leaf_index, 'output.sealed', convert_to(jsonb_build_object('v', 2, 'kind', 'output.sealed', 'actor',
    'system:cloning.speak', 'at', o.created_at, 'rehearsal', false, 'subject', 'output:' || o.id, 'data',
    jsonb_build_object('voice', o.voice_id, 'consent', u.consent_id, 'licence', o.licence_id, 'job', r.job_id,
    'sha256', o.sha256, 'characters', u.characters, 'label_seconds', 1.0, 'mark_score', 9.9, 'payload_commitment',
    o.sha256))::text, 'UTF8'), '\\x00', o.created_at
FROM cloning_output o JOIN cloning_usage u ON u.output_id = o.id JOIN cloning_speechrequest r ON r.id = o.request_id;
UPDATE consent_licence l SET characters_used = s.characters, outputs_used = s.outputs,
    milliseconds_used = s.outputs * 3500
FROM (SELECT licence_id, sum(characters) AS characters, count(*) AS outputs FROM cloning_usage GROUP BY licence_id) s
WHERE s.licence_id = l.id;
SET session_replication_role = origin;
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vouch.licencebench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--licences", type=int, default=5_000)
    parser.add_argument("--voices", type=int, default=500)
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="vouch-licences-"))
    (var / "static").mkdir()
    server = postgres.start(var / "postgres")
    os.environ.update(
        DATABASE_URL=server.url, REDIS_URL="redis://unused", VOUCH_ENV="development",
        VOUCH_VAR=str(var), VOUCH_SECRET_KEY=secrets.token_hex(32), DJANGO_SETTINGS_MODULE="vouch.settings",
    )  # fmt: skip
    try:
        result = measure(options.events, options.licences, options.voices)
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(var, ignore_errors=True)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["audit_s"] <= GOAL_SECONDS and result["found"] == {"unlicensed": BREACHES} else 1


def _processor_seconds(connection: Any) -> float:
    """Of this process, its server process, and the server's helpers that have ended: what a busy machine lengthens
    less than the wall clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    own = _times(backend)
    helpers = _times(int(own[1]))
    return time.process_time() + (own[11] + own[12] + helpers[13] + helpers[14]) / TICKS


def _times(pid: int) -> list[float]:
    """The numbers of ``/proc/PID/stat`` from the state on: [1] parent, [11] and [12] own time, [13] and [14] that of
    ended children, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0.0, *map(float, fields[1:20])]


def measure(events: int, licences: int, voices: int) -> dict[str, Any]:
    """Fills a migrated, empty database and audits it. Seconds of wall clock."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from foundation.clock import now
    from marketplace import auditing

    call_command("migrate", verbosity=0)
    started = time.monotonic()
    bounds = {
        "events": events, "licences": licences - 1, "voices": voices - 1, "people": voices + licences,
        "breaches": BREACHES,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, bounds if "%" in statement else None)
        cursor.execute("VACUUM ANALYZE")
    filled, worked = time.monotonic(), _processor_seconds(connection)
    done = auditing.audit(since=now() - timedelta(days=30), until=now() + timedelta(days=30))
    return {
        "events": done.outputs,
        "licences": licences,
        "fill_s": round(filled - started, 1),
        "audit_s": round(time.monotonic() - filled, 1),
        "audit_processor_s": round(_processor_seconds(connection) - worked, 1),
        "found": dict(done.counts),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    raise SystemExit(main())
