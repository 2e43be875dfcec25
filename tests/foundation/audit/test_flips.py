"""One flipped bit anywhere in a published log is found: every bit of every file of a small one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from foundation.audit import canonical, export, merkle, mirror, notes, rebuild, tiles
from tests.foundation.audit.factories import example
from tests.foundation.audit.test_tiles import Published
from tests.foundation.audit.test_verify import ORIGIN, PRIVATE, PUBLIC

CHECKPOINT = "checkpoint"


class Log(Published):
    """A published log of real events, with its checkpoint."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.bodies = [
            canonical.encode(
                {"v": 2, "kind": "clock.moved", "subject": f"s:{number}", "actor": "system:t", "rehearsal": False,
                 "at": "2026-01-01T00:00:00.000000+00:00", "data": example("clock.moved")}
            )
            for number in range(size)
        ]  # fmt: skip
        self.publish()
        note = notes.sign(notes.SignedCheckpoint(ORIGIN, size, self.root()), PRIVATE)
        self.files[CHECKPOINT] = note.encode()

    def is_intact(self) -> bool:
        """What `vouch verify-log` finds of these files."""
        try:
            note = self.files[CHECKPOINT].decode()
            size = notes.verify(note, PUBLIC).size
            if mirror.higher(self.files.get, size):
                return False
            report = rebuild.rebuild(mirror.leaves(self.files.get, size), [note], PUBLIC)
        except (notes.BadNote, tiles.BadTile, UnicodeDecodeError):
            return False
        return report.intact


def every_flip(data: bytes, check: Callable[[bytes], bool], step: int = 1) -> list[int]:
    """The places (in bits; every ``step``-th) whose flip ``check`` does not notice."""
    missed = []
    for place in range(0, 8 * len(data), step):
        bent = bytearray(data)
        bent[place // 8] ^= 1 << place % 8
        if check(bytes(bent)):
            missed.append(place)
    return missed


@pytest.mark.parametrize("size", [1, 2])
def test_every_single_bit_flip_of_a_small_published_log_is_found(size: int) -> None:
    log = Log(size)
    assert log.is_intact()
    for name, data in list(log.files.items()):

        def check(bent: bytes, name: str = name) -> bool:
            log.files[name] = bent
            return log.is_intact()

        assert every_flip(data, check) == [], name
        log.files[name] = data


def test_every_single_bit_flip_of_a_tile_above_the_leaves_is_found() -> None:
    log = Log(257)
    assert log.is_intact()
    (above,) = [name for name in log.files if name.startswith("tile/1/")]
    data = log.files[above]

    def check(bent: bytes) -> bool:
        log.files[above] = bent
        return mirror.higher(log.files.get, log.size) == []

    assert every_flip(data, check) == []


def test_every_single_bit_flip_of_a_small_export_is_found(tmp_path: Path) -> None:
    log = Log(1)
    files = {
        export.ENTRIES: b"".join(
            canonical.encode({"body": body.decode(), "hash": merkle.leaf_hash(body).hex(), "index": index}) + b"\n"
            for index, body in enumerate(log.bodies)
        ),
        export.CHECKPOINTS: json.dumps({"note": log.files[CHECKPOINT].decode()}, ensure_ascii=False).encode() + b"\n",
        export.CHECKPOINT: log.files[CHECKPOINT],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def intact() -> bool:
        try:
            signed = list(export.read_checkpoints(tmp_path))
            return rebuild.rebuild(export.read_leaves(tmp_path), signed, PUBLIC).intact
        except (export.BadExport, notes.BadNote, UnicodeDecodeError):
            return False

    assert intact()

    def check(bent: bytes) -> bool:
        (tmp_path / name).write_bytes(bent)
        return intact()

    # Of the checkpoint itself every bit was flipped above; here it stands in another file.
    for name, step in ((export.ENTRIES, 1), (export.CHECKPOINTS, 7)):
        assert every_flip(files[name], check, step) == [], name
        (tmp_path / name).write_bytes(files[name])
