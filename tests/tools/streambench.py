"""``python -m tests.tools.streambench``: how long after a request a stream's first byte and its first speech arrive.

A whole system is started (gunicorn, PostgreSQL, Redis, a worker) with a voice made at once from the starter base; the
clock runs from before the connection is opened. The label is law's and comes first, so both are told: the first byte,
and the first byte of speech. "starting" is asked for in the moment a worker is started; "cold" is the very first text
of a worker that has read ahead (`cloning.preload`; "read_ahead_s": how long after its start), "new" its first in a
voice that it has not kept ready, "warm" the following ones. Prints one line of JSON.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any, Final

from cloning.preload import LONGEST_SECONDS, READY
from vouch.runtime import system as systems

GOAL_SECONDS: Final = 1.5
TEXTS: Final = (
    "The weather is lovely this morning and the train leaves at nine.",
    "Nobody knew why the green door had been left open all night.",
    "Please bring the long ladder and two buckets of paint.",
)
READ_AHEAD: Final = READY.split("%")[0].encode()
HEAD: Final = 400
"""Bytes of a WAV's head at most."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.streambench", description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vouch-stream-") as folder:
        system = systems.start(Path(folder), keep_data=False, VOUCH_REHEARSAL="1", DATABASE_URL="", REDIS_URL="")
        try:
            os.environ.update(system.env)
            result = measure(system, options.runs)
        finally:
            system.stop()
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if max(result["cold"]["speech_s"], result["warm"]["speech_s"]["median"]) <= GOAL_SECONDS else 1


def measure(system: systems.System, runs: int) -> dict[str, Any]:
    """Seconds to the first byte and to the first speech: cold, new, and warm (median and worst)."""
    # No worker while the voices are made, or it would try to train them.
    system.kill_worker("gpu")
    key, voices = _voices()
    system.start_worker("gpu")
    starting = listen(system.address, key, voices[0], TEXTS[0])
    system.kill_worker("gpu")
    read_ahead = _restart(system)
    cold = listen(system.address, key, voices[0], TEXTS[0])
    new = listen(system.address, key, voices[1], TEXTS[0])
    warm = [listen(system.address, key, voices[1], TEXTS[run % len(TEXTS)]) for run in range(runs)]
    figures = {name: [one[name] for one in warm] for name in cold}
    return {
        "goal_s": GOAL_SECONDS,
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "starting": starting,
        "read_ahead_s": read_ahead,
        "cold": cold,
        "new": new,
        "warm": {
            name: {"median": round(statistics.median(values), 2), "worst": max(values)}
            for name, values in figures.items()
        },
    }


def _restart(system: systems.System) -> float:
    """Starts the worker; seconds until it says that it has read ahead."""
    log = system.var / "worker-gpu.log"
    before, began = log.stat().st_size, time.monotonic()
    system.start_worker("gpu")
    while READ_AHEAD not in log.read_bytes()[before:]:
        system.check()
        if time.monotonic() - began > LONGEST_SECONDS:
            raise RuntimeError("the worker read nothing ahead: " + system.tail("worker-gpu"))
        time.sleep(0.1)
    return round(time.monotonic() - began, 1)


def _voices() -> tuple[str, list[str]]:
    """A key, and two ready voices of one person, from a synthetic speaker."""
    import django

    django.setup()
    import numpy as np

    from cloning.engine import voicefile
    from cloning.engine.training.zero_shot import instant_voice
    from demo.flite.speaker import speak
    from foundation.identity import services
    from foundation.identity.actors import Actor
    from foundation.identity.models import Person
    from tests.cloning import factories as make

    owner = Person(email="bench@example.org", display_name="Bench", role="member")
    owner.set_unusable_password()
    owner.save()
    made = []
    for name in ("slt", "awb"):
        wave, rate = speak(TEXTS[0], voice=name)
        weights = voicefile.pack(instant_voice(None, np.asarray(wave, np.float32), rate, None, "en"))
        made.append(make.voice(owner, make.consent(owner), name=name, weights=weights))
    _, key = services.issue_api_key(actor=Actor.system("streambench"), person=owner, name="bench", scopes=None)
    return key, [str(one.id) for one in made]


def listen(address: str, key: str, voice: str, text: str) -> dict[str, float]:
    """Seconds from before the connection to the first byte, the first speech and the end, and of the sound itself."""
    line = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=120)
    began = time.monotonic()
    line.request(
        "POST", f"/api/v1/voices/{voice}/speech/stream", json.dumps({"text": text, "language": "en"}),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )  # fmt: skip
    answer = line.getresponse()
    if answer.status != http.client.OK:
        raise RuntimeError(answer.read().decode())
    label = HEAD + round(float(answer.headers["X-Vouch-Label-Seconds"]) * 32_000) * 2
    times: dict[str, float] = {}
    size = 0
    while piece := answer.read1(65_536):
        size += len(piece)
        times.setdefault("first_byte_s", round(time.monotonic() - began, 3))
        if size > label:
            times.setdefault("speech_s", round(time.monotonic() - began, 3))
    line.close()
    return {**times, "end_s": round(time.monotonic() - began, 3), "sound_s": round((size - HEAD) / 64_000, 2)}


if __name__ == "__main__":
    raise SystemExit(main())
