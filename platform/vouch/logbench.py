"""``python -m vouch.logbench``: how fast the log writes and how fast it verifies, on this machine.

Writing runs on a PostgreSQL of its own that keeps what it promises (fsync, synchronous commits); each event is one
transaction through ``foundation.audit.log``, done by a person, in two processes of a hundred threads unless told
otherwise. Verifying is what ``vouch verify-log`` and ``vouch verify-receipt`` do,
without their start. Beside the wall clock stand processor seconds, which a busy machine does not lengthen as much.
"""

import argparse
import base64
import json
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.audit import canonical, events, merkle, mirror, notes, rebuild, tiles, verify
from vouch import published
from vouch.runtime import postgres

KEY = bytes(range(32))
"""Signs the bench's own log, which is thrown away."""

ORIGIN = "bench.example/log"
KIND = "speech.requested"
VOICE = "01234567-89ab-cdef-0123-456789abcdef"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vouch.logbench", description=__doc__)
    parser.add_argument("--events", type=int, default=6000, help="written with each of the two calls")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=100, help="writers in each process")
    parser.add_argument("--leaves", type=int, default=1_000_000, help="of the log that is verified")
    options = parser.parse_args()
    answer: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    if options.events:
        answer["writing"] = _writing(options.events, options.processes, options.threads)
    if options.leaves:
        answer["verifying"] = _verifying(options.leaves)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return 0


def _writing(events: int, processes: int, threads: int) -> dict[str, Any]:
    var = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    (var / "static").mkdir()
    server = postgres.start(var / "postgres")
    os.environ.update(
        DATABASE_URL=server.url, REDIS_URL="redis://unused", VOUCH_ENV="development",
        VOUCH_VAR=str(var), VOUCH_SECRET_KEY=secrets.token_hex(32), DJANGO_SETTINGS_MODULE="vouch.settings",
    )  # fmt: skip
    try:
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0)
        return {call: _run(server, call, events, processes, threads, connection) for call in ("record", "append")}
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(var, ignore_errors=True)


def _run(
    server: postgres.Postgres, call: str, events: int, processes: int, threads: int, connection: Any
) -> dict[str, Any]:
    each = events // (processes * threads)
    connection.close()
    context = multiprocessing.get_context("spawn")
    ready, used = context.Barrier(processes + 1), context.Queue()
    children = [context.Process(target=_write, args=(call, threads, each, ready, used)) for _ in range(processes)]
    for child in children:
        child.start()
    ready.wait()  # every writer has written its first event
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(index) + 1 FROM audit_leaf")
        before = cursor.fetchone()[0]
    ready.wait()
    begun = time.monotonic()
    rows = [used.get() for _ in children]
    seconds = time.monotonic() - begun
    for child in children:
        child.join()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), max(index) FROM audit_leaf WHERE index >= %s", [before])
        count, last = cursor.fetchone()
    written = each * processes * threads
    if (count, last) != (written, before + written - 1):
        raise SystemExit(f"{call}: {written} written, {count} found up to {last}")
    return {
        "events": written,
        "writers": processes * threads,
        "seconds": round(seconds, 2),
        "events_per_second": round(written / seconds),
        "client_cpu_us_per_event": round(sum(row["client"] for row in rows) / written * 1e6),
        "server_cpu_us_per_event": round(sum(row["server"] for row in rows) / written * 1e6),
    }


