"""Gap-free and in order, whoever writes at the same time; killed and rolled back, too."""

import threading
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from foundation.audit import canonical, log, merkle, tree
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.identity.models import ApiKey, Person

ACTOR = Actor.system("test")
WRITERS, EACH = 200, 2

Write = Callable[..., object]


def write(call: Write, subject: str, count: int = 0) -> object:
    return call(kind="clock.moved", subject=subject, actor=ACTOR, data={"offset_seconds": count})


def subjects() -> list[str]:
    return [canonical.decode(bytes(leaf.body))["subject"] for leaf in Leaf.objects.order_by("index")]


def assert_whole() -> None:
    """Indices from 0 without a gap, and the stored tree is the tree of the leaves."""
    frontier = merkle.Frontier()
    for place, leaf in enumerate(Leaf.objects.order_by("index")):
        assert leaf.index == place
        assert bytes(leaf.leaf_hash) == merkle.leaf_hash(bytes(leaf.body))
        frontier.append(bytes(leaf.leaf_hash))
    assert tree.root(tree.size()) == frontier.root()


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_record")
        return int(cursor.fetchone()[0])


def in_threads(act: Callable[[int], None], count: int) -> None:
    """Runs ``act`` in ``count`` threads that all hold a connection before the first begins. Raises what they raise."""
    errors: list[BaseException] = []
    together = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            together.wait(60)
            act(number)
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def holes() -> Iterator[list[tuple[int, int]]]:
    """What a reader saw that was no beginning of the log: (leaves, last index)."""
    found: list[tuple[int, int]] = []
    done = threading.Event()

    def watch() -> None:
        try:
            while not done.is_set():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(*), coalesce(max(index), -1) FROM audit_leaf")
                    count, last = cursor.fetchone()
                if count != last + 1:
                    found.append((count, last))
                done.wait(0.005)
        finally:
            connection.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield found
    done.set()
    watcher.join()


@pytest.mark.usefixtures("transactional_db")
def test_two_hundred_concurrent_writers_lose_none_and_keep_their_order(holes: list[tuple[int, int]]) -> None:
    def act(number: int) -> None:
        for count in range(EACH):
            with transaction.atomic():
                write(log.record if number % 4 else log.append, f"clock:{number}", count)

    in_threads(act, WRITERS)

    found: dict[str, list[int]] = {}
    for leaf in Leaf.objects.order_by("index"):
        body = canonical.decode(bytes(leaf.body))
        found.setdefault(body["subject"], []).append(body["data"]["offset_seconds"])
    assert found == {f"clock:{number}": list(range(EACH)) for number in range(WRITERS)}
    assert holes == []
    assert waiting() == 0
    assert_whole()


@pytest.mark.usefixtures("transactional_db")
def test_an_act_that_fails_at_its_commit_leaves_neither_change_nor_leaf() -> None:
    """Half of the writers break a deferred constraint after they wrote to the log."""

    def act(number: int) -> None:
        if number % 2 == 0:
            return _recorded(number)
        with pytest.raises(IntegrityError, match="identity_apikey"):
            _give_a_key_to_nobody(number)
        return None

    in_threads(act, 20)
    assert sorted(subjects()) == sorted(f"clock:{number}" for number in range(0, 20, 2))
    assert_whole()


@pytest.mark.usefixtures("transactional_db")
def test_what_a_transaction_recorded_keeps_its_order_among_what_it_appended() -> None:
    with transaction.atomic():
        write(log.record, "clock:0")
        write(log.record, "clock:1")
        appended = log.append(kind="clock.moved", subject="clock:2", actor=ACTOR, data={"offset_seconds": 0})
        write(log.record, "clock:3")
    assert appended.index == 2
    assert subjects() == [f"clock:{number}" for number in range(4)]
    assert_whole()


@pytest.mark.usefixtures("transactional_db")
def test_nobody_waits_for_an_act_that_only_recorded() -> None:
    """The first writer is still busy; the second commits, and stands before it in the log."""
    with transaction.atomic():
        write(log.record, "clock:slow")
        in_threads(lambda _: _alone("clock:quick"), 1)
        assert subjects() == ["clock:quick"]
    assert subjects() == ["clock:quick", "clock:slow"]


def _give_a_key_to_nobody(number: int) -> None:
    with transaction.atomic():
        write(log.record, f"clock:{number}")
        # The foreign key is checked at the commit, after the event was recorded.
        ApiKey.objects.create(person_id=uuid.uuid4(), name="k", prefix=f"p{number}", digest=str(number))


def _alone(subject: str) -> None:
    with transaction.atomic():
        write(log.append, subject)


@pytest.mark.usefixtures("transactional_db")
def test_an_event_follows_every_event_whose_act_had_committed_before_it_began() -> None:
    for number in range(6):
        in_threads(lambda _, number=number: _recorded(number), 1)  # type: ignore[misc]
    assert subjects() == [f"clock:{number}" for number in range(6)]


def _recorded(number: int) -> None:
    with transaction.atomic():
        write(log.append if number % 4 else log.record, f"clock:{number}")


@pytest.mark.usefixtures("transactional_db")
def test_a_savepoint_that_is_rolled_back_takes_its_event_along() -> None:
    with transaction.atomic():
        write(log.record, "clock:0")
        with transaction.atomic():
            write(log.record, "clock:undone")
            transaction.set_rollback(True)
        write(log.record, "clock:1")
    assert subjects() == ["clock:0", "clock:1"]


@pytest.mark.usefixtures("transactional_db")
def test_a_writer_killed_before_its_commit_leaves_no_trace_and_holds_nobody_up() -> None:
    """Its backend is terminated while it holds the log's lock."""
    parameters = connection.get_connection_params()
    with psycopg.connect(host=parameters["host"], user=parameters["user"], dbname=parameters["dbname"]) as victim:
        victim.execute("INSERT INTO audit_record (kind, body, moment) VALUES ('clock.moved', '{}', now())")
        victim.execute("SELECT audit_append('clock.moved', '{}', now())")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")
        victim.close()
    with transaction.atomic():
        write(log.append, "clock:next")
    assert subjects() == ["clock:next"]
    assert_whole()


@pytest.mark.usefixtures("transactional_db")
def test_a_change_and_its_leaf_are_one_transaction() -> None:
    with transaction.atomic():
        Person.objects.create(email="a@example.org", display_name="A", role="member")
        write(log.record, "clock:a")
        transaction.set_rollback(True)
    assert not Person.objects.exists()
    assert tree.size() == 0
    assert waiting() == 0
