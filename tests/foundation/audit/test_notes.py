import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.audit import notes

PRIVATE = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
STATED = notes.SignedCheckpoint(origin="log.example/vouch", size=7, root=bytes(32))


def test_a_note_has_the_lines_of_c2sp_and_reads_back() -> None:
    note = notes.sign(STATED, PRIVATE)
    text, signature = note.split("\n\n")
    assert text.split("\n") == ["log.example/vouch", "7", "A" * 43 + "="]
    assert signature.startswith("\N{EM DASH} log.example/vouch ")
    assert notes.verify(note, PUBLIC, origin="log.example/vouch") == STATED


def test_the_verifier_key_of_the_c2sp_specification_is_understood_alike() -> None:
    # The example key of c2sp.org/signed-note.
    import base64

    name, key_id, blob = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    public = base64.b64decode(blob)[1:]
    assert notes.key_id(name, public).hex() == key_id
    assert notes.verifier_key(name, public) == f"{name}+{key_id}+{blob}"


def test_the_signature_of_a_witness_is_passed_over() -> None:
    other = notes.sign(STATED, bytes(32)).rsplit("\n\n")[1]
    text, own = notes.sign(STATED, PRIVATE).split("\n\n")
    assert notes.verify(f"{text}\n\n{other}{own}", PUBLIC) == STATED


def test_another_key_another_log_and_another_shape_are_refused() -> None:
    note = notes.sign(STATED, PRIVATE)
    with pytest.raises(notes.BadSignature):
        notes.verify(notes.sign(STATED, bytes(32)), PUBLIC)
    with pytest.raises(notes.BadNote, match="not of"):
        notes.verify(note, PUBLIC, origin="other.example")
    for bad in [
        "",
        "\n\n",
        note[:-1],
        note.replace("\n7\n", "\n07\n"),
        note.replace("\n7\n", "\n7\n7\n"),
        "x" * 20_000,
    ]:
        with pytest.raises(notes.BadNote):
            notes.verify(bad, PUBLIC)
    with pytest.raises(notes.BadNote):
        notes.sign(notes.SignedCheckpoint("a b", 1, bytes(32)), PRIVATE)


def test_every_single_bit_flip_of_a_note_is_found() -> None:
    note = notes.sign(STATED, PRIVATE).encode()
    for bit in range(len(note) * 8):
        bent = bytearray(note)
        bent[bit // 8] ^= 1 << bit % 8
        try:
            text = bent.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(notes.BadNote):
            notes.verify(text, PUBLIC)
