"""``python -m vouch.custodybench``: how long after its deadline a recording's key leaves the key store.

A whole system is started with its default sweep. Recordings whose deadlines lie at random moments of the next minutes
are taken into custody; when all have ended, the delays are read from the rows. Prints one line of JSON.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from vouch.runtime import system as systems

PATIENCE: Final = 180.0
"""Seconds after the last deadline in which everything must have ended."""
GOAL_SECONDS: Final = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vouch.custodybench", description=__doc__)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=90.0, help="over how long the deadlines are spread")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vouch-custody-") as folder:
        system = systems.start(Path(folder), keep_data=False, VOUCH_REHEARSAL="1", DATABASE_URL="", REDIS_URL="")
        try:
            os.environ.update(system.env)
            result = measure(options.recordings, options.seconds)
        finally:
            system.stop()
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["median_s"] <= GOAL_SECONDS and result["left"] == 0 else 1


def measure(recordings: int, seconds: float) -> dict[str, Any]:
    """Median, 95th percentile and maximum of the delay in seconds, to the destruction and to the erasure of the key."""
    import django

    django.setup()
    from foundation.clock import now
    from foundation.identity.actors import Actor
    from retention import custody
    from retention.models import CustodyItem
    from retention.purposes import Purpose

    draw = random.Random(8)  # noqa: S311 - deadlines of a measurement
    actor = Actor.system("custodybench")
    for _ in range(recordings):
        custody.receive(
            stream=[draw.randbytes(64 * 1024)],
            purpose=Purpose.TRACE,
            subject=None,
            actor=actor,
            max_bytes=10**6,
            deadline=now() + timedelta(seconds=draw.uniform(20.0, 20.0 + seconds)),
        )
    until = time.monotonic() + 20.0 + seconds + PATIENCE
    waiting = CustodyItem.objects.filter(key__erased_at=None)
    while waiting.exists() and time.monotonic() < until:
        time.sleep(1.0)
    ended = list(CustodyItem.objects.exclude(key__erased_at=None).select_related("key"))
    delays = sorted((item.key.erased_at - item.deadline).total_seconds() for item in ended if item.key.erased_at)
    return {
        "recordings": recordings,
        "left": waiting.count(),
        "median_s": round(statistics.median(delays), 2),
        "p95_s": round(delays[int(0.95 * (len(delays) - 1))], 2),
        "max_s": round(delays[-1], 2),
    }


if __name__ == "__main__":
    raise SystemExit(main())
