"""The process killed before each of its disk operations in turn: nothing is lost, repeated or left half done."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as live
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.identity.actors import Actor
from foundation.keys import KeyFiles
from foundation.vault import rotation, services
from foundation.vault.errors import KeyDestroyed, KeyMissing
from foundation.vault.keystore import FileKeyStore
from foundation.vault.storage import FileStorage, Probe, location_of

ACTOR = Actor.system("test")
BLOB = b"wrapped material"


class Killed(BaseException):
    """Nothing of the process goes on after this, not even its ``finally`` on the disk."""


@contextmanager
def killed_before(step: int) -> Iterator[list[bool]]:
    """Every disk operation from number ``step`` on is not made. The list tells whether it came to that."""
    counted, dead = itertools.count(), [False]

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if dead[0] or next(counted) >= step:
                dead[0] = True
                raise Killed
            return function(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "rename", "replace", "unlink", "pwrite", "write", "link"):
            patch.setattr(os, name, guarded(getattr(os, name)))
        with suppress(Killed):
            yield dead


def everywhere(act: Callable[[], Any]) -> Iterator[int]:
    """Makes ``act`` die at its first disk operation, then at its second, and so on until it comes through."""
    for step in range(200):
        with killed_before(step) as dead:
            act()
        yield step
        if not dead[0]:
            return
    raise AssertionError("it never came through")


@pytest.fixture
def store(tmp_path: Path) -> FileKeyStore:
    made = FileKeyStore(tmp_path / "keystore")
    made.make()
    return made


def put(store: FileKeyStore, key_id: UUID) -> None:
    with store.writing():
        store.put(key_id, BLOB)


def test_an_erasure_killed_anywhere_is_finished_by_the_next(store: FileKeyStore) -> None:
    epochs = []
    for step in range(200):
        key_id = uuid4()
        put(store, key_id)
        with killed_before(step) as dead:
            store.erase(key_id)
        epochs.append(store.erase(key_id).after)
        assert not store.holds(key_id)
        with pytest.raises(KeyDestroyed):
            store.get(key_id)
        if not dead[0]:
            break
    assert step > 5
    assert len(set(epochs)) == len(epochs)
    assert store.epoch() == max(epochs)


def test_a_key_killed_while_it_is_put_is_there_or_not(store: FileKeyStore) -> None:
    for step in range(50):
        key_id = uuid4()
        with killed_before(step) as dead:
            put(store, key_id)
        if not store.holds(key_id):
            put(store, key_id)
        assert store.get(key_id) == [BLOB]
        if not dead[0]:
            break
    assert step > 2


def test_a_file_killed_while_it_is_written_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = FileStorage(tmp_path / "storage")
    for step in range(50):
        location = location_of(uuid4())
        with killed_before(step) as dead:
            folder.write(location, [b"one", b"two"])
        if folder.exists(location):
            assert b"".join(folder.read(location)) == b"onetwo"
        folder.delete(location)
        assert folder.probe(location) == Probe(present=False, versions=0)
        if not dead[0]:
            break
    assert step > 3


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "erase", "rotate"]), st.integers(0, 3), st.none() | st.integers(0, 12)),
        max_size=25,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_in_whatever_order_an_erased_key_stays_gone(
    tmp_path: Path, acts: list[tuple[str, int, int | None]]
) -> None:
    store = FileKeyStore(tmp_path / uuid4().hex)
    store.make()
    ids = [uuid4() for _ in range(4)]
    erased: dict[UUID, int] = {}
    expected: set[UUID] = set()

    def rotate(key_id: UUID) -> None:
        store.start_rotation(key_id, b"following")
        store.finish_rotation(key_id)

    for name, which, step in acts:
        key_id = ids[which]
        with killed_before(10_000 if step is None else step) as dead:
            try:
                {"put": lambda k: put(store, k), "erase": store.erase, "rotate": rotate}[name](key_id)
            except (KeyDestroyed, KeyMissing):
                assert key_id not in expected
            except Exception:  # noqa: BLE001 - a second put of a key that is there
                assert name == "put"
        if name == "erase":
            # A worker killed in it comes back to it.
            erased.setdefault(key_id, store.erase(key_id).after)
            expected.discard(key_id)
            assert [path.suffix for path in store.folder.glob(f"*/{key_id.hex}*")] == [".gone"]
        elif name == "put" and store.holds(key_id):
            expected.add(key_id)
        assert not dead[0] or step is not None
        for each in ids:
            assert store.holds(each) == (each in expected)
            if each in expected:
                assert set(store.get(each)) <= {BLOB, b"following"}
    assert len(set(erased.values())) == len(erased)
    assert {key_id: store.erase(key_id).after for key_id in erased} == erased


# -- with the database ------------------------------------------------------------------------------------------------


@pytest.fixture
def item(db: None, settings: Any, tmp_path: Path) -> Any:
    settings.VOUCH_KEYSTORE, settings.VOUCH_KEYS = tmp_path / "keystore", tmp_path / "keys"
    settings.VOUCH_VAR, settings.VOUCH_STORAGE = tmp_path / "var", tmp_path / "storage"
    call_command("make_keys", verbosity=0)
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    return services.store(key=key, kind="audio", owner_ref="p", data=b"kept", not_after=None, actor=ACTOR)


@pytest.mark.parametrize("level", ["master", "key"])
def test_a_rotation_killed_anywhere_loses_nothing(item: Any, level: str) -> None:
    def rotate() -> None:
        if level == "master":
            rotation.rotate_master(keys=KeyFiles(live.VOUCH_KEYS), actor=ACTOR)
        else:
            rotation.rotate_key(key=item.key, actor=ACTOR)

    for step in range(100):
        with killed_before(step) as dead:
            rotate()
        assert services.read(sealed_object=item, actor=ACTOR) == b"kept"
        rotate()  # what was begun is finished, and the next death starts from a whole store
        assert services.read(sealed_object=item, actor=ACTOR) == b"kept"
        if not dead[0]:
            break
    assert step >= 7
    assert len(KeyFiles(live.VOUCH_KEYS).in_use("master")) == 1


def test_a_destruction_killed_anywhere_is_finished_by_beat(item: Any) -> None:
    services.destroy_key(key=item.key, reason="test", actor=ACTOR)
    for _ in everywhere(lambda: services.erasing.finish()):
        with pytest.raises(KeyDestroyed):
            services.read(sealed_object=item, actor=ACTOR)
    item.refresh_from_db()
    item.key.refresh_from_db()
    assert item.key.epoch_after > item.key.epoch_before
    assert item.file_deleted_at is not None
