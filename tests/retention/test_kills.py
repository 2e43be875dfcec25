"""No raw audio is readable after its deadline, whatever step a worker was killed at.

A killed process does nothing any more: from the chosen step on every statement to the database and every touch of the
storage or the key store fails, so that no handler cleans up either. The clock is moved; nothing waits.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from foundation.clock import move_forward, now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.vault import erasing, keystore, objects, storage
from foundation.vault.errors import KeyDestroyed, ObjectMissing, PastDeadline
from foundation.vault.models import SealedObject, VaultKey
from retention import custody, holds, tasks
from retention.models import CustodyItem, CustodyState, LegalHold
from retention.purposes import Purpose
from tests.retention.factories import SYSTEM, received

pytestmark = pytest.mark.django_db(transaction=True)
TOUCHES = ("open", "os.remove", "os.rename", "os.mkdir", "fcntl.flock")
LONGEST = 9
"""Minutes of the longest deadline: a thousand runs must fit into the month a rehearsal clock may move."""


class Killed(BaseException):
    """SIGKILL, as it looks from inside."""


class Process:
    """Lives for ``steps`` steps, then is dead for good. ``None``: it lives."""

    running: "Process | None" = None

    def __init__(self, steps: int | None) -> None:
        self.left = steps

    def step(self) -> None:
        if self.left is None:
            return
        if self.left <= 0:
            raise Killed
        self.left -= 1

    def statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.step()
        return execute(sql, params, many, context)


def _touched(event: str, arguments: tuple[Any, ...]) -> None:
    process = Process.running
    if process is None or event not in TOUCHES:
        return
    path = str(arguments[0])
    if event == "fcntl.flock" or path.startswith((str(settings.VOUCH_STORAGE), str(settings.VOUCH_KEYSTORE))):
        process.step()


sys.addaudithook(_touched)


@contextmanager
def process(steps: int | None) -> Iterator[None]:
    """Runs the block as a process that is killed after so many steps. What it held of the database is let go."""
    mortal = Process(steps)
    Process.running = mortal
    try:
        with connection.execute_wrapper(mortal.statement):
            yield
    except (Killed, VouchError):
        pass
    finally:
        Process.running = None
        connection.run_on_commit, connection.savepoint_ids = [], []
        connection.in_atomic_block = connection.needs_rollback = False
        connection.close()


Act = st.sampled_from(["receive", "parts", "derive", "destroy", "sweep", "sweep", "hold"])
Run = st.lists(
    st.tuples(Act, st.none() | st.integers(0, 70), st.integers(1, LONGEST), st.integers(0, 5)), min_size=1, max_size=4
)


def live(run: list[tuple[str, int | None, int, int]], staff: tuple[Any, Any]) -> None:
    """One history: acts, each perhaps killed, with the time moving between them; then the deadline, then a sweeper."""
    sound = random.Random(repr(run)).randbytes(200)
    received(data=sound, deadline=now() + timedelta(minutes=LONGEST))
    for act, steps, minutes, which in run:
        items = list(CustodyItem.objects.exclude(state=CustodyState.DESTROYED).order_by("created_at"))
        item = items[which % len(items)] if items else None
        deadline = now() + timedelta(minutes=minutes)
        with process(steps):
            if act == "receive":
                received(data=sound, deadline=deadline)
            elif act == "parts":
                opened = custody.open_parts(purpose=Purpose.CHALLENGE, subject=None, actor=SYSTEM, deadline=deadline)
                custody.append(item=opened, data=sound, actor=SYSTEM)
                custody.close(item=opened, actor=SYSTEM)
            elif act == "sweep":
                move_forward(timedelta(minutes=1))
                tasks.sweep.run()
            elif item is not None and act == "derive":
                custody.derive(parent=item, data=sound, kind="features", actor=SYSTEM)
            elif item is not None and act == "destroy":
                custody.destroy(item=item, reason="test", actor=SYSTEM)
            elif item is not None:
                until = now() + timedelta(minutes=minutes)
                hold = holds.request_hold(actor=staff[0], item_id=item.id, reason="x", expires_at=until)
                holds.approve_hold(actor=staff[1], hold_id=hold.id)
    # To the last deadline there ever was: one that a hold drew nearer still stands in the object itself.
    ends = [item.deadline for item in CustodyItem.objects.all()] + [one.not_after for one in SealedObject.objects.all()]
    move_forward(max([timedelta(0), *(end - now() for end in ends)]))
    nobody_reads()
    # Another worker comes, when the leases of the dead have run out and the holds are over.
    move_forward(max([timedelta(0), *(hold.expires_at - now() for hold in LegalHold.objects.exclude(state="ended"))]))
    CustodyItem.objects.update(lease_until=None)
    tasks.sweep.run()
    erasing.finish()
    everything_is_gone()


def nobody_reads() -> None:
    """From the deadline on, by any door, although no sweeper ran."""
    for item in CustodyItem.objects.all():
        with pytest.raises(PastDeadline):
            custody.read(item=item, actor=SYSTEM)
    for sealed in SealedObject.objects.all():
        with pytest.raises((PastDeadline, KeyDestroyed, ObjectMissing)):
            list(objects.unseal(sealed))


def everything_is_gone() -> None:
    assert set(CustodyItem.objects.values_list("state", flat=True)) == {"destroyed"}
    for key in VaultKey.objects.filter(kind=custody.KEY_KIND):
        assert key.state == "destroyed" or not CustodyItem.objects.filter(key=key).exists()
        assert key.erased_at is None or not keystore.current().holds(key.id)
    owned = CustodyItem.objects.values_list("key_id", flat=True)
    assert not set(keystore.current().ids()) & set(owned)
    for sealed in SealedObject.objects.all():
        assert storage.current().probe(sealed.location).versions == 0


def forget() -> None:
    """The next history begins with empty tables, so that a thousand of them cost what the first did."""
    from retention.models import CustodyPart, Incident

    Incident.objects.all().delete()
    LegalHold.objects.all().delete()
    CustodyPart.objects.all().delete()
    while CustodyItem.objects.exists():
        CustodyItem.objects.filter(children=None).delete()
    SealedObject.objects.all().delete()


def quietly(max_examples: int) -> Any:
    return hypothesis_settings(
        max_examples=max_examples,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],  # a failing history is short enough; shrinking takes minutes
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@quietly(20)
@given(run=Run)
def test_no_kill_leaves_anything_readable_after_its_deadline(person: Any, run: list[Any]) -> None:
    forget()
    live(run, (Actor.of(person("operator")), Actor.of(person("operator"))))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@quietly(1000)
@given(run=Run)
def test_in_a_thousand_runs_no_kill_leaves_anything_readable_after_its_deadline(person: Any, run: list[Any]) -> None:
    forget()
    live(run, (Actor.of(person("operator")), Actor.of(person("operator"))))


def test_a_dead_process_stays_dead() -> None:
    """The instrument itself: from its last step on nothing of the process reaches the database or the disk."""
    steps = 12
    while not CustodyItem.objects.exists():
        steps += 1
        with process(steps):
            received()
    item = CustodyItem.objects.get()
    assert item.state == CustodyState.RECEIVING  # no handler got to destroy it
    with process(0):
        custody.destroy(item=item, reason="test", actor=SYSTEM)
    item.refresh_from_db()
    assert item.state == CustodyState.RECEIVING
