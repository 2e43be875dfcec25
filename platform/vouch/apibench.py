"""``python -m vouch.apibench``: a hundred API clients at once for ten minutes, on this machine.

A whole system of its own is started. Each client is a person with a key and an address of its own, keeps one connection
and asks without a pause what programs ask: lists with their pages, single things, the log; now and then it makes
something, twice with the same Idempotency-Key. An answer that is not what it should be is an error. Meanwhile the
resident memory of the web server is read: its mean over the last tenth of the time against that over the second tenth.

Prints JSON; the exit code is 1 when there was an error or the memory grew by more than 5 %.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from vouch.runtime import system as systems

CLIENTS: Final = 100
MINUTES: Final = 10.0
GROWTH_GOAL: Final = 0.05
SAMPLE_SECONDS: Final = 2.0
ROUND: Final = (
    "me", "voices?limit=20", "jobs", "outputs?limit=50", "speech", "keys", "listings", "consents", "licences",
    "webhooks", "log/checkpoint", "voices/versions",
)  # fmt: skip
PASSWORD: Final = "a long enough password of the bench"  # noqa: S105 - of accounts that end with the bench


@dataclass
class Tally:
    """What all clients saw. Guarded by ``lock``."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def saw(self, what: str, seconds: float, error: str) -> None:
        with self.lock:
            self.seconds.append(seconds)
            if error:
                self.errors[f"{what}: {error}"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vouch.apibench", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options = parser.parse_args()
    systems.stop_on_signal()
    with tempfile.TemporaryDirectory(prefix="vouch-apibench-") as folder:
        # Behind a proxy, so that each client can say where it comes from: quotas are by address too.
        system = systems.start(Path(folder), keep_data=False, VOUCH_REHEARSAL="1", VOUCH_BEHIND_PROXY="1")
        try:
            result = measure(system, options.clients, options.minutes * 60)
        finally:
            system.stop()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["good"] else 1


def measure(system: systems.System, clients: int, seconds: float) -> dict[str, Any]:
    """Runs the load; see the module."""
    tally, stop = Tally(), threading.Event()
    keys = [_key(system.address, number) for number in range(clients)]
    threads = [
        threading.Thread(target=_client, args=(system.address, key, number, tally, stop), daemon=True)
        for number, key in enumerate(keys)
    ]
    web = system.processes["web"].pid
    memory: list[float] = []
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_SECONDS, left))
        memory.append(resident_mb(web))
    stop.set()
    for thread in threads:
        thread.join(60)
    system.check()
    took = time.monotonic() - began
    spent = sorted(tally.seconds)
    grown = growth(memory)
    return {
        "clients": clients,
        "minutes": round(took / 60, 2),
        "requests": len(spent),
        "per_second": round(len(spent) / took, 1),
        "median_s": round(statistics.median(spent), 3) if spent else None,
        "p95_s": round(spent[int(0.95 * (len(spent) - 1))], 3) if spent else None,
        "errors": dict(tally.errors.most_common(20)),
        "rss_mb": {"second_tenth": mean_of(memory, 1), "last_tenth": mean_of(memory, 9), "growth": round(grown, 4)},
        "load_average": os.getloadavg()[0],
        "good": bool(spent) and not tally.errors and grown <= GROWTH_GOAL,
    }


def growth(samples: list[float]) -> float:
    """Of the mean over the last tenth of samples, beside that over the second tenth: the first is the start."""
    return mean_of(samples, 9) / mean_of(samples, 1) - 1.0


def mean_of(samples: list[float], tenth: int) -> float:
    """The mean over one tenth (0 to 9) of the samples, at least one of them. Raises ValueError without samples."""
    if not samples:
        raise ValueError("nothing was sampled")
    first = min(len(samples) * tenth // 10, len(samples) - 1)
    last = max(len(samples) * (tenth + 1) // 10, first + 1)
    return round(statistics.fmean(samples[first:last]), 2)


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all below it, in MiB."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return total / 1024


def _key(address: str, number: int) -> str:
    """A new person and their key."""
    body = {"email": f"bench{number}@bench.example", "display_name": f"Bench {number}", "password": PASSWORD}
    answer = httpx.post(f"{address}/api/v1/people", json=body, headers=_from(number), timeout=60)
    answer.raise_for_status()
    return str(answer.json()["key"])


def _from(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}", "X-Forwarded-Proto": "https"}


def _client(address: str, key: str, number: int, tally: Tally, stop: threading.Event) -> None:
    headers = {**_from(number), "Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{address}/api/v1/", headers=headers, timeout=60) as http:
        turn = number  # not all at the same door
        while not stop.is_set():
            path = ROUND[turn % len(ROUND)]
            _ask(http, "GET", path, tally, 200)
            turn += 1
            if turn % 50 == 0:
                once = {"Idempotency-Key": uuid.uuid4().hex}
                made = {"subject_kind": "voice", "subject_ref": str(uuid.uuid4()), "text": "The bench's report."}
                for _ in range(2):
                    _ask(http, "POST", "reports", tally, 201, json=made, headers=once)


def _ask(http: httpx.Client, method: str, path: str, tally: Tally, status: int, **more: Any) -> None:
    began, error = time.monotonic(), ""
    try:
        answer = http.request(method, path, **more)
        if answer.status_code != status:
            error = f"{answer.status_code} {answer.text[:120]}"
    except httpx.HTTPError as trouble:
        error = type(trouble).__name__
    tally.saw(f"{method} {path}", time.monotonic() - began, error)


if __name__ == "__main__":
    raise SystemExit(main())
