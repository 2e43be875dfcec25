"""The log as a folder of tiles: it grows, it is checked from outside, and it is cosigned."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction

from foundation import keys
from foundation.audit import checkpoints, cosignatures, log, publish, receipts, tasks, tree, verify, witness, witnesses
from foundation.audit.errors import PublishedElsewhere, WitnessRefused
from foundation.audit.models import Cosignature
from foundation.identity.actors import Actor
from vouch import cli, witnessing

pytestmark = pytest.mark.django_db(transaction=True)
OWN = bytes([7]) * 32
KEY = cosignatures.WitnessKey(
    "witness.example/w1", Ed25519PrivateKey.from_private_bytes(OWN).public_key().public_bytes_raw()
)


def grow(count: int) -> None:
    with transaction.atomic():
        for number in range(count):
            log.append(
                kind="clock.moved",
                subject=f"clock:{number}",
                actor=Actor.system("test"),
                data={"offset_seconds": number},
            )


def check(folder: Path, *more: str) -> int:
    return cli.main(["verify-log", str(folder), "--public-key", keys.public_key("log").hex(), *more])


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize("entries", [False, True])
def test_a_folder_grows_with_the_log_and_verifies_at_every_step(
    tmp_path: Path, entries: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tiles"
    for count in (3, 250, 10, 300):
        grow(count)
        checkpoints.make()
        before = files(folder) if folder.exists() else {}
        assert publish.publish(folder, entries=entries) == tree.size()
        after = files(folder)
        # What was published stays as it was, all but the checkpoint.
        assert all(after[path] == data for path, data in before.items() if path != "checkpoint")
        assert check(folder) == 0
        assert f"INTACT: {tree.size()} leaves" in capsys.readouterr().out
    assert any("entries" in path for path in after) is entries
    assert publish.publish(folder, entries=entries) == tree.size()
    assert files(folder) == after


def test_a_bent_tile_and_a_bent_entry_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow(300)
    call_command("publish_log", tmp_path, "--entries", stdout=io.StringIO())
    for name, words in (
        ("tile/1/000.p/1", "hash 0 is not the root of tile/0/000"),
        ("tile/0/000", "not what was signed"),
        ("tile/entries/000", "the body does not have the hash"),
    ):
        path = tmp_path / name
        data = path.read_bytes()
        path.write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
        assert check(tmp_path) == 1
        assert words in capsys.readouterr().out
        path.write_bytes(data)
    assert check(tmp_path) == 0
    (tmp_path / "tile/0/000").write_bytes(b"short")
    assert check(tmp_path) == 1
    assert "tile/0/000: 5 bytes" in capsys.readouterr().out
    (tmp_path / "checkpoint").unlink()
    assert check(tmp_path) == 1


def test_a_folder_of_another_log_is_not_written_to(tmp_path: Path) -> None:
    grow(1)
    checkpoints.make()
    (tmp_path / "checkpoint").write_text("somebody else's")
    with pytest.raises(PublishedElsewhere):
        publish.publish(tmp_path)
    with pytest.raises(CommandError):
        call_command("publish_log", tmp_path, stdout=io.StringIO())
    assert files(tmp_path) == {"checkpoint": b"somebody else's"}


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[witness.Configured]:
    subject = witness.Witness(
        name=KEY.name,
        private_key=OWN,
        logs={checkpoints.make().note.split("\n")[0]: keys.public_key("log")},
        memory=witness.Memory(tmp_path / "memory"),
        clock=lambda: 1_700_000_000,
    )
    with witnessing.server(subject, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield witness.Configured(KEY, f"http://127.0.0.1:{running.server_port}")
        running.shutdown()
        thread.join()


@pytest.mark.enable_socket
def test_the_log_is_cosigned_published_and_its_receipts_carry_it(
    tmp_path: Path, configured: witness.Configured, settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.VOUCH_LOG_TILES, settings.VOUCH_WITNESSES = tmp_path / "tiles", (configured,)  # type: ignore[attr-defined]
    for _ in range(3):
        grow(5)
        size = tasks.checkpoint()
        assert Cosignature.objects.filter(checkpoint_id=size, witness=KEY.name).count() == 1
        assert check(tmp_path / "tiles", "--witness", KEY.verifier_key) == 0
        assert "cosigned by witness.example/w1" in capsys.readouterr().out
    assert tasks.checkpoint() == size
    assert Cosignature.objects.count() == 3
    receipt = receipts.receipt(size - 1)
    assert cosignatures.verified(receipt["checkpoint"], [KEY])
    assert verify.verify_receipt(receipt, keys.public_key("log")).index == size - 1
    with pytest.raises(DatabaseError, match="append-only"):
        Cosignature.objects.all().delete()


@pytest.mark.enable_socket
def test_a_log_that_lost_its_memory_of_the_witness_asks_again(configured: witness.Configured) -> None:
    """As after a restored backup: the witness remembers a size of which this database holds no cosignature."""
    grow(5)
    first = checkpoints.make()
    body = witness.request(old_size=0, proof=[], note=first.note)
    assert httpx.post(f"{configured.url}/add-checkpoint", content=body).status_code == 200
    grow(5)
    newest = checkpoints.make()
    assert witnesses.ask(configured).checkpoint_id == newest.size


@pytest.mark.enable_socket
def test_a_witness_that_is_away_or_lies_holds_nothing_up(
    tmp_path: Path, settings: object, configured: witness.Configured, caplog: pytest.LogCaptureFixture
) -> None:
    liar = witness.Configured(cosignatures.WitnessKey(KEY.name, bytes(range(32))), configured.url)
    away = witness.Configured(cosignatures.WitnessKey("away.example", KEY.public_key), "http://127.0.0.1:1")
    settings.VOUCH_LOG_TILES, settings.VOUCH_WITNESSES = tmp_path / "tiles", (liar, away)  # type: ignore[attr-defined]
    grow(2)
    size = tasks.checkpoint()
    assert check(tmp_path / "tiles") == 0
    assert check(tmp_path / "tiles", "--witness", KEY.verifier_key) == 1
    assert Cosignature.objects.count() == 0
    assert size == tree.size()
    assert "away.example" in caplog.text
    with pytest.raises(WitnessRefused, match="no cosignature of the configured key"):
        witnesses.ask(liar)
