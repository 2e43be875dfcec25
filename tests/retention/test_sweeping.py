"""The sweep: it shares its work, survives its own death, tells what is late, and trusts no clock that runs back."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.vault import storage
from foundation.vault.errors import PastDeadline
from foundation.vault.models import SealedObject, VaultKey
from retention import custody, ending, moments, sweeping
from retention.errors import ClockUntrusted
from retention.models import CustodyItem, Incident, TimeMark
from tests.retention.factories import SYSTEM, held_by_law, received

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def set_clock_back() -> None:
    """What NTP, an administrator or a dead battery does: the clock is where it was before."""
    (Path(settings.VOUCH_VAR) / "rehearsal-clock").unlink()


def test_a_leased_recording_is_anothers_until_the_lease_runs_out() -> None:
    item = received(deadline=now() + HOUR)
    move_forward(HOUR)
    assert sweeping._lease() == [item.id]
    assert custody.sweep() == 0  # the other sweeper died here, with its lease
    with connection.cursor() as cursor:
        cursor.execute("UPDATE retention_custodyitem SET lease_until = lease_until - interval '1 minute'")
    assert custody.sweep() == 1


def test_a_recording_that_cannot_end_now_does_not_keep_the_others(caplog: Any) -> None:
    stuck, other = received(deadline=now() + HOUR), received(deadline=now() + HOUR)
    # Its key's row is one the database refuses to change: what a key store that is away looks like from here.
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'away'; END $$; "
            f"CREATE TRIGGER refuse_test BEFORE UPDATE ON retention_custodyitem FOR EACH ROW "
            f"WHEN (OLD.id = '{stuck.id}' AND NEW.state = 'destroyed') EXECUTE FUNCTION refuse_test()"
        )
    move_forward(HOUR)
    with caplog.at_level(logging.ERROR):
        assert custody.sweep() == 1
    assert f"custody.not_ended item={stuck.id}" in caplog.text
    assert VaultKey.objects.get(id=other.key_id).state == "destroyed"
    # Nothing of it was half done.
    assert VaultKey.objects.get(id=stuck.key_id).state == "active"
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse_test ON retention_custodyitem")
    CustodyItem.objects.update(lease_until=None)
    assert custody.sweep() == 1


@pytest.mark.django_db(transaction=True)
def test_storage_that_is_away_keeps_no_key_alive_and_its_files_go_later() -> None:
    item = received(deadline=now() + HOUR)
    path = settings.VOUCH_STORAGE / SealedObject.objects.get().location
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()  # a folder where the file was: unlink fails, as on a disk that is away
    move_forward(HOUR)
    assert custody.sweep() == 1
    assert VaultKey.objects.get(id=item.key_id).erased_at is not None
    assert SealedObject.objects.get().file_deleted_at is None
    path.rmdir()
    aside.rename(path)
    assert custody.sweep() == 0
    assert SealedObject.objects.get().file_deleted_at is not None
    assert not storage.current().exists(SealedObject.objects.get().location)


def test_six_hours_before_the_deadline_it_is_told_once(caplog: Any) -> None:
    item = received()
    move_forward(timedelta(hours=65))
    with caplog.at_level(logging.WARNING):
        custody.sweep()
        assert "custody.due_soon" not in caplog.text
        move_forward(HOUR)
        custody.sweep()
        custody.sweep()
    assert caplog.text.count(f"custody.due_soon item={item.id}") == 1
    assert list(sweeping.due_soon(now())) == [item]


def test_a_short_life_is_told_of_at_its_half() -> None:
    received(deadline=now() + HOUR)
    assert not sweeping.due_soon(now()).exists()
    move_forward(timedelta(minutes=31))
    assert sweeping.due_soon(now()).exists()


def test_an_overdue_recording_is_an_incident_in_the_log_and_closes_with_its_end() -> None:
    item = received(deadline=now() + HOUR)
    move_forward(3 * HOUR)
    assert list(sweeping.overdue(now())) == [item]
    custody.sweep()
    incident = Incident.objects.get()
    assert (incident.kind, incident.item_id) == ("overdue", item.id)
    assert 7_100 < incident.seconds < 7_300
    assert incident.closed_at is not None
    leaf = Leaf.objects.get(index=incident.leaf_index)
    assert leaf.kind == "custody.overdue"
    assert str(item.id).encode() in bytes(leaf.body)
    custody.sweep()
    assert Incident.objects.count() == 1


def test_a_recording_that_ends_in_time_is_no_incident() -> None:
    received(deadline=now() + HOUR)
    move_forward(HOUR + timedelta(minutes=1))
    assert custody.sweep() == 1
    assert not Incident.objects.exists()


def test_what_is_held_by_law_is_not_overdue(person: Any) -> None:
    item = received(person(), deadline=now() + HOUR)
    held_by_law(item, person("operator"), person("operator"))
    move_forward(3 * HOUR)
    custody.sweep()
    assert not Incident.objects.exists()


def test_a_clock_set_back_opens_nothing_again_and_is_an_incident() -> None:
    item = received(deadline=now() + HOUR)
    move_forward(30 * HOUR)
    moments.remember()
    set_clock_back()
    assert now() < item.deadline
    with pytest.raises(PastDeadline):
        custody.read(item=item, actor=SYSTEM)
    with pytest.raises(ClockUntrusted):
        received()
    assert custody.sweep() == 1
    incident = Incident.objects.get(kind="clock")
    assert incident.seconds > 29 * 3600
    custody.sweep()
    assert Incident.objects.filter(kind="clock").count() == 1
    move_forward(31 * HOUR)
    custody.sweep()
    incident.refresh_from_db()
    assert incident.closed_at is not None
    assert Leaf.objects.filter(kind="clock.set_back").count() == 1
    received()


def test_the_mark_never_moves_back_nor_ahead_of_the_databases_clock(monkeypatch: Any) -> None:
    moments.remember()
    first = TimeMark.objects.get().latest
    move_forward(5 * HOUR)
    moments.remember()
    later = TimeMark.objects.get().latest
    assert later - first > 4 * HOUR
    set_clock_back()
    moments.remember()
    assert TimeMark.objects.get().latest == later
    # This host's clock alone is a year ahead, the database's is not.
    ahead = now() + timedelta(days=365)
    monkeypatch.setattr(moments, "now", lambda: ahead)
    moments.remember()
    assert TimeMark.objects.get().latest == later


def test_files_that_a_crash_left_behind_go_with_the_next_sweep() -> None:
    item = received()
    custody.destroy(item=item, reason="test", actor=SYSTEM)  # the commit's own deletion never ran: no commit here
    assert storage.current().exists(SealedObject.objects.get().location)
    assert ending.delete_files() == 1
    assert not storage.current().exists(SealedObject.objects.get().location)
    assert ending.delete_files() == 0
