"""``python -m tests.tools.bench_ceremony [ROUNDS]``: how long a person waits for the gate.

The whole system runs (PostgreSQL, Redis, web server, workers). A research voice answers a live challenge of about ten
seconds in real time and uploads a minute of speech. Measured is what a person waits: from the last sample sent to the
verdict read, for both together; the first round, on a system just started, by itself. Beside it the processor seconds
of the listening worker, which a busy machine does not lengthen.
"""

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from demo import recordings
from demo.client import Client
from vouch.runtime import system as systems

VOICE = "slt"
SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


def main(rounds: int = 10) -> int:
    systems.stop_on_signal()
    recordings.say("Good morning.", voice=VOICE)  # the synthesiser's first word takes seconds
    with TemporaryDirectory() as folder:
        system = systems.start(Path(folder), keep_data=False, VOUCH_REHEARSAL="1")
        try:
            speaker = _register(system.address)
            sentences = speaker.get("scripts/en")["sentences"]
            measured = [_round(system, speaker, sentences, number) for number in range(rounds + 1)]
        finally:
            system.stop()
    first, *rest = (row for row in measured if row["verdict"] == "pass")
    waits = [row["wait"] for row in rest]
    sys.stdout.write(
        json.dumps(
            {
                "first_use_s": first["wait"],
                "rounds": len(rest),
                "p50_s": round(float(np.percentile(waits, 50)), 2),
                "p95_s": round(float(np.percentile(waits, 95)), 2),
                "live_p95_s": round(float(np.percentile([row["live"] for row in rest], 95)), 2),
                "upload_p95_s": round(float(np.percentile([row["upload"] for row in rest], 95)), 2),
                "processor_p95_s": round(float(np.percentile([row["processor"] for row in rest], 95)), 2),
            },
            indent=2,
        )
        + "\n"
    )
    return 0


def _round(system: systems.System, speaker: Client, sentences: list[str], number: int) -> dict[str, Any]:
    opened = speaker.post("challenges")
    sound, rate = recordings.say(", ".join(opened["words"]) + ".", voice=VOICE, seed=number, stretch=1.4)
    pcm, started = recordings.pcm16(sound), time.monotonic()
    for index, at in enumerate(range(0, len(pcm), 2 * rate)):
        time.sleep(max(0.0, started + index + 1 - time.monotonic()))
        speaker.send("PUT", f"challenges/{opened['id']}/chunks/{index}", pcm[at : at + 2 * rate])["next"]
    spent, asked = _processor(system), time.monotonic()
    found = _verdict(speaker, speaker.post(f"challenges/{opened['id']}/answer")["examination"])
    live = time.monotonic() - asked
    row = {"live": live, "verdict": found["verdict"], "reason": found["reason"], "wait": live}
    if found["verdict"] == "pass":
        parts = [recordings.say(one, voice=VOICE, seed=100 * number + at)[0] for at, one in enumerate(sentences * 2)]
        speech = np.concatenate(parts)[: int(SECONDS * rate)]
        announced = {"challenge": opened["id"], "language": "en", "transcript": " ".join(sentences)}
        path = f"recordings/{speaker.post('recordings', announced)['id']}/content"
        asked = time.monotonic()
        sent = speaker.send("PUT", path, recordings.wav(speech, rate), "audio/wav")
        found = _verdict(speaker, sent["examination"])
        row |= {"upload": time.monotonic() - asked, "verdict": found["verdict"], "reason": found["reason"]}
        row["wait"] = round(row["live"] + row["upload"], 2)
    row["processor"] = _processor(system) - spent
    shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
    sys.stderr.write(f"{number} {shown}\n")
    return row


def _verdict(speaker: Client, examination: str) -> dict[str, Any]:
    while True:
        try:
            found = speaker.get(f"examinations/{examination}").body
        except httpx.TransportError:  # an idle connection the server has just closed
            continue
        if found["state"] in ("done", "failed"):
            return dict(found)
        time.sleep(0.05)


def _register(address: str) -> Client:
    person = {"email": "bench@demo.example", "display_name": "Bench", "password": "a long bench password"}
    return Client(address, Client(address).post("people", person)["key"])


def _processor(system: systems.System) -> float:
    """Processor seconds so far of the worker that listens, its children included."""
    root = system.processes["worker-cpu"].pid
    total = 0
    for pid in [root, *map(int, Path(f"/proc/{root}/task/{root}/children").read_text().split())]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


if __name__ == "__main__":
    raise SystemExit(main(*(int(one) for one in sys.argv[1:2])))
