"""``python -m vouch.pagebench``: server time of the web pages and lists with 10^5 voices and 10^6 outputs.

A PostgreSQL of its own is filled (as `vouch.licencebench` fills one, with the database's guards asleep). One person has
much of it: a thousand voices, and ten thousand recordings and earnings of their own. There is a log with its tree, a
market of a tenth of the voices, a desk with a tenth as many closed cases as recordings. Every page that takes no
argument is asked for as that person, or as a moderator or an auditor where it is theirs, and the pages of a voice, a
licence, a case, and the API's lists: whole application, no network. Prints JSON; the exit code is 1 when the 95th
percentile of any is above 200 ms, or any does not answer. The whole size is filled in minutes and needs 4 GB of disk.
"""

import argparse
import json
import os
import resource
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from vouch import deskbench, licencebench
from vouch.runtime import postgres, redis

GOAL_S: Final = 0.2
MINE: Final = """
SET session_replication_role = replica;
INSERT INTO cloning_job (id, kind, voice_id, requester_id, state, stage, progress, error_code, error_detail, attempts,
    created_at, finished_at, told_at)
SELECT r.job_id, 'speak', r.voice_id, r.requester_id, 'succeeded', 'done', 1, '', '', 1, r.created_at, r.created_at,
    r.created_at
FROM cloning_speechrequest r;
UPDATE cloning_voice SET owner_id = md5('p0')::uuid, name = 'v' || substr(id::text, 1, 8)
WHERE id IN (SELECT id FROM cloning_voice ORDER BY id LIMIT %(voices)s) OR id = md5('v0')::uuid;
CREATE TEMPORARY TABLE mine AS SELECT id, request_id FROM cloning_output ORDER BY leaf_index LIMIT %(outputs)s;
UPDATE cloning_output SET requester_id = md5('p0')::uuid, voice_id = md5('v0')::uuid,
    provenance = '{"statement": {}}' WHERE id IN (SELECT id FROM mine);
UPDATE cloning_speechrequest SET requester_id = md5('p0')::uuid, voice_id = md5('v0')::uuid
WHERE id IN (SELECT request_id FROM mine);
UPDATE cloning_job SET requester_id = md5('p0')::uuid, voice_id = md5('v0')::uuid
WHERE id IN (SELECT job_id FROM cloning_speechrequest WHERE requester_id = md5('p0')::uuid);
UPDATE consent_consent SET person_id = md5('p0')::uuid
WHERE id IN (SELECT consent_id FROM cloning_voice WHERE owner_id = md5('p0')::uuid ORDER BY id LIMIT 20)
    OR id = md5('c0')::uuid;
INSERT INTO vault_vaultkey (id, kind, owner_ref, state, created_at, destroyed_reason)
SELECT md5('k' || n)::uuid, 'voice', 'voice:' || md5('v' || n)::uuid, 'active', now() - interval '1 year', ''
FROM generate_series(0, %(all_voices)s) n;
INSERT INTO vault_sealedobject (id, kind, key_id, owner_ref, location, size, ciphertext_sha256, created_at)
SELECT md5('s' || n)::uuid, 'voice', md5('k' || n)::uuid, 'voice:' || md5('v' || n)::uuid, 's' || n, 1, '',
    now() - interval '1 year'
FROM generate_series(0, %(all_voices)s) n;
INSERT INTO retention_custodyitem (id, subject_id, purpose, kind, key_id, received_at, deadline, state, size, salt,
    commitment, destroyed_at, destroyed_reason, created_at)
SELECT md5('i' || n)::uuid, md5('p' || n / 1000)::uuid, 'training', 'recording', md5('k0')::uuid, at,
    at + interval '72 hours', CASE WHEN held THEN 'held' ELSE 'destroyed' END, 1, '\\x00', 'x',
    CASE WHEN held THEN NULL ELSE at + interval '72 hours' END, CASE WHEN held THEN '' ELSE 'deadline' END, at
FROM (SELECT n, n %% 1000 < 20 AS held, CASE WHEN n %% 1000 < 20 THEN now() - n %% 1000 * interval '1 hour'
      ELSE now() - interval '1 year' + n %% 1000 * interval '8 hours' END AS at
      FROM generate_series(0, %(all_voices)s / 10) n) e;
INSERT INTO marketplace_listing (id, owner_id, voice_id, title, unit, free_units, price_minor, currency, scope,
    description, conditions, tags, skeleton, preview_id, review, reviewed_at, review_reason, state, rehearsal,
    created_at)
SELECT md5('g' || v.id)::uuid, v.owner_id, v.id, 'Voice ' || n, 'character', 0, 100, 'EUR',
    '{"languages": ["en"], "days": 30, "terms": {}}', 'A calm voice.', '', '["calm"]', 'voice' || n,
    md5('o' || n)::uuid, 'published', now(), '', 'live', false, now() - n * interval '1 minute'
FROM (SELECT id, owner_id, row_number() OVER (ORDER BY owner_id <> md5('p0')::uuid, id) AS n FROM cloning_voice) v
WHERE n <= %(outputs)s AND (n <= 50 OR n %% 10 = 0);
INSERT INTO marketplace_order (id, kind, listing_id, customer_id, seller_id, characters, unit, quantity, free, fee_bp,
    price_minor, currency, amount_minor, state, rehearsal, period, renews, counted, payment_ref, placed_at, paid_at,
    settled_at, fully_earned)
SELECT md5('a' || n)::uuid, 'licence', (SELECT id FROM marketplace_listing WHERE owner_id = md5('p0')::uuid LIMIT 1),
    md5('p' || n + 1)::uuid, md5('p0')::uuid, 1000000, 'character', 1000000, 0, 0, 0, 'EUR', 0, 'paid', false, '',
    false, 0, '', at, at, at, false
FROM (SELECT n, now() - n * interval '1 hour' AS at FROM generate_series(0, least(%(outputs)s, 999)) n) e;
INSERT INTO marketplace_account (kind, holder, currency, balance_minor)
VALUES ('holdback', 'person:' || md5('p0')::uuid, 'EUR', -1), ('prepaid', 'order:' || md5('a0')::uuid, 'EUR', -1);
INSERT INTO marketplace_entry (id, key, kind, order_id, leg_count, at)
SELECT md5('e' || n)::uuid, 'e' || n, 'earn', md5('a0')::uuid, 2, now() - n * interval '30 minutes'
FROM generate_series(1, %(outputs)s) n;
INSERT INTO marketplace_leg (entry_id, account_id, amount_minor)
SELECT e.id, a.id, CASE a.kind WHEN 'holdback' THEN -7 ELSE 7 END FROM marketplace_entry e, marketplace_account a;
UPDATE audit_leaf SET leaf_hash = sha256('\\x00'::bytea || body);
INSERT INTO audit_node (level, position, hash)
SELECT 1, l.index / 2, sha256('\\x01'::bytea || l.leaf_hash || r.leaf_hash)
FROM audit_leaf l JOIN audit_leaf r ON r.index = l.index + 1 WHERE l.index %% 2 = 0;
"""
HIGHER: Final = """
INSERT INTO audit_node (level, position, hash)
SELECT l.level + 1, l.position / 2, sha256('\\x01'::bytea || l.hash || r.hash)
FROM audit_node l JOIN audit_node r ON r.level = l.level AND r.position = l.position + 1
WHERE l.level = %(below)s AND l.position %% 2 = 0;
"""
NO_PAGES: Final = ("sign-out", "language")
REFUSED: Final = ("302", "403", "404")
LISTS: Final = ("voices", "outputs", "speech", "jobs", "consents", "licences", "listings", "keys", "custody")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vouch.pagebench", description=__doc__)
    parser.add_argument("--voices", type=int, default=100_000)
    parser.add_argument("--outputs", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=40, help="of each page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vouch-pages-") as folder:
        database, broker = postgres.start(Path(folder) / "postgres"), redis.start()
        try:
            (Path(folder) / "static").mkdir()
            os.environ.update(
                DATABASE_URL=database.url, REDIS_URL=broker.url, VOUCH_VAR=folder, VOUCH_ENV="development",
                VOUCH_REHEARSAL="1", VOUCH_SECRET_KEY=secrets.token_hex(32),
                DJANGO_SETTINGS_MODULE="vouch.settings", VOUCH_RATE_PERSON="1000000", VOUCH_RATE_ADDRESS="1000000",
                VOUCH_RATE_ANONYMOUS="1000000",
            )  # fmt: skip
            result = measure(options.voices, options.outputs, options.requests)
        finally:
            broker.stop()
            database.stop()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["good"] else 1


