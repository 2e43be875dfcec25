"""Receipts and rebuilt logs, with no database in sight."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.audit import canonical, merkle, notes
from foundation.audit.rebuild import ExportedLeaf, rebuild
from foundation.audit.verify import InvalidReceipt, load_receipt, verify_receipt

PRIVATE = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
ORIGIN = "log.example"
ROOT = Path(__file__).resolve().parents[3]


def bodies(size: int) -> list[bytes]:
    return [
        canonical.encode(
            {"v": 1, "kind": "clock.moved", "subject": f"s:{number}", "actor": "system:t", "rehearsal": False,
             "at": "2026-01-01T00:00:00.000000+00:00", "data": {}}
        )
        for number in range(size)
    ]  # fmt: skip


def note_for(data: list[bytes]) -> str:
    frontier = merkle.Frontier()
    for body in data:
        frontier.append(merkle.leaf_hash(body))
    return notes.sign(notes.SignedCheckpoint(ORIGIN, len(data), frontier.root()), PRIVATE)


def receipt_for(index: int, size: int) -> dict[str, Any]:
    data = bodies(size)

    def read(level: int, position: int) -> bytes:
        part = data[position << level : (position + 1) << level]
        frontier = merkle.Frontier()
        for body in part:
            frontier.append(merkle.leaf_hash(body))
        return frontier.root()

    proof = merkle.inclusion_proof(index, size, read)
    return {
        "v": 1,
        "leaf": {"index": index, "body": data[index].decode()},
        "proof": [base64.b64encode(step).decode() for step in proof],
        "checkpoint": note_for(data),
    }


def exported(data: list[bytes]) -> list[ExportedLeaf]:
    return [ExportedLeaf(index, body, merkle.leaf_hash(body)) for index, body in enumerate(data)]


def test_a_receipt_proves_its_leaf() -> None:
    leaf = verify_receipt(receipt_for(2, 6), PUBLIC, origin=ORIGIN)
    assert (leaf.index, leaf.kind, leaf.subject, leaf.size) == (2, "clock.moved", "s:2", 6)


def test_every_single_bit_flip_of_a_receipt_file_is_found() -> None:
    data = json.dumps(receipt_for(2, 5), ensure_ascii=False, separators=(",", ":")).encode()
    verify_receipt(load_receipt(data), PUBLIC)
    for bit in range(len(data) * 8):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidReceipt):
            verify_receipt(load_receipt(bytes(bent)), PUBLIC)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": True}, {"extra": 1}, {"proof": []}, {"proof": ["AAAA"]}, {"proof": [7]}, {"proof": "x"},
        {"proof": ["A" * 44] * 65}, {"checkpoint": 5}, {"leaf": None}, {"leaf": {"index": 0, "body": "{}"}},
        {"leaf": {"index": "2", "body": "{}"}}, {"leaf": {"index": -1, "body": "{}"}},
        {"leaf": {"index": 2, "body": "\ud800"}},
    ],
    ids=repr,
)  # fmt: skip
def test_a_bent_receipt_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidReceipt):
        verify_receipt(receipt_for(2, 5) | change, PUBLIC)


def test_a_receipt_of_another_log_or_key_is_refused() -> None:
    receipt = receipt_for(2, 5)
    with pytest.raises(InvalidReceipt):
        verify_receipt(receipt, bytes(32))
    with pytest.raises(InvalidReceipt):
        verify_receipt(receipt, PUBLIC, origin="other.example")
    for bad in (b"", b"[]", b"\xff", b"[" * 100_000, b" " * 300_000):
        with pytest.raises(InvalidReceipt):
            load_receipt(bad)


def test_an_untouched_log_is_intact_also_when_only_hashes_are_shown() -> None:
    data = bodies(20)
    signed = [note_for(data[:size]) for size in (0, 7, 16, 20)]
    report = rebuild(exported(data), signed, PUBLIC)
    assert report.intact
    assert (report.size, report.checkpoints, report.origin) == (20, 4, ORIGIN)
    hashes = [ExportedLeaf(leaf.index, None, leaf.leaf_hash) for leaf in exported(data)]
    assert rebuild(hashes, signed, PUBLIC).intact


def test_a_changed_leaf_is_named() -> None:
    data = bodies(20)
    leaves = exported(data)
    leaves[9] = ExportedLeaf(9, b"{}", leaves[9].leaf_hash)
    assert [str(found) for found in rebuild(leaves, [note_for(data)], PUBLIC).findings] == [
        "leaf 9: the body does not have the hash that stands beside it"
    ]


def test_a_leaf_replaced_with_its_hash_is_narrowed_down_by_the_checkpoints() -> None:
    data = bodies(20)
    signed = [note_for(data[:size]) for size in (4, 8, 12, 20)]
    forged = [*data[:9], data[9].replace(b"s:9", b"s:0"), *data[10:]]
    (finding,) = rebuild(exported(forged), signed, PUBLIC).findings
    assert (finding.what, finding.first, finding.last) == ("root", 8, 11)


def test_missing_and_reordered_leaves_are_named() -> None:
    data = bodies(20)
    leaves, signed = exported(data), [note_for(data)]

    def findings(changed: list[ExportedLeaf]) -> set[tuple[str, int, int]]:
        return {(found.what, found.first, found.last) for found in rebuild(changed, signed, PUBLIC).findings}

    assert ("missing", 5, 5) in findings(leaves[:5] + leaves[6:])
    assert ("missing", 15, 19) in findings(leaves[:15])
    assert findings([]) == {("missing", 0, 19)}
    swapped = [*leaves[:3], leaves[4], leaves[3], *leaves[5:]]
    assert {("reordered", 3, 3), ("root", 0, 19)} == findings(swapped)
    assert ("reordered", 2, 2) in findings([*leaves[:3], leaves[2], *leaves[3:]])
    extra = bodies(21)[20]
    assert ("beyond", 20, 20) in findings([*leaves, ExportedLeaf(20, extra, merkle.leaf_hash(extra))])


def test_unsigned_foreign_or_absent_checkpoints_are_refused() -> None:
    data = bodies(3)
    with pytest.raises(notes.BadNote):
        rebuild(exported(data), [], PUBLIC)
    with pytest.raises(notes.BadSignature):
        rebuild(exported(data), [note_for(data)], bytes(32))
    other = notes.sign(notes.SignedCheckpoint("other.example", 0, merkle.EMPTY_ROOT), PRIVATE)
    with pytest.raises(notes.BadNote):
        rebuild(exported(data), [note_for(data), other], PUBLIC)


def test_the_verifier_needs_no_django() -> None:
    code = (
        "import sys; import foundation.audit.verify, foundation.audit.rebuild, foundation.audit.export, "
        "foundation.vault.envelope, foundation.vault.clearance; sys.exit('django' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "platform", env={"PYTHONPATH": "."}, check=False, timeout=60
    )
    assert done.returncode == 0
