"""The clock set back, and what a start looks at."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from foundation import clock
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.keys import KeyTrouble
from foundation.vault import marks, services, start, timeguard
from foundation.vault.errors import ClockSetBack, KeyStoreRestored, StorageDown, Tampered
from foundation.vault.models import SealedObject

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")


@pytest.fixture(autouse=True)
def own_places(settings: Any, tmp_path: Path) -> None:
    settings.VOUCH_VAR, settings.VOUCH_KEYSTORE = tmp_path / "var", tmp_path / "keystore"
    call_command("make_keys", verbosity=0)


def put(hours: int) -> SealedObject:
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    deadline = clock.now() + timedelta(hours=hours)
    return services.store(key=key, kind="audio", owner_ref="p", data=b"raw", not_after=deadline, actor=ACTOR)


def test_a_clock_set_back_brings_no_deadline_back() -> None:
    sealed = put(hours=2)
    with time_machine.travel(time.time() + 3 * 3600):
        timeguard.present()
    with pytest.raises(ClockSetBack, match="seconds behind"):
        services.read(sealed_object=sealed, actor=ACTOR)
    with pytest.raises(ClockSetBack):
        put(hours=2)


def test_small_steps_of_a_time_daemon_are_no_matter() -> None:
    sealed = put(hours=2)
    with time_machine.travel(time.time() - timeguard.TOLERANCE + 2):
        assert services.read(sealed_object=sealed, actor=ACTOR) == b"raw"


def test_an_operator_may_take_a_corrected_clock_for_right_and_the_log_says_so() -> None:
    sealed = put(hours=2)
    with time_machine.travel(time.time() + 900 * 86400):
        timeguard.present()
    with pytest.raises(CommandError, match="clock_set_back"):
        call_command("vault", "check")
    call_command("vault", "accept-clock", "--reason", "the battery was replaced")
    assert services.read(sealed_object=sealed, actor=ACTOR) == b"raw"
    assert Leaf.objects.filter(kind="clock.accepted").count() == 1


def test_a_mark_only_goes_up() -> None:
    marks.raise_to("clock", 5)
    marks.raise_to("clock", 3)
    assert marks.read("clock") == 5


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"9" * 100])
def test_a_damaged_mark_is_refused(settings: Any, content: bytes) -> None:
    (settings.VOUCH_VAR / "marks").mkdir(parents=True)
    (settings.VOUCH_VAR / "marks" / "clock").write_bytes(content)
    with pytest.raises(Tampered):
        timeguard.present()


@pytest.mark.parametrize(
    ("setting", "error"), [("VOUCH_KEYS", KeyTrouble), ("VOUCH_KEYSTORE", StorageDown), ("VOUCH_STORAGE", StorageDown)]
)
def test_a_start_looks_at_every_place(settings: Any, tmp_path: Path, setting: str, error: type[Exception]) -> None:
    start.check()
    (tmp_path / "file").write_text("")
    setattr(settings, setting, tmp_path / "file")
    with pytest.raises(error):
        start.check()


def test_a_start_looks_at_the_epoch(settings: Any) -> None:
    marks.raise_to("keystore-epoch", 7)
    with pytest.raises(KeyStoreRestored):
        start.check()


def test_the_bench_measures() -> None:
    from foundation.vault.bench import rates

    found = rates(total=1024 * 1024)
    assert set(found) == {"seal", "store", "open"}
    assert all(rate > 0 for rate in found.values())
