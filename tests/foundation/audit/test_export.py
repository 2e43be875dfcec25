"""The log goes out as files and is rebuilt from them by the command line."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from foundation.audit import checkpoints, log, receipts
from foundation.identity.actors import Actor
from foundation.keys import public_key
from vouch import cli

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        with transaction.atomic():
            log.append(
                kind="clock.moved",
                subject=f"clock:{number}",
                actor=Actor.system("tést"),
                data={"offset_seconds": number},
            )
        if number == 5:
            checkpoints.make()
    call_command("export_log", tmp_path / "out", stdout=io.StringIO())
    return tmp_path / "out"


def check(folder: Path) -> int:
    return cli.main(["verify-log", str(folder), "--public-key", public_key("log").hex()])


def test_an_exported_log_verifies_with_the_key_as_text_and_as_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(folder) == 0
    assert cli.main(["verify-log", str(folder), "--public-key", str(folder / "public-key")]) == 0
    assert "INTACT" in capsys.readouterr().out
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_a_folder_with_something_in_it_is_not_written_to(folder: Path) -> None:
    before = (folder / "entries.jsonl").read_bytes()
    with pytest.raises(CommandError):
        call_command("export_log", folder, stdout=io.StringIO())
    assert (folder / "entries.jsonl").read_bytes() == before


def test_changed_removed_and_swapped_lines_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = folder / "entries.jsonl"
    lines = entries.read_text().splitlines(keepends=True)
    first = json.loads(lines[0])["index"]
    for bent, words in (
        ([*lines[:3], lines[3].replace("clock:3", "clock:4"), *lines[4:]], f"leaf {first + 3}: the body"),
        ([*lines[:3], *lines[4:]], f"leaf {first + 3}: missing"),
        ([*lines[:3], lines[4], lines[3], *lines[5:]], f"leaf {first + 3}: out of its place"),
        (lines[:-2], "missing"),
    ):
        entries.write_text("".join(bent))
        assert check(folder) == 1
        assert words in capsys.readouterr().out


def test_what_is_no_export_is_trouble_not_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOUCH_API_KEY", raising=False)
    (folder / "entries.jsonl").write_text("[]\n")
    assert check(folder) == 2
    (folder / "entries.jsonl").write_text("x" * 70_000)
    assert check(folder) == 2
    assert check(folder / "nowhere") == 2
    assert cli.main(["verify-log", str(folder), "--public-key", str(folder / "checkpoint")]) == 2
    assert cli.main(["verify-log", "https://log.example/api/v1", "--public-key", "00" * 32]) == 2
    assert "VOUCH_API_KEY" in capsys.readouterr().err


def test_a_receipt_file_verifies_and_a_bent_one_does_not(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    receipt = receipts.receipt(3)
    path.write_text(json.dumps(receipt))
    key = public_key("log").hex()
    assert cli.main(["verify-receipt", str(path), "--public-key", key]) == 0
    path.write_text(json.dumps(receipt).replace("clock:", "clack:"))
    assert cli.main(["verify-receipt", str(path), "--public-key", key]) == 1
    path.write_text("[")
    assert cli.main(["verify-receipt", str(path), "--public-key", key]) == 1
    assert cli.main(["verify-receipt", str(tmp_path / "none"), "--public-key", key]) == 2