def measure(voices: int, outputs: int, requests: int) -> dict[str, Any]:
    """Fills and asks; see the module."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from consent.models import Challenge, Consent
    from foundation.clock import now
    from foundation.identity.models import Person

    call_command("make_keys", verbosity=0)
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    licences = max(1, outputs // 200)
    with connection.cursor() as cursor:
        sizes = {"people": voices + licences + 1, "voices": voices, "licences": licences, "events": outputs}
        cursor.execute(licencebench.FILL, {**sizes, "breaches": 0})
        cursor.execute(MINE, {"voices": voices // 100, "all_voices": voices, "outputs": outputs // 100})
        for below in range(1, (licences + outputs + 1).bit_length()):
            cursor.execute(HIGHER, {"below": below})
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
    filled = time.monotonic() - began
    owner = Person.objects.get(email="p0@bench.example")
    at = now()
    Challenge.objects.bulk_create(
        Challenge(id=one.challenge_id, person=owner, words=["one"], state="expired", expires_at=at)
        for one in Consent.objects.filter(person=owner)
    )
    moderator = Person.objects.create(email="m@bench.example", display_name="M", role="moderator")
    auditor = Person.objects.create(email="a@bench.example", display_name="A", role="auditor")
    senior = Person.objects.create(email="s@bench.example", display_name="S", role="senior")
    deskbench.fill(max(1, voices // 10), max(10, outputs // 10), owner.id, [moderator.id], senior.id)
    found = {path: _as_somebody((owner, moderator, auditor, None), path, requests) for path in _paths(owner)}
    asked = {path: times for path, times in found.items() if isinstance(times, dict)}
    slow = sorted(path for path, times in asked.items() if times["p95_s"] > GOAL_S)
    broken = sorted(path for path, status in found.items() if not isinstance(status, dict))
    return {
        "voices": voices, "outputs": outputs, "filled_s": round(filled, 1), "pages": asked,
        "not_answered": {path: found[path] for path in broken}, "slow": slow, "load_average": os.getloadavg()[0],
        "most_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "good": bool(asked) and not slow and not broken,
    }  # fmt: skip


def _paths(owner: Any) -> list[str]:
    """Every web page without an argument; one of each that is about a voice, a licence, a case; the API's lists."""
    from django.urls import URLPattern, reverse

    from consent.models import Licence
    from safety.models import Case
    from vouch.web import urls

    names = [one.name for one in urls.urlpatterns if isinstance(one, URLPattern) and "<" not in str(one.pattern)]
    pages = [reverse(f"web:{name}") for name in names if name and name not in NO_PAGES]
    voice = owner.voices.filter(outputs__isnull=False).first() or owner.voices.first()
    licence = Licence.objects.filter(consent__person=owner).first()
    case = Case.objects.filter(state="open").order_by("id").first()
    about = {"voice": voice, "batch": voice, "licence": licence, "case": case}
    pages += [reverse(f"web:{name}", args=[one.id]) for name, one in about.items() if one is not None]
    return [*pages, *(f"/api/v1/{name}" for name in LISTS)]


