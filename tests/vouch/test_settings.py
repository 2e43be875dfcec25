"""A wrong configuration does not start."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from vouch import environment

GOOD = {
    "VOUCH_ENV": "production",
    "VOUCH_SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgresql://u@h/d",
    "REDIS_URL": "redis://h/0",
}


def start(**changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    env = {**kept, **GOOD, **changes}
    code = "import vouch.settings, sys; sys.exit('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_a_complete_production_configuration_starts():
    done = start(VOUCH_REHEARSAL="0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"VOUCH_REHEARSAL": "1"}, "rehearsal"),
        ({"VOUCH_SECRET_KEY": ""}, "VOUCH_SECRET_KEY"),
        ({"DATABASE_URL": "sqlite:///x"}, "PostgreSQL"),
        ({"VOUCH_REHEARSAL": "maybe"}, "VOUCH_REHEARSAL"),
        ({"VOUCH_SWEEP_SECONDS": "never"}, "VOUCH_SWEEP_SECONDS"),
        ({"VOUCH_SWEEP_SECONDS": "0"}, "VOUCH_SWEEP_SECONDS"),
        ({"VOUCH_SECRET_KEY_FILE": "/nonexistent"}, "VOUCH_SECRET_KEY_FILE"),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(changes, word):
    done = start(**changes)
    assert done.returncode != 0
    assert word in done.stderr


def test_queries_are_not_compiled_unless_the_address_says_so(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d?sslmode=require")
    assert environment.postgres()["OPTIONS"] == {"options": "-c jit=off", "sslmode": "require"}
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d?options=-c%20jit%3Don")
    assert environment.postgres()["OPTIONS"] == {"options": "-c jit=on"}


@pytest.mark.django_db
def test_the_server_hears_it():
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
