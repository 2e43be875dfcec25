"""The whole system on one machine: servers, migrations, keys, web, workers, beat.

``python -m vouch.runtime.serve`` keeps it running for a person; the demo and the end-to-end tests hold it as an object.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vouch.runtime import postgres, redis

WORKERS = {
    # Training and synthesis: one job at a time; a single-process pool, because torch and fork do not mix.
    "gpu": ["--queues", "gpu", "--pool", "prefork", "--concurrency", "1"],
    "cpu": ["--queues", "cpu", "--pool", "prefork", "--concurrency", "1"],
    "sweep": ["--queues", "sweep", "--pool", "solo"],
}
#: The gate listens with small networks, step after step: a second thread makes them three times slower, for it is woken
#: (below) at every step. A large one gains by it.
THREADS = {"gpu": "2", "cpu": "1", "sweep": "1"}
READY_SECONDS = 90


class SystemFailed(RuntimeError):
    """A part of the system did not start; the message carries the end of its log."""


@dataclass
class System:
    """A running system. ``address`` is the web server's, ``env`` what a child process needs to join in."""

    var: Path
    env: dict[str, str]
    address: str = ""
    database: postgres.Postgres | None = None
    broker: redis.Redis | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def manage(self, *arguments: str, **env: str) -> str:
        """Runs ``manage.py`` and returns what it printed. Raises SystemFailed with its error output."""
        command = [sys.executable, "-m", "django", *arguments]
        done = subprocess.run(command, env={**self.env, **env}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemFailed(f"{' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout.strip()

    def start_process(self, name: str, command: list[str], **env: str) -> None:
        log = (self.var / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def start_worker(self, name: str) -> None:
        command = [sys.executable, "-m", "celery", "-A", "vouch", "worker", "--loglevel", "INFO",
                   "--hostname", f"{name}@%h", "--without-gossip", "--without-mingle", *WORKERS[name]]  # fmt: skip
        self.start_process(f"worker-{name}", command, OMP_NUM_THREADS=THREADS[name])

    def kill_worker(self, name: str) -> None:
        """SIGKILL to the worker and every child of it: what a power cut looks like."""
        process = self.processes.pop(f"worker-{name}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def restart_database(self) -> None:
        if self.database is None:
            raise SystemFailed("DATABASE_URL is somebody else's server; it is not ours to restart.")
        self.database = postgres.restart(self.database)

    def restart_broker(self) -> None:
        if self.broker is None:
            raise SystemFailed("REDIS_URL is somebody else's server; it is not ours to restart.")
        self.broker = redis.restart(self.broker)

    def check(self) -> None:
        """Raises SystemFailed when a process has died."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise SystemFailed(f"{name} stopped ({process.returncode}):\n{self.tail(name)}")

    def tail(self, name: str, size: int = 3000) -> str:
        return (self.var / f"{name}.log").read_text(errors="replace")[-size:]

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 10
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()
        if self.broker:
            self.broker.stop()
        if self.database:
            self.database.stop()


def start(var: Path, *, keep_data: bool, port: int = 0, **settings: str) -> System:
    """Brings everything up under ``var`` and returns when the web server answers.

    ``keep_data`` keeps the databases between runs; ``settings`` are environment variables of the system. Raises
    SystemFailed, PostgresUnavailable, RedisUnavailable; whatever had been started is stopped again.
    """
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    system = System(var=var, env=_environment(var, settings))
    try:
        if "DATABASE_URL" not in system.env:
            system.database = postgres.start(var / "postgres" if keep_data else None)
            system.env["DATABASE_URL"] = system.database.url
        if "REDIS_URL" not in system.env:
            system.broker = redis.start(var / "redis" if keep_data else None)
            system.env["REDIS_URL"] = system.broker.url
        system.manage("make_keys")
        system.manage("migrate", "--no-input")
        system.manage("collectstatic", "--no-input")
        for name in WORKERS:
            system.start_worker(name)
        system.start_process(
            "beat",
            [sys.executable, "-m", "celery", "-A", "vouch", "beat", "--loglevel", "WARNING",
             "--schedule", str(var / "beat-schedule"), "--pidfile="],
        )  # fmt: skip
        start_web(system, port or _free_port())
        return system
    except BaseException:
        system.stop()
        raise


def stop_on_signal() -> None:
    """Makes SIGTERM end the program as Ctrl-C does, so that the ``finally`` that stops the system runs."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


def start_web(system: System, port: int) -> None:
    system.address = f"http://127.0.0.1:{port}"
    system.start_process(
        "web",
        [sys.executable, "-m", "gunicorn", "vouch.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1",
         "--worker-class", "gthread", "--threads", "32", "--timeout", "120", "--no-control-socket"],
    )  # fmt: skip
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        system.check()
        try:
            urllib.request.urlopen(f"{system.address}/api/v1/log/public-key", timeout=5).close()  # noqa: S310 - ours
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise SystemFailed(f"The web server did not answer:\n{system.tail('web')}")


def _environment(var: Path, settings: dict[str, str]) -> dict[str, str]:
    env: dict[str, Any] = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "vouch.settings",
        "VOUCH_ENV": "development",
        "VOUCH_VAR": str(var),
        "VOUCH_SECRET_KEY": _session_secret(var),
        "OMP_NUM_THREADS": "2",
        # Waiting threads sleep: spinning ones make two busy processes on two cores ten times slower.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    return {name: value for name, value in env.items() if value != ""}


def _session_secret(var: Path) -> str:
    """Django's signing key for this machine, made once, readable by its owner only."""
    path = var / "session-secret"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
