"""The log's lock is free while the disk writes, and yet no act is answered, or acted upon, before it is on disk."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

from foundation.audit import log, merkle
from foundation.identity.actors import Actor
from vouch.runtime import postgres

ACTOR = Actor.system("test")
ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import sys, threading
import django
django.setup()
from django.core.management import call_command
call_command("migrate", "audit", verbosity=0)
from django.db import transaction
from foundation.audit import log
from foundation.identity.actors import Actor

def write(number):
    for count in range(1000):
        call = log.record if count % 2 else log.append
        with transaction.atomic():
            subject = f"clock:{number}:{count}"
            call(kind="clock.moved", subject=subject, actor=Actor.system("test"), data={"offset_seconds": 0})
        sys.stdout.write(f"clock:{number}:{count}\\n")
        sys.stdout.flush()

for number in range(4):
    threading.Thread(target=write, args=(number,), daemon=True).start()
threading.Event().wait(60)
"""


@pytest.fixture
def promising() -> Iterator[None]:
    """The tests' server keeps no promises, for speed; this connection asks for them."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
    yield
    connection.close()


def position(function: str) -> int:
    """A place in the write-ahead log, in bytes."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}() - '0/0'")
        return int(cursor.fetchone()[0])


@pytest.mark.usefixtures("transactional_db", "promising")
@pytest.mark.parametrize("call", [log.record, log.append])
def test_an_act_is_on_disk_before_any_callback_of_it_runs(call: object) -> None:
    seen: list[bool] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(position("pg_current_wal_flush_lsn") >= written))
        for number in range(2):
            call(kind="clock.moved", subject=f"clock:{number}", actor=ACTOR, data={"offset_seconds": 0})  # type: ignore[operator]
        written = position("pg_current_wal_insert_lsn")
    assert seen == [True]
    assert connection.run_on_commit == []


@pytest.mark.usefixtures("transactional_db", "promising")
def test_only_the_acts_own_transaction_commits_without_waiting() -> None:
    with transaction.atomic():
        log.append(kind="clock.moved", subject="clock:0", actor=ACTOR, data={"offset_seconds": 0})
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            assert cursor.fetchone()[0] == "off"
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone()[0] == "on"


@pytest.mark.usefixtures("transactional_db")
def test_a_savepoint_that_is_rolled_back_leaves_the_wait_to_the_next_event() -> None:
    with transaction.atomic():
        with transaction.atomic():
            log.record(kind="clock.moved", subject="clock:0", actor=ACTOR, data={"offset_seconds": 0})
            transaction.set_rollback(True)
        assert connection.run_on_commit == []
        log.record(kind="clock.moved", subject="clock:1", actor=ACTOR, data={"offset_seconds": 0})
        log.append(kind="clock.moved", subject="clock:2", actor=ACTOR, data={"offset_seconds": 0})
        assert len(connection.run_on_commit) == 1


@pytest.mark.slow
def test_what_was_answered_survives_a_crash_of_the_database_with_every_index_in_place(tmp_path: Path) -> None:
    """A server that keeps its promises is killed while four writers write; every act they saw return is there."""
    server = postgres.start(tmp_path / "pg")
    environment = {
        **os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "DATABASE_URL": server.url,
        "VOUCH_SECRET_KEY": secrets.token_hex(32), "DJANGO_SETTINGS_MODULE": "vouch.settings",
    }  # fmt: skip
    try:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert writer.stdout is not None
        answered = [writer.stdout.readline().strip() for _ in range(60)]
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(20)
        writer.terminate()
        answered += writer.stdout.read().split()
        writer.wait(20)
        writer.stdout.close()
        server = postgres.restart(server)
        with psycopg.connect(server.url) as database:
            rows = database.execute("SELECT index, body, leaf_hash FROM audit_leaf ORDER BY index").fetchall()
            nodes = database.execute("SELECT count(*) FROM audit_node").fetchone()
    finally:
        server.stop()
    assert [index for index, _, _ in rows] == list(range(len(rows)))
    assert all(merkle.leaf_hash(body) == hashed for _, body, hashed in rows)
    assert nodes == (sum(len(list(merkle.completed_by(index))) for index in range(len(rows))),)
    kept = b"".join(body for _, body, _ in rows)
    assert [subject for subject in answered if f'"{subject}"'.encode() not in kept] == []
