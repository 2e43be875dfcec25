"""What is remembered of references: by content, never by name, and never without bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cloning.engine.features.mounted import Mounted
from cloning.engine.features.reference_audio import ReferenceRefused
from cloning.engine.tts.official import load_folder
from cloning.engine.tts.references import References, Remembered, content_of
from cloning.engine.tts.voice import LoadedVoice
from tests.cloning.engine.official import needs_fixtures
from tests.cloning.engine.tts.conftest import recording


@pytest.fixture(scope="module")
def voice(folder: Path) -> LoadedVoice:
    return load_folder(folder)


@needs_fixtures
def test_a_recording_is_heard_once_for_each_content_voice_and_mode(voice: LoadedVoice, models: Path) -> None:
    references, listener = References(), Mounted(models)
    first = references.codes(voice, recording(), listener, compat=False)
    assert references.codes(voice, recording(), listener, compat=False) is first
    assert (first.dtype, first.ndim) == (torch.int64, 1)
    # 0.3 s of silence behind four seconds, upstream counts 0.6 s.
    assert len(first) == 107
    assert len(references.codes(voice, recording(), listener, compat=True)) == 114
    style = references.style(voice, [recording()], listener, compat=False)
    both = references.style(voice, [recording(), recording(seed=2)], listener, compat=False)
    assert style.shape == (1, 512, 1)
    assert not torch.equal(style, both)
    assert len(references.remembered) == 4


def test_a_replaced_file_is_another_recording(tmp_path: Path) -> None:
    file = tmp_path / "ref.wav"
    file.write_bytes(b"one")
    assert content_of(file) == b"one"
    file.write_bytes(b"two")
    assert content_of(str(file)) == b"two"
    assert content_of(b"two") == b"two"


@pytest.mark.parametrize("path", ["/nowhere/a.wav", "a\0b", "/"])
def test_a_file_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ReferenceRefused, match="missing_file"):
        content_of(path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ReferenceRefused, match="too_large"):
        content_of("/dev/zero")


def test_memory_is_bounded_by_number_and_by_size() -> None:
    made: list[int] = []

    def maker(number: int) -> Callable[[], int]:
        def make() -> int:
            made.append(number)
            return number

        return make

    few = Remembered(entries=2, size=100)
    for number in (1, 2, 1, 3, 1, 2):
        few.get(number, maker(number), lambda _: 1)
    assert made == [1, 2, 3, 2]
    small = Remembered(entries=100, size=10)
    for number in range(4):
        small.get(number, maker(number), lambda _: 4)
    assert len(small) == 2
    assert small.get("huge", lambda: 7, lambda _: 11) == 7
    assert len(small) == 2
    small.clear()
    assert len(small) == 0
