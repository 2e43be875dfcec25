import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.base import Base
from cloning.engine.training.keep import write_whole
from cloning.engine.training.prepare import Recording, prepare


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process may not grow beyond `size` bytes: as good as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "voice"
    write_whole(path, b"old")
    with room(1000), pytest.raises(TrainingRefused) as caught:
        write_whole(path, b"new" * 1000)
    assert caught.value.code == "disk_full"
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["voice"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_material_is_written_only_where_asked_in_upstreams_layout(
    recordings: list[Recording], base: Base, tmp_path: Path
) -> None:
    encoder = base.build_content()
    material = prepare(
        recordings, language="en", config=base.config, encoder=encoder, codebook=base.codebook, keep=tmp_path / "k"
    )
    waves = sorted((tmp_path / "k" / "5-wav32k").iterdir())
    assert [soundfile.info(path).frames for path in waves] == [len(item.wave) for item in material.items]
    rows = (tmp_path / "k" / "6-name2semantic.tsv").read_text().splitlines()
    assert rows[0] == "item_name\tsemantic_audio"
    assert [int(n) for n in rows[1].split("\t")[1].split()] == material.items[0].codes.tolist()
    names = (tmp_path / "k" / "2-name2text.txt").read_text().splitlines()
    assert [row.split("\t")[0] + ".wav" for row in names] == [path.name for path in waves]
    with room(1000), pytest.raises(TrainingRefused) as caught:
        prepare(
            recordings, language="en", config=base.config, encoder=encoder, codebook=base.codebook, keep=tmp_path / "f"
        )
    assert caught.value.code == "disk_full"
