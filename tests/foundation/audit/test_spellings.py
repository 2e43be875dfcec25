"""One receipt in three spellings: JSON, tlog-proof, COSE. Each says the same, and no bit of any may change."""

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
import scitt_cose
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from foundation.audit import cose, spellings
from foundation.audit.verify import InvalidReceipt, verify_receipt
from tests.foundation.audit.test_verify import ORIGIN, PRIVATE, PUBLIC, bodies, receipt_for
from vouch import cli

PEM = Ed25519PublicKey.from_public_bytes(PUBLIC).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def receipt() -> dict[str, Any]:
    return receipt_for(2, 5)


@pytest.fixture(scope="module")
def signed(receipt: dict[str, Any]) -> bytes:
    return cose.sign(receipt, PRIVATE)


def test_the_three_spellings_say_the_same(receipt: dict[str, Any], signed: bytes) -> None:
    plain = verify_receipt(receipt, PUBLIC, origin=ORIGIN)
    proof = spellings.to_tlog_proof(receipt).encode()
    assert spellings.from_tlog_proof(proof) == receipt
    assert cose.check(signed, PUBLIC, origin=ORIGIN) == plain


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (6, 7), (7, 8), (3, 13)])
def test_scitt_cose_itself_reads_our_receipt_for_the_leafs_bytes(index: int, size: int) -> None:
    signed = cose.sign(receipt_for(index, size), PRIVATE)
    (attached,) = scitt_cose.extract_receipts(signed)
    found = scitt_cose.verify_receipt(attached, leaf_entry_hex=bodies(size)[index].hex(), log_public_key_pem=PEM)
    assert (found.ok, found.leaf_index, found.tree_size, found.issuer) == (True, index, size, ORIGIN)
    other = scitt_cose.verify_receipt(attached, leaf_entry_hex=b"another".hex(), log_public_key_pem=PEM)
    assert not other.ok


def test_every_single_bit_flip_of_a_tlog_proof_is_found(receipt: dict[str, Any]) -> None:
    data = spellings.to_tlog_proof(receipt).encode()
    verify_receipt(spellings.from_tlog_proof(data), PUBLIC)
    for bit in range(len(data) * 8):
        with pytest.raises(InvalidReceipt):
            verify_receipt(spellings.from_tlog_proof(flipped(data, bit)), PUBLIC)


def test_every_single_bit_flip_of_a_cose_receipt_is_found(signed: bytes) -> None:
    for bit in range(len(signed) * 8):
        with pytest.raises(InvalidReceipt):
            cose.check(flipped(signed, bit), PUBLIC)


def test_a_cose_receipt_of_another_log_or_key_or_with_another_beside_it_is_refused(signed: bytes) -> None:
    with pytest.raises(InvalidReceipt, match="not signed by this key"):
        cose.check(signed, bytes(32))
    with pytest.raises(InvalidReceipt, match="expected log"):
        cose.check(signed, PUBLIC, origin="other.example")
    (attached,) = scitt_cose.extract_receipts(signed)
    for bent in (scitt_cose.attach_receipts(signed, [attached]), unsigned(signed, {99: 1}), unsigned(signed, {})):
        with pytest.raises(InvalidReceipt, match="exactly one"):
            cose.check(bent, PUBLIC)


def test_a_receipt_for_another_leaf_does_not_pass_under_a_signed_statement(signed: bytes) -> None:
    """Forged: the log's own receipt of one leaf under the log's own statement of another."""
    (other,) = scitt_cose.extract_receipts(cose.sign(receipt_for(3, 5), PRIVATE))
    with pytest.raises(InvalidReceipt):
        cose.check(unsigned(signed, {394: [other]}), PUBLIC)


def test_what_does_not_hold_is_never_signed(receipt: dict[str, Any]) -> None:
    with pytest.raises(InvalidReceipt):
        cose.sign(receipt | {"proof": []}, PRIVATE)
    with pytest.raises(InvalidReceipt):
        cose.sign(receipt, bytes(31) + b"\x01")


@pytest.mark.parametrize(
    "data", [b"", b"\xd2", b"\xd2\x84\x40\xa0\x40\x40", b"\xd2" * 500, b"\xd2" + b"\x9b" + b"\xff" * 8]
)
def test_what_is_no_cose_receipt_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InvalidReceipt):
        cose.check(data, PUBLIC)


@pytest.mark.parametrize(
    "bend",
    [
        lambda text: "", lambda text: text.replace("extra ", "extra  ", 1),
        lambda text: text.replace("index 2", "index 02"),
        lambda text: text.replace("index 2", "index 3"), lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("\n\n", "\n", 1), lambda text: text + "x", lambda text: "\udcff" + text,
        lambda text: text.replace("index 2\n", "index 2\n" + "A" * 43 + "=\n"), lambda text: text * 500,
    ],
)  # fmt: skip
def test_a_bent_tlog_proof_is_refused(receipt: dict[str, Any], bend: Any) -> None:
    data = bend(spellings.to_tlog_proof(receipt)).encode(errors="surrogateescape")
    with pytest.raises(InvalidReceipt):
        verify_receipt(spellings.from_tlog_proof(data), PUBLIC)


def test_the_command_reads_all_three(
    receipt: dict[str, Any], signed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (json.dumps(receipt).encode(), spellings.to_tlog_proof(receipt).encode(), signed):
        path = tmp_path / "receipt"
        path.write_bytes(data)
        assert cli.main(["verify-receipt", str(path), "--public-key", PUBLIC.hex()]) == 0
        assert "leaf 2 of log.example" in capsys.readouterr().out
        path.write_bytes(flipped(data, 8 * (len(data) // 2)))
        assert cli.main(["verify-receipt", str(path), "--public-key", PUBLIC.hex()]) == 1
        assert "BROKEN" in capsys.readouterr().out


def flipped(data: bytes, bit: int) -> bytes:
    bent = bytearray(data)
    bent[bit // 8] ^= 1 << bit % 8
    return bytes(bent)


def unsigned(data: bytes, header: dict[int, Any]) -> bytes:
    """The message with another unprotected header, which no signature covers."""
    value = cbor2.loads(data).value
    return cbor2.dumps(cbor2.CBORTag(18, [value[0], header, value[2], value[3]]))
