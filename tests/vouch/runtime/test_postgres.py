"""The embedded PostgreSQL: works from both kinds of binaries and loosens nobody's folders."""

import os
import sys
from pathlib import Path

import psycopg
import pytest

from vouch.runtime import postgres


@pytest.mark.parametrize("binaries", ["distribution", "wheel"])
def test_it_starts_answers_and_leaves_nothing_behind(binaries, monkeypatch):
    if binaries == "distribution" and not list(postgres.DISTRIBUTION.glob("*/bin/postgres")):
        pytest.skip("no distribution PostgreSQL on this machine")
    monkeypatch.setenv("VOUCH_POSTGRES", "wheel" if binaries == "wheel" else "")
    watched = [*Path(sys.executable).parents, *Path(psycopg.__file__).parents, Path.home(), Path.cwd()]
    before = {path: path.stat().st_mode for path in watched}
    users = Path("/etc/passwd").read_text()

    server = postgres.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select 6 * 7").fetchone() == (42,)
    assert server.home.stat().st_mode & 0o077 == 0
    server.stop()

    assert not server.home.exists()
    assert {path: path.stat().st_mode for path in watched} == before
    assert Path("/etc/passwd").read_text() == users


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give the server another user")
def test_as_root_the_server_runs_as_somebody_else():
    server = postgres.start()
    try:
        owner = Path(f"/proc/{server.process.pid}").stat().st_uid
    finally:
        server.stop()
    assert owner != 0
