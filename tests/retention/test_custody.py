"""Custody: in with a deadline, out before it, gone after it."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import TooLarge
from foundation.identity.actors import Actor
from foundation.vault.errors import PastDeadline
from foundation.vault.models import SealedObject, VaultKey
from retention import custody
from retention.errors import ItemUnknown, NotReceiving, StillReceiving
from retention.models import CustodyItem, CustodyState
from retention.purposes import LIMIT, Purpose

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
SOUND = b"raw sound of a person " * 5_000


def receive(subject: Any = None, data: bytes = SOUND, **more: Any) -> CustodyItem:
    pieces = [data[at : at + 10_000] for at in range(0, len(data), 10_000)]
    return custody.receive(
        **{
            "stream": pieces,
            "purpose": Purpose.TRAINING,
            "subject": subject,
            "actor": SYSTEM,
            "max_bytes": 10**6,
            **more,
        }
    )


def files() -> list[Any]:
    return [path for path in settings.VOUCH_STORAGE.rglob("*") if path.is_file()]


def test_what_was_received_is_read_until_the_deadline_and_not_from_it_on(person: Any) -> None:
    item = receive(person())
    assert item.deadline - item.received_at == LIMIT
    assert custody.read(item=item, actor=SYSTEM) == SOUND
    move_forward(LIMIT - timedelta(minutes=1))
    assert custody.read(item=item, actor=SYSTEM) == SOUND
    move_forward(timedelta(minutes=1))
    with pytest.raises(PastDeadline):
        custody.read(item=item, actor=SYSTEM)


def test_a_nearer_deadline_is_kept_and_a_later_one_is_not() -> None:
    assert receive(deadline=now() + timedelta(hours=1)).deadline < now() + timedelta(hours=1)
    assert receive(deadline=now() + timedelta(days=30)).deadline <= now() + LIMIT


def test_nothing_readable_lies_on_disk() -> None:
    before = set(files())
    receive(data=b"CANARY-CANARY-CANARY" * 1_000)
    fresh = set(files()) - before
    assert fresh
    assert not any(b"CANARY" in path.read_bytes() for path in fresh)


def test_only_the_subject_and_the_system_may_read(person: Any) -> None:
    owner, other = person(), person()
    item = receive(owner)
    assert custody.read(item=item, actor=Actor.of(owner)) == SOUND
    with pytest.raises(ItemUnknown):
        custody.read(item=item, actor=Actor.of(other))
    with pytest.raises(ItemUnknown):
        custody.read(item=receive(None), actor=Actor(None, "anonymous", frozenset(), "anonymous"))


def test_too_much_is_cut_at_the_bound_and_nothing_is_kept() -> None:
    served = 0

    def endless() -> Iterator[bytes]:
        nonlocal served
        while True:
            served += 10_000
            yield bytes(10_000)

    before = len(files())
    with pytest.raises(TooLarge):
        receive(stream=endless(), max_bytes=100_000)
    assert served <= 120_000
    item = CustodyItem.objects.get()
    assert (item.state, item.destroyed_reason) == ("destroyed", "not_received")
    assert VaultKey.objects.get().state == "destroyed"
    assert not SealedObject.objects.exists()
    assert len(files()) == before


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(50_000)
        raise ConnectionResetError

    before = len(files())
    with pytest.raises(ConnectionResetError):
        receive(stream=broken())
    assert CustodyItem.objects.get().state == CustodyState.DESTROYED
    assert len(files()) == before


def test_nothing_at_all_is_refused_without_a_trace() -> None:
    with pytest.raises(custody.EmptyBody):
        receive(data=b"")
    assert not CustodyItem.objects.exists()
    assert not VaultKey.objects.exists()


def test_live_parts_come_back_in_order_with_their_times() -> None:
    item = custody.open_parts(purpose=Purpose.CHALLENGE, subject=None, actor=SYSTEM)
    for number in range(3):
        custody.append(item=item, data=bytes([number]) * 10, actor=SYSTEM)
    with pytest.raises(StillReceiving):
        custody.read(item=item, actor=SYSTEM)
    item = custody.close(item=item, actor=SYSTEM)
    whole = b"".join(bytes([number]) * 10 for number in range(3))
    assert custody.read(item=item, actor=SYSTEM) == whole
    assert custody.matches(item, whole)
    assert not custody.matches(item, whole[:-1])
    assert custody.arrivals(item) == sorted(custody.arrivals(item))
    with pytest.raises(NotReceiving):
        custody.append(item=item, data=b"more", actor=SYSTEM)
    with pytest.raises(NotReceiving):
        custody.close(item=item, actor=SYSTEM)


def test_what_is_derived_has_its_parents_deadline_and_dies_with_it() -> None:
    parent = receive(deadline=now() + timedelta(hours=2))
    child = custody.derive(parent=parent, data=b"features", kind="features", actor=SYSTEM)
    grandchild = custody.derive(parent=child, data=b"of features", kind="slice", actor=SYSTEM)
    assert {child.deadline, grandchild.deadline} == {parent.deadline}
    assert custody.read(item=grandchild, actor=SYSTEM) == b"of features"
    custody.destroy(item=parent, reason="test", actor=SYSTEM)
    for item in (parent, child, grandchild):
        with pytest.raises(PastDeadline):
            custody.read(item=item, actor=SYSTEM)
    assert set(CustodyItem.objects.values_list("state", flat=True)) == {"destroyed"}
    with pytest.raises(PastDeadline):
        custody.derive(parent=parent, data=b"late", kind="features", actor=SYSTEM)


@pytest.mark.django_db(transaction=True)
def test_a_derived_item_can_end_alone() -> None:
    parent = receive()
    child = custody.derive(parent=parent, data=b"checkpoint", kind="checkpoint", actor=SYSTEM)
    before = len(files())
    custody.destroy(item=child, reason="superseded", actor=SYSTEM)
    assert len(files()) == before - 1
    with pytest.raises(PastDeadline):
        custody.read(item=child, actor=SYSTEM)
    assert custody.read(item=parent, actor=SYSTEM) == SOUND
    custody.destroy(item=parent, reason="test", actor=SYSTEM)


def test_the_sweep_ends_what_is_due_and_nothing_else_and_may_run_twice() -> None:
    due, later = receive(deadline=now() + timedelta(hours=1)), receive()
    custody.derive(parent=due, data=b"features", kind="features", actor=SYSTEM)
    move_forward(timedelta(hours=1))
    assert custody.sweep() == 1
    assert custody.sweep() == 0
    assert custody.read(item=later, actor=SYSTEM) == SOUND
    due.refresh_from_db()
    assert due.destroyed_reason == "deadline"
    assert VaultKey.objects.get(id=due.key_id).state == "destroyed"
    assert Leaf.objects.filter(kind="custody.destroyed").count() == 2


def test_an_upload_that_never_ended_is_swept_after_an_hour() -> None:
    item = custody.open_parts(purpose=Purpose.CHALLENGE, subject=None, actor=SYSTEM)
    assert custody.sweep() == 0
    move_forward(timedelta(hours=1))
    assert custody.sweep() == 1
    item.refresh_from_db()
    assert item.destroyed_reason == "abandoned"


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_share_the_work() -> None:
    for _ in range(6):
        receive(data=b"x" * 100, deadline=now() + timedelta(hours=1))
    move_forward(timedelta(hours=1))
    ended: list[int] = []

    def work() -> None:
        ended.append(custody.sweep())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ended) == 6
    assert Leaf.objects.filter(kind="custody.destroyed").count() == 6


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"deadline": timedelta(hours=73)}, IntegrityError),
        ({"deadline": timedelta(hours=71)}, DatabaseError),
        ({"state": "held"}, DatabaseError),
        ({"state": "shared"}, DatabaseError),
    ],
)
def test_the_database_itself_keeps_the_deadline(change: dict[str, Any], error: type[Exception]) -> None:
    item = receive(deadline=now() + timedelta(hours=70))
    if "state" in change:
        custody.destroy(item=item, reason="test", actor=SYSTEM)
    values = {"deadline": item.received_at + change["deadline"]} if "deadline" in change else change
    with pytest.raises((error, DatabaseError)), transaction.atomic():
        CustodyItem.objects.filter(id=item.id).update(**values)


Step = st.one_of(
    st.tuples(st.just("receive"), st.integers(1, 72)),
    st.tuples(st.just("derive"), st.integers(0, 5)),
    st.tuples(st.just("move"), st.integers(1, 40)),
    st.tuples(st.just("destroy"), st.integers(0, 5)),
    st.tuples(st.just("sweep"), st.just(0)),
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(steps=st.lists(Step, max_size=14))
def test_in_any_history_nothing_is_read_past_its_deadline_and_everything_before(
    steps: list[tuple[str, int]],
) -> None:
    """A model of dictionaries beside the real thing: who is alive, until when, under which parent."""
    from pathlib import Path

    (Path(settings.VOUCH_VAR) / "rehearsal-clock").unlink(missing_ok=True)
    items: list[CustodyItem] = []
    content: dict[Any, bytes] = {}
    dead: set[Any] = set()
    with transaction.atomic():
        for verb, number in steps:
            if verb == "receive":
                item = receive(data=bytes([number]) * 50, deadline=now() + timedelta(hours=number))
                items.append(item)
                content[item.id] = bytes([number]) * 50
            elif verb == "move":
                move_forward(timedelta(hours=number))
            elif verb == "sweep":
                custody.sweep()
            elif items:
                target = items[number % len(items)]
                gone = target.id in dead or now() >= target.deadline
                if verb == "destroy":
                    custody.destroy(item=target, reason="test", actor=SYSTEM)
                    family = {target.id}
                    while more := {i.id for i in items if i.parent_id in family} - family:
                        family |= more
                    dead |= family
                elif gone:
                    with pytest.raises(PastDeadline):
                        custody.derive(parent=target, data=b"late", kind="features", actor=SYSTEM)
                else:
                    child = custody.derive(parent=target, data=b"child", kind="features", actor=SYSTEM)
                    assert child.deadline == target.deadline
                    items.append(child)
                    content[child.id] = b"child"
            for item in items:
                if item.id in dead or now() >= item.deadline:
                    with pytest.raises(PastDeadline):
                        custody.read(item=item, actor=SYSTEM)
                else:
                    assert custody.read(item=item, actor=SYSTEM) == content[item.id]
        transaction.set_rollback(True)
