"""``python -m vouch.pagebench``: server time of the web pages and lists with 10^5 voices and 10^6 outputs.

A PostgreSQL of its own is filled (as `vouch.licencebench` fills one, with the database's guards asleep). One person has
much of it: a thousand voices, and ten thousand recordings of their own. Every page that takes no argument is asked for
as that person, and the page of a voice, and the API's lists: whole application, no network. Prints JSON; the exit code
is 1 when the 95th percentile of any is above 200 ms, or any breaks: what breaks is not measured.
"""

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from vouch import licencebench
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
UPDATE consent_consent SET person_id = md5('p0')::uuid WHERE id = md5('c0')::uuid;
SET session_replication_role = origin;
"""
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
        cursor.execute(MINE, {"voices": voices // 100, "outputs": outputs // 100})
        cursor.execute("VACUUM ANALYZE")
    filled = time.monotonic() - began
    owner = Person.objects.get(email="p0@bench.example")
    consent = Consent.objects.get(person=owner)
    Challenge.objects.create(id=consent.challenge_id, person=owner, words=["one"], state="expired", expires_at=now())
    found = {path: _timed(owner, path, requests) for path in _paths(owner)}
    asked = {path: times for path, times in found.items() if isinstance(times, dict)}
    slow = sorted(path for path, times in asked.items() if times["p95_s"] > GOAL_S)
    broken = sorted(path for path, status in found.items() if isinstance(status, str) and status >= "500")
    return {
        "voices": voices, "outputs": outputs, "filled_s": round(filled, 1), "pages": asked,
        "not_pages": {path: status for path, status in found.items() if not isinstance(status, dict)}, "slow": slow,
        "broken": broken, "load_average": os.getloadavg()[0], "good": bool(asked) and not slow and not broken,
    }  # fmt: skip


def _paths(owner: Any) -> list[str]:
    """Every web page without an argument, the page of a voice, and the API's lists of one's own."""
    from django.urls import URLPattern, reverse

    from vouch.web import urls

    names = [one.name for one in urls.urlpatterns if isinstance(one, URLPattern) and "<" not in str(one.pattern)]
    pages = [reverse(f"web:{name}") for name in names if name and name not in ("sign-out", "language")]
    voice = owner.voices.filter(outputs__isnull=False).first() or owner.voices.first()
    return [*pages, reverse("web:voice", args=[voice.id]), *(f"/api/v1/{name}" for name in LISTS)]


def _timed(owner: Any, path: str, requests: int) -> dict[str, Any] | str:
    """Times of the page; or what it answered instead of one. The last page that ``Link`` leads to is asked for too."""
    from django.test import Client

    client = Client(raise_request_exception=False, headers={"host": "localhost"})
    client.force_login(owner)
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
