import os
from pathlib import Path

import pytest

from foundation.keys import KeyFiles, KeyTrouble


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    made = KeyFiles(tmp_path / "keys")
    made.make_missing()
    return made


def test_keys_are_made_once_and_never_replaced(files: KeyFiles) -> None:
    before = {path.name: path.read_bytes() for path in files.folder.iterdir()}
    assert set(before) == {
        "master.key", "mark.key", "gate.key", "log.key", "provenance.key", "gate.pub", "log.pub", "provenance.pub",
        "policy.key", "policy.pub",
    }  # fmt: skip
    assert files.make_missing() == []
    assert {path.name: path.read_bytes() for path in files.folder.iterdir()} == before
    assert len(files.secret("master")) == len(files.private_key("gate")) == len(files.public_key("gate")) == 32


def test_secret_files_are_for_their_owner_alone(files: KeyFiles) -> None:
    assert files.folder.stat().st_mode & 0o777 == 0o700
    for path in files.folder.glob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o601])
def test_a_secret_open_to_others_is_refused(files: KeyFiles, mode: int) -> None:
    (files.folder / "master.key").chmod(mode)
    with pytest.raises(KeyTrouble, match=f"{mode:04o}"):
        files.secret("master")


def test_a_public_key_others_could_change_is_refused(files: KeyFiles) -> None:
    (files.folder / "gate.pub").chmod(0o664)
    with pytest.raises(KeyTrouble):
        files.public_key("gate")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_account_is_refused(files: KeyFiles) -> None:
    os.chown(files.folder / "master.key", 65534, 65534)
    with pytest.raises(KeyTrouble, match="another account"):
        files.secret("master")


def test_a_link_a_folder_and_a_missing_file_are_refused(files: KeyFiles) -> None:
    (files.folder / "real").write_text("00" * 32)
    (files.folder / "real").chmod(0o600)
    (files.folder / "master.key").unlink()
    with pytest.raises(KeyTrouble, match="make_keys"):
        raise_with_advice(files)
    (files.folder / "master.key").symlink_to("real")
    with pytest.raises(KeyTrouble):
        files.secret("master")
    (files.folder / "master.key").unlink()
    (files.folder / "master.key").mkdir(mode=0o700)
    with pytest.raises(KeyTrouble):
        files.secret("master")


def raise_with_advice(files: KeyFiles) -> None:
    try:
        files.secret("master")
    except KeyTrouble as error:
        raise KeyTrouble(error.advice) from error


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"00" * 31, b"00" * 33, b"\xff" * 64, b"0" * 5000])
def test_a_damaged_key_is_refused(files: KeyFiles, content: bytes) -> None:
    (files.folder / "mark.key").write_bytes(content)
    with pytest.raises(KeyTrouble):
        files.secret("mark")


def test_an_unknown_name_never_reaches_the_file_system(files: KeyFiles) -> None:
    for name in ("../master", "gate", ""):
        with pytest.raises(KeyTrouble, match="no such key"):
            files.secret(name)


def test_a_public_key_that_is_not_the_private_ones_is_noticed(files: KeyFiles) -> None:
    (files.folder / "gate.pub").write_text("00" * 32 + "\n")
    with pytest.raises(KeyTrouble, match="does not belong"):
        files.make_missing()
