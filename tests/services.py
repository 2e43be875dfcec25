"""Pytest plugin (``-p tests.services``): real PostgreSQL and Redis before Django reads its settings.

A hook in conftest.py would come too late: pytest-django imports the settings first.
"""

import gc
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
_running: list[Any] = []
GARBAGE = (200_000, 20, 20)
"""Python's collector runs after so many new objects, not after 700: the migrations alone make millions that stay, and
took a third more processor time. Rubbish is collected still, a little later."""


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    sys.path[:0] = [p for p in (str(ROOT), str(ROOT / "platform")) if p not in sys.path]
    from vouch.runtime import postgres, redis

    gc.set_threshold(*GARBAGE)
    var = Path(tempfile.mkdtemp(prefix="vouch-test-"))
    (var / "static").mkdir()
    _running.append(var)
    os.environ["VOUCH_ENV"] = "development"
    os.environ["VOUCH_REHEARSAL"] = "1"
    os.environ["VOUCH_VAR"] = str(var)
    os.environ["VOUCH_SECRET_KEY"] = secrets.token_hex(32)
    os.environ["VOUCH_TRAINING_RECIPE"] = "tiny"
    os.environ["VOUCH_TRAINING_THREADS"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["DJANGO_SETTINGS_MODULE"] = "vouch.settings"
    for name in ("VOUCH_KEYS", "VOUCH_KEYSTORE", "VOUCH_STORAGE", "VOUCH_KMS_KEY", "VOUCH_S3_BUCKET"):
        os.environ.pop(name, None)
    if not os.environ.get("DATABASE_URL"):
        server = postgres.start()
        _running.append(server)
        os.environ["DATABASE_URL"] = server.url
    # Under xdist the workers inherit the controller's PostgreSQL (each gets its own database in it) and start a
    # Redis each: rate limits count callers, and all of a run's anonymous callers have one address.
    if not os.environ.get("REDIS_URL") or os.environ.get("PYTEST_XDIST_WORKER"):
        broker = redis.start()
        _running.append(broker)
        os.environ["REDIS_URL"] = broker.url
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    while _running:
        thing = _running.pop()
        if isinstance(thing, Path):
            shutil.rmtree(thing, ignore_errors=True)
        else:
            thing.stop()