def _as_somebody(people: tuple[Any, ...], path: str, requests: int) -> dict[str, Any] | str:
    """As the first of them whom the page answers: some are the desk's, some for whoever is not signed in."""
    said = []
    for person in people:
        found = _timed(person, path, requests)
        if isinstance(found, dict):
            return {"as": "nobody" if person is None else person.email.partition("@")[0], **found}
        said.append(found)
        if found not in REFUSED:
            break
    return ", ".join(said)


def _timed(person: Any, path: str, requests: int) -> dict[str, Any] | str:
    """Times of the page; or what it answered instead of one. The last page that ``Link`` leads to is asked for too."""
    from django.test import Client

    client = Client(raise_request_exception=False, headers={"host": "localhost"})
    if person is not None:
        client.force_login(person)
    answer = client.get(path)  # templates compiled, connections open
    if answer.status_code != 200:
        return f"{answer.status_code}"
    paths = [path]
    for _ in range(20):
        if "Next-Cursor" not in answer.headers:
            break
        deep = f"{path}?cursor={answer.headers['Next-Cursor']}"
        answer = client.get(deep)
        paths[1:] = [deep]
    times, worked = [], []
    for number in range(requests):
        began, spent = time.perf_counter(), time.process_time()
        answer = client.get(paths[number % len(paths)])
        answer.getvalue()
        times.append(time.perf_counter() - began)
        worked.append(time.process_time() - spent)
    times.sort()
    return {
        "median_s": round(statistics.median(times), 4),
        "p95_s": round(times[int(0.95 * (len(times) - 1))], 4),
        "processor_median_s": round(statistics.median(worked), 4),
    }


if __name__ == "__main__":
    raise SystemExit(main())