def _write(call: str, threads: int, each: int, ready: Any, used: Any) -> None:
    import django

    django.setup()
    from django.db import connection, transaction

    from foundation.audit import log
    from foundation.identity.actors import Actor
    from foundation.identity.models import Person

    write = getattr(log, call)
    actor = Actor.of(Person.objects.create(email=f"{uuid.uuid4()}@bench.example", display_name="Bench"))
    connection.close()
    server: list[float] = []
    inside = threading.Barrier(threads + 1)

    def speak(number: int) -> None:
        with transaction.atomic():
            write(kind=KIND, subject=f"speech:{uuid.uuid4()}", actor=actor, data=_data(number))

    def one() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        # A connection's first event has the database compile the log's functions: a writer does that once in its life.
        speak(0)
        inside.wait()
        inside.wait()
        before = _seconds_of(pid)
        for number in range(each):
            speak(number)
        server.append(_seconds_of(pid) - before)
        connection.close()

    writers = [threading.Thread(target=one) for _ in range(threads)]
    for writer in writers:
        writer.start()
    inside.wait()
    ready.wait()
    ready.wait()
    begun = time.process_time()
    inside.wait()
    for writer in writers:
        writer.join()
    used.put({"client": time.process_time() - begun, "server": sum(server)})


def _seconds_of(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _verifying(size: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    try:
        public = Ed25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw()
        _publish(folder, size)
        fetch = published.fetcher(str(folder))
        begun, worked = time.monotonic(), time.process_time()
        note = published.checkpoint(fetch)
        findings = mirror.higher(fetch, size)
        report = rebuild.rebuild(mirror.leaves(fetch, size), [note], public)
        seconds, processor = time.monotonic() - begun, time.process_time() - worked
        if findings or not report.intact or report.bodies != size:
            raise SystemExit("the bench's log does not verify")
        tree = tiles.TileTree(fetch, size)
        index = size // 3
        proof = merkle.inclusion_proof(index, size, tree)
        receipt = {
            "v": verify.RECEIPT_VERSION, "leaf": {"index": index, "body": _body(index).decode()},
            "proof": [base64.b64encode(step).decode() for step in proof], "checkpoint": note,
        }  # fmt: skip
        begun = time.monotonic()
        for _ in range(100):
            verify.verify_receipt(receipt, public)
        return {
            "leaves": size,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(processor, 1),
            "proof_bytes": sum(len(step) for step in proof),
            "receipt_bytes": len(json.dumps(receipt)),
            "receipt_verified_ms": round((time.monotonic() - begun) * 10, 2),
        }
    finally:
        shutil.rmtree(folder)


def _publish(folder: Path, size: int) -> None:
    """A tile folder of ``size`` leaves with their bodies."""
    rows: list[list[bytes]] = [[merkle.leaf_hash(body) for body in _bodies(size)]]
    while len(rows[-1]) >= tiles.WIDTH:
        row = rows[-1]
        whole = len(row) // tiles.WIDTH * tiles.WIDTH
        rows.append([tiles.root_of(row[start : start + tiles.WIDTH]) for start in range(0, whole, tiles.WIDTH)])
    frontier = merkle.Frontier()
    for hashed in rows[0]:
        frontier.append(hashed)
    for tile in tiles.covering(size):
        first = tile.index * tiles.WIDTH
        _put(folder / tile.path, b"".join(rows[tile.level][first : first + tile.width]))
        if tile.level == 0:
            _put(folder / tile.entries_path, tiles.write_entries([_body(first + at) for at in range(tile.width)]))
    note = notes.sign(notes.SignedCheckpoint(ORIGIN, size, frontier.root()), KEY)
    _put(folder / published.CHECKPOINT, note.encode())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _data(number: int) -> dict[str, Any]:
    """What a request for speech states: an event of the usual size, about half a kilobyte in all."""
    return {
        "voice": VOICE, "consent": VOICE, "licence": None, "policy": "core@1.0", "rule": None, "approval": None,
        "job": VOICE, "characters": number % 500, "language": "en", "channel": "web",
        "territory": "", "uses": ["audiobook"], "owner_asked": None, "case": None,
    }  # fmt: skip


def _bodies(size: int) -> Iterator[bytes]:
    return (_body(number) for number in range(size))


def _body(number: int) -> bytes:
    return canonical.encode(
        {
            "v": events.EVENTS[KIND].version, "kind": KIND, "subject": f"speech:{VOICE}", "actor": f"person:{VOICE}",
            "at": "2026-01-01T00:00:00.000000+00:00", "rehearsal": False, "data": _data(number),
        }
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
