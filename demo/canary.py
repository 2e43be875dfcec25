"""The canary drill: a whole cloning request on a system of its own, and then a search for what was said.

The speaker of the demo's story plays the canary. Its recordings are known byte for byte, so whatever kept a copy of
one, in any spelling `retention.canary` knows, is found. A control, other bytes put on purpose where they must be
found, shows that the search reaches the database files and its write-ahead log, Redis, the logs, the disk and the
backups.
"""

import secrets
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql

from demo import recordings
from demo.report import Report
from demo.run import staff_account
from demo.story import Story
from retention import canary
from retention.canary import Needle, Search
from vouch.runtime import system as systems
from vouch.runtime.system import System

WAV_HEADER = 44
"""Bytes before the samples of `recordings.wav`."""


class PlantedStory(Story):
    """A story that remembers the sound it sends, and has a backup made while all of it is held."""

    def __init__(self, system: System, report: Report, staff: dict[str, str], backup: Path) -> None:
        super().__init__(system, report, staff)
        self.sent: list[tuple[str, bytes]] = []
        self.backup = backup

    def request(self) -> None:
        """The ceremony, recordings, consent, training, speech and trace; then the deadline."""
        self.arrive()
        self.live_challenge()
        self.training_speech()
        self.consent()
        self.train()
        self.speak_and_trace()
        self.deadline()
        with self.report.step("every recording ends", "none is held") as step:
            deadline = time.monotonic() + 60
            while (left := self._held()) and time.monotonic() < deadline:
                time.sleep(0.5)
            step.observed = f"{left} are held" if left else "none is held"

    def train(self) -> None:
        make_backup(self.system, self.backup)
        super().train()

    def needles(self) -> list[Needle]:
        """What to look for: stretches of every recording that was sent."""
        return [
            needle
            for number, (name, pcm) in enumerate(self.sent)
            for stretch in canary.stretches(pcm, 1)
            for needle in canary.needles(f"{name} ({number})", stretch)
        ]

    def _held(self) -> int:
        return sum(item["state"] != "destroyed" for item in self.speaker.get("custody").body)

    def _stream(self, challenge: str, pcm: bytes, rate: int) -> None:
        self.sent.append(("a live answer", pcm))
        super()._stream(challenge, pcm, rate)

    def _upload(self, text: str, sound: Any, rate: int, *, keep: bool = True) -> str:
        self.sent.append(("a training recording", recordings.wav(sound, rate)[WAV_HEADER:]))
        return super()._upload(text, sound, rate, keep=keep)


@dataclass(frozen=True)
class Drill:
    """``found``: the canary anywhere, which must be nowhere. ``control``: hits of the control, by place."""

    found: Search
    control: dict[str, int]

    @property
    def blind(self) -> list[str]:
        """Places where not even the control was found: nothing is proved of them."""
        return [place for place, hits in self.control.items() if not hits]


def run(folder: Path) -> tuple[Report, Drill]:
    """The whole drill on a system of its own under ``folder``, with real workers and servers."""
    var, backup = folder / "system", folder / "backup"
    (var / "tmp").mkdir(parents=True)
    report = Report(folder / "client" / "report.json")
    system = systems.start(
        var,
        keep_data=False,
        port=0,
        TMPDIR=str(var / "tmp"),
        VOUCH_REHEARSAL="1",
        VOUCH_UNDO_SECONDS="2",
        VOUCH_SWEEP_SECONDS="1",
        VOUCH_TRAINING_RECIPE="tiny",
        **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "VOUCH_KEYS", "VOUCH_KEYSTORE", "VOUCH_STORAGE"), ""),
    )
    try:
        staff = {role: staff_account(system, role) for role in ("moderator", "operator")}
        story = PlantedStory(system, report, staff, backup)
        story.request()
        story.close()
        return report, look(system, backup, story.needles())
    finally:
        system.stop()


def make_backup(system: System, folder: Path) -> None:
    """What an operator's nightly backup holds: every table, the sealed objects, Redis, the logs; not the key store."""
    folder.mkdir(parents=True, exist_ok=True)
    with psycopg.connect(system.env["DATABASE_URL"]) as database:
        found = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        for (table,) in database.execute(found).fetchall():
            statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
            with (folder / f"{table}.copy").open("wb") as out, database.cursor().copy(statement) as rows:
                for row in rows:
                    out.write(row)
    with tarfile.open(folder / "files.tar", "w") as archive:
        for place in {system.var, data_of(system), *([system.broker.home] if system.broker else [])}:
            archive.add(place, filter=lambda one: None if "/keystore" in f"/{one.name}" else one)


def data_of(system: System) -> Path:
    """The system's VOUCH_VAR: its own folder unless it was told otherwise."""
    return Path(system.env["VOUCH_VAR"])


def places(system: System, backup: Path) -> dict[str, Path]:
    """Where a copy could lie. The system's temporary files lie under its own folder (TMPDIR)."""
    if system.database is None or system.broker is None:
        raise ValueError("the drill looks into its own servers' files")
    return {
        "database files": system.database.home / "data" / "base",
        "write-ahead log": system.database.home / "data" / "pg_wal",
        "Redis": system.broker.home,
        "logs and temporary files": system.var,
        "storage and keys": data_of(system),
        "backups": backup,
    }


def plant_control(system: System, backup: Path) -> list[Needle]:
    """Puts known random bytes where the search must find them. Returns their needles."""
    stretch = secrets.token_bytes(canary.LENGTH)
    with psycopg.connect(system.env["DATABASE_URL"], autocommit=True) as database:
        database.execute("CREATE TABLE IF NOT EXISTS canary_control (held bytea)")
        database.execute("SET synchronous_commit = on")  # in the log before it is looked at
        insert = "INSERT INTO canary_control VALUES (%s)"
        database.execute(insert, [stretch])
        database.execute("CHECKPOINT")  # from memory into the files, the canary's pages too
        # That may have ended the log's file; and the head of a page of it may lie in the middle of a row, not of each.
        for _ in range(3):
            database.execute(insert, [stretch])
    if system.broker:
        with redis.Redis(unix_socket_path=str(system.broker.socket)) as broker:
            broker.set("canary-control", stretch)
    (system.var / "control.log").write_text(stretch.hex())
    (data_of(system) / "control").write_bytes(stretch)
    (backup / "control").write_bytes(stretch)
    return canary.needles("the control", stretch)


def look(system: System, backup: Path, wanted: Sequence[Needle]) -> Drill:
    """Searches every place for the canary and for the control."""
    control = plant_control(system, backup)
    looked = places(system, backup)
    seen = {name: len(canary.search([place], control).hits) for name, place in looked.items()}
    assert system.database is not None
    # The server's whole home: also its own log, its temporary files, what lies beside base and pg_wal.
    whole = {system.database.home, *list(looked.values())[2:]}
    return Drill(canary.search(whole, wanted), seen)
