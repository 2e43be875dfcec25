"""The container of a bundle: any tar reads it, and nothing in it can change."""

import io
import resource
import tarfile
from pathlib import Path

import pytest

from foundation.audit import archive
from foundation.audit.archive import Archive, BadArchive
from tests.foundation.audit.test_verify import ORIGIN, PRIVATE, PUBLIC

FILES = {"a.json": b"{}", "texts/long": b"x" * 600, "empty": b"", "rows.jsonl": b"one\ntwo\n"}


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    return write(tmp_path, FILES)


def write(folder: Path, files: dict[str, bytes]) -> bytes:
    parts = []
    for number, (name, data) in enumerate(files.items()):
        (folder / str(number)).write_bytes(data)
        parts.append((name, folder / str(number)))
    archive.write(folder / "out.tar", parts, origin=ORIGIN, private_key=PRIVATE)
    data = (folder / "out.tar").read_bytes()
    (folder / "out.tar").unlink()
    return data


def read(data: bytes, key: bytes = PUBLIC) -> dict[str, bytes]:
    opened = Archive(io.BytesIO(data), key)
    assert opened.origin == ORIGIN
    found = {name: opened.read(name, 10_000) for name in ("a.json", "texts/long", "empty")}
    found["rows.jsonl"] = b"".join(line + b"\n" for line in opened.lines("rows.jsonl", 10))
    opened.end()
    return found


def test_what_was_written_is_read_and_any_tar_reads_it(written: bytes) -> None:
    assert read(written) == FILES
    with tarfile.open(fileobj=io.BytesIO(written)) as file:
        assert file.getnames() == ["bundle", "manifest.json", *FILES]


def test_the_same_files_make_the_same_bytes(tmp_path: Path, written: bytes) -> None:
    assert write(tmp_path, FILES) == written


def test_every_single_bit_flip_is_found(tmp_path: Path) -> None:
    """Each bit of what is written, and one bit of each empty byte between: headers and padding are mostly empty."""
    files = {"a.json": b"{}", "texts/long": b"", "empty": b"", "rows.jsonl": b"one\n"}
    data = write(tmp_path, files)
    assert read(data) == files
    for place, value in enumerate(data):
        for bit in range(8) if value else [place % 8]:
            bent = bytearray(data)
            bent[place] ^= 1 << bit
            with pytest.raises(BadArchive):
                read(bytes(bent))


def test_no_beginning_of_it_and_nothing_after_it_passes(written: bytes) -> None:
    for length in range(0, len(written), 97):
        with pytest.raises(BadArchive):
            read(written[:length])
    with pytest.raises(BadArchive, match="follows"):
        read(written + b"\0")


def test_another_key_is_refused_and_a_file_may_not_be_left_out(written: bytes) -> None:
    with pytest.raises(BadArchive, match="this key"):
        read(written, bytes(32))
    opened = Archive(io.BytesIO(written), PUBLIC)
    with pytest.raises(BadArchive, match="out of its place"):
        opened.read("empty", 10)
    with pytest.raises(BadArchive, match="not expected"):
        opened.end()
    with pytest.raises(BadArchive, match="larger"):
        Archive(io.BytesIO(written), PUBLIC).read("a.json", 1)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../b", "a//b", "bundle", "manifest.json", "A", ""])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadArchive):
        write(tmp_path, {name: b""})


def test_it_is_for_its_reader_alone_and_a_disk_without_room_keeps_no_half_of_it(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "out.tar"
    source.write_bytes(b"{}")
    archive.write(target, [("a.json", source)], origin=ORIGIN, private_key=PRIVATE)
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        archive.write(target, [("a.json", source)], origin=ORIGIN, private_key=PRIVATE)
    assert target.exists()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            archive.write(tmp_path / "more.tar", [("a.json", source)], origin=ORIGIN, private_key=PRIVATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "more.tar").exists()
