"""A witness cosigns consistent growth and nothing else, over the real protocol."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.audit import cosignatures, merkle, notes, witness
from foundation.audit.cosignatures import WitnessKey
from vouch import witnessing

ORIGIN = "log.example/vouch"
LOG, OTHER, OWN = bytes(range(32)), bytes(32), bytes([7]) * 32
NAME = "witness.example/w1"


def public(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


KEY = WitnessKey(NAME, public(OWN))


class Log:
    """A growing tree with its proofs."""

    def __init__(self, salt: str = "") -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index in range(40):
            value = self.nodes[0, index] = merkle.leaf_hash(f"{salt}{index}".encode())
            for level, position in merkle.completed_by(index):
                value = self.nodes[level, position] = merkle.node_hash(self.nodes[level - 1, 2 * position], value)

    def read(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]

    def note(self, size: int, key: bytes = LOG, origin: str = ORIGIN) -> str:
        stated = notes.SignedCheckpoint(origin=origin, size=size, root=merkle.root(size, self.read))
        return notes.sign(stated, key)

    def request(self, old: int, new: int) -> bytes:
        proof = merkle.consistency_proof(old, new, self.read)
        return witness.request(old_size=old, proof=proof, note=self.note(new))


@pytest.fixture
def subject(tmp_path: Path) -> witness.Witness:
    memory = witness.Memory(tmp_path / "memory")
    return witness.Witness(
        name=NAME, private_key=OWN, logs={ORIGIN: public(LOG)}, memory=memory, clock=lambda: 1_679_315_147.9
    )


def seen(subject: witness.Witness) -> tuple[int, bytes]:
    with subject.memory.locked(ORIGIN) as slot:
        return slot.read()


def test_consistent_growth_is_cosigned_and_the_cosignature_verifies(subject: witness.Witness) -> None:
    log = Log()
    for old, new in ((0, 1), (1, 7), (7, 7), (7, 32), (32, 40)):
        answer = subject.add_checkpoint(log.request(old, new))
        assert answer.status == 200, answer
        note = log.note(new) + answer.body
        assert cosignatures.verified(note, [KEY]) == [cosignatures.Cosignature(NAME, 1_679_315_147)]
        assert notes.verify(note, public(LOG)).size == new
    assert seen(subject) == (40, merkle.root(40, log.read))


def test_the_example_of_the_specification_verifies() -> None:
    # c2sp.org/tlog-cosignature: the signature's key is not given there, its key id and time are.
    line = (
        "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n"
        "PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    import base64

    blob = base64.b64decode(line.split(" ")[2])
    assert int.from_bytes(blob[4:12], "big") == 1_679_315_147
    ours = cosignatures.cosign(Log().note(3), name=NAME, private_key=OWN, time=1_679_315_147)
    assert len(base64.b64decode(ours.split(" ")[2])) == len(blob)
    assert base64.b64decode(ours.split(" ")[2])[:12] == KEY.key_id + blob[4:12]


def test_a_second_history_is_never_cosigned(subject: witness.Witness) -> None:
    log, split = Log(), Log("other ")
    assert subject.add_checkpoint(log.request(0, 10)).status == 200
    before = seen(subject)
    proof = merkle.consistency_proof(10, 20, split.read)
    bent = witness.request(old_size=10, proof=proof, note=split.note(20))
    assert subject.add_checkpoint(bent).status == 422
    assert subject.add_checkpoint(witness.request(old_size=10, proof=[], note=split.note(10))).status == 409
    assert subject.add_checkpoint(witness.request(old_size=0, proof=[], note=split.note(20))).status == 409
    assert seen(subject) == before


def test_a_smaller_tree_after_a_larger_one_is_told_the_size(subject: witness.Witness) -> None:
    log = Log()
    subject.add_checkpoint(log.request(0, 20))
    answer = subject.add_checkpoint(log.request(5, 10))
    assert (answer.status, answer.body, answer.content_type) == (409, "20\n", "text/x.tlog.size")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, witness.request(old_size=0, proof=[], note=Log().note(3, origin="unknown.example"))),
        (403, witness.request(old_size=0, proof=[], note=Log().note(3, key=OTHER))),
        (400, witness.request(old_size=9, proof=[], note=Log().note(3))),
        (422, witness.request(old_size=0, proof=[bytes(32)], note=Log().note(3))),
        (400, witness.request(old_size=0, proof=[bytes(32)] * 64, note=Log().note(3))),
        (400, b"old 00\n\n" + Log().note(3).encode()),
        (400, b"old -1\n\n" + Log().note(3).encode()),
        (400, b"old 0\n%%%\n\n" + Log().note(3).encode()),
        (400, b"\xff\xfe"),
        (400, b""),
        (400, b"x" * 40_000),
    ],
    ids=["origin", "key", "old", "proof", "long", "zeros", "negative", "base64", "bytes", "empty", "large"],
)
def test_what_cannot_be_cosigned_is_refused_and_nothing_is_remembered(
    subject: witness.Witness, status: int, body: bytes
) -> None:
    assert subject.add_checkpoint(body).status == status
    assert seen(subject) == (0, merkle.EMPTY_ROOT)


def test_memory_survives_a_restart_and_damage_stops_it(subject: witness.Witness, tmp_path: Path) -> None:
    log = Log()
    subject.add_checkpoint(log.request(0, 10))
    again = replace(subject, memory=witness.Memory(tmp_path / "memory"))
    assert again.add_checkpoint(log.request(0, 12)).status == 409
    assert again.add_checkpoint(log.request(10, 12)).status == 200
    (file,) = (tmp_path / "memory").glob("*.seen")
    file.write_text("nonsense")
    with pytest.raises(notes.BadNote, match="do not go on"):
        again.add_checkpoint(log.request(12, 13))


def test_racing_requests_never_lead_back(subject: witness.Witness) -> None:
    log = Log()
    subject.add_checkpoint(log.request(0, 10))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda size: subject.add_checkpoint(log.request(10, size)).status, range(11, 35)))
    assert answers.count(200) == 1
    assert set(answers) == {200, 409}


def test_a_bent_cosignature_is_no_cosignature(subject: witness.Witness) -> None:
    log = Log()
    line = subject.add_checkpoint(log.request(0, 10)).body
    assert cosignatures.verified(log.note(10), [KEY]) == []
    assert cosignatures.verified(log.note(10) + line, [WitnessKey(NAME, public(OTHER))]) == []
    with pytest.raises(notes.BadNote, match="does not verify"):
        cosignatures.verified(log.note(11) + line, [KEY])


def test_a_witness_key_has_one_spelling() -> None:
    assert WitnessKey.parse(KEY.verifier_key) == KEY
    log_key = notes.verifier_key(ORIGIN, public(LOG))
    assert witnessing.log_key(log_key) == (ORIGIN, public(LOG))
    for text in (log_key, "", "a+b", KEY.verifier_key.replace(NAME, "w2"), KEY.verifier_key[:-4]):
        with pytest.raises(notes.BadNote):
            WitnessKey.parse(text)
    with pytest.raises(notes.BadNote):
        witnessing.log_key(KEY.verifier_key)


def test_settings_name_each_witness_once() -> None:
    (one,) = witness.parse(f" {KEY.verifier_key} https://witness.example/ ,")
    assert one == witness.Configured(KEY, "https://witness.example")
    assert witness.parse("") == ()
    for text in (KEY.verifier_key, f"{KEY.verifier_key} ftp://x", ",".join([f"{KEY.verifier_key} https://x"] * 2)):
        with pytest.raises(notes.BadNote):
            witness.parse(text)


@pytest.fixture
def url(subject: witness.Witness) -> Iterator[str]:
    with witnessing.server(subject, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.enable_socket
def test_over_http(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        done = client.post("/add-checkpoint", content=Log().request(0, 10))
        assert done.status_code == 200
        assert cosignatures.verified(Log().note(10) + done.text, [KEY])
        conflict = client.post("/add-checkpoint", content=Log().request(0, 10))
        assert (conflict.status_code, conflict.headers["content-type"]) == (409, "text/x.tlog.size")
        assert client.post("/other", content=b"").status_code == 404
        assert client.post("/add-checkpoint", content=b"x" * 100_000).status_code == 413
        assert client.get("/add-checkpoint").status_code == 501


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = witnessing._private_key(key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert witnessing._private_key(key) == made
    key.chmod(0o644)
    with pytest.raises(OSError, match="chmod 600"):
        witnessing._private_key(key)
