"""Official folders from anybody: every hostile or broken one is refused by name, and nothing in it runs."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cloning.engine.errors import CheckpointError, EngineError, VoiceFileError
from cloning.engine.tts.official import OfficialFolder, VoiceFile, load_folder, source
from tests.cloning.engine.official import needs_fixtures, unpacked
from tests.cloning.engine.tts.conftest import recording

pytestmark = needs_fixtures


def test_a_folder_is_loaded_with_what_it_says_about_itself(make_folder: Callable[..., Path]) -> None:
    place = make_folder(language="all_zh", overrides={"en": {"vouch": "V AW1 CH"}}, extra_references=["ref.wav"])
    voice = load_folder(place)
    assert (voice.version, voice.table, voice.phonemes, voice.audio.sample_rate) == ("v2", "v2", 732, 32000)
    assert voice.manner.reference == recording()
    assert voice.manner.extra == (recording(),)
    assert (voice.manner.language, voice.manner.prompt_lang) == ("all_zh", "en")
    assert voice.manner.overrides == {"en": {"vouch": "V AW1 CH"}}
    assert OfficialFolder(place).language() == "all_zh"


def test_a_description_is_not_needed(make_folder: Callable[..., Path]) -> None:
    place = make_folder()
    (place / "voice.json").unlink()
    assert load_folder(place).manner.reference is None


def test_a_replaced_file_is_another_voice(make_folder: Callable[..., Path]) -> None:
    place = make_folder()
    before = OfficialFolder(place).key()
    assert OfficialFolder(place).key() == before
    (place / "ref.wav").write_bytes(recording(5.0))
    assert OfficialFolder(place).key() != before


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"reference": "../ref.wav"}, "bad_description"),
        ({"reference": "/etc/passwd"}, "bad_description"),
        ({"reference": 5}, "bad_description"),
        ({"reference": "none.wav"}, "bad_description"),
        ({"extra_references": "ref.wav"}, "bad_description"),
        ({"extra_references": [["ref.wav"]]}, "bad_description"),
        ({"extra_references": ["ref.wav"] * 99}, "bad_description"),
        ({"prompt_lang": "de"}, "bad_description"),
        ({"prompt_lang": ""}, "bad_description"),
        ({"language": "xx"}, "bad_description"),
        ({"overrides": []}, "bad_description"),
        ({"overrides": {"en": {"a": 1}}}, "bad_description"),
        ({"surprise": 1}, "bad_description"),
        ({"version": "v2Pro"}, "wrong_version"),
    ],
    ids=str,
)
def test_a_description_that_makes_no_sense_is_refused(
    make_folder: Callable[..., Path], wrong: dict[str, Any], code: str
) -> None:
    with pytest.raises(VoiceFileError) as refusal:
        load_folder(make_folder(**wrong))
    assert refusal.value.code == code


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"reference": "\\ud800"}'])
def test_a_description_that_is_not_json_is_refused(make_folder: Callable[..., Path], text: str) -> None:
    place = make_folder()
    (place / "voice.json").write_text(text, "utf-8")
    with pytest.raises(VoiceFileError, match="bad_description"):
        load_folder(place)


def test_a_huge_description_is_refused(make_folder: Callable[..., Path]) -> None:
    place = make_folder()
    (place / "voice.json").write_text(" " * 2**21)
    with pytest.raises(EngineError, match="too_large"):
        load_folder(place)


def test_too_few_and_too_many_weight_files_are_named(make_folder: Callable[..., Path]) -> None:
    place = make_folder()
    (place / "other.ckpt").write_bytes(b"")
    with pytest.raises(VoiceFileError, match="exactly one S1"):
        load_folder(place)
    (place / "other.ckpt").unlink()
    (place / "s2.pth").unlink()
    with pytest.raises(VoiceFileError, match="exactly one S2"):
        load_folder(place)


def test_links_and_crowds_are_refused(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    place = make_folder()
    (tmp_path / "secret").write_text("secret")
    (place / "link.wav").symlink_to(tmp_path / "secret")
    with pytest.raises(VoiceFileError, match="leads out"):
        OfficialFolder(place).key()
    (place / "link.wav").unlink()
    for number in range(300):
        (place / f"{number}.txt").touch()
    with pytest.raises(VoiceFileError, match="more than 256"):
        load_folder(place)


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["VOUCH_TEST_PLANTED"],)


@pytest.mark.parametrize("name", ["s1.ckpt", "s2.pth"])
def test_a_planted_pickle_does_not_run(
    make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    planted = tmp_path / "planted"
    monkeypatch.setenv("VOUCH_TEST_PLANTED", str(planted))
    place = make_folder()
    torch.save({"weight": {}, "config": _Hostile(), "info": ""}, place / name)
    with pytest.raises(CheckpointError, match="forbidden_content"):
        load_folder(place)
    (place / name).write_bytes(pickle.dumps(_Hostile()))
    with pytest.raises(CheckpointError, match="not_official"):
        load_folder(place)
    assert not planted.exists()


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    content = torch.load(io.BytesIO(unpacked("s1_small.ckpt.xz")), weights_only=True)
    change(content)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


HEAD = "model.ar_predict_layer.weight"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: unpacked("s1_small.ckpt.xz")[:-5000], "not_official"),
        (lambda: b"", "not_official"),
        (lambda: _changed(lambda c: c["weight"][HEAD].fill_(float("nan"))), "not_finite"),
        (lambda: _changed(lambda c: c["weight"].pop(HEAD)), "wrong_weights"),
        (lambda: _changed(lambda c: c.pop("weight")), "not_official"),
        (lambda: unpacked("s2_v2_small.pth.xz"), "bad_config"),
    ],
    ids=["truncated", "empty", "nan", "missing key", "no weights", "an S2 file"],
)
def test_a_broken_s1_file_is_refused_by_name(
    make_folder: Callable[..., Path], data: Callable[[], bytes], code: str
) -> None:
    place = make_folder()
    (place / "s1.ckpt").write_bytes(data())
    with pytest.raises(CheckpointError) as refusal:
        load_folder(place)
    assert refusal.value.code == code


def test_parts_of_different_generations_do_not_make_a_voice(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(VoiceFileError, match="732 symbols"):
        load_folder(make_folder("v1"))


def test_a_source_is_found_by_what_lies_there(folder: Path, tmp_path: Path) -> None:
    assert isinstance(source(folder), OfficialFolder)
    (tmp_path / "anna.safetensors").write_bytes(b"no voice")
    found = source(tmp_path)
    assert found == VoiceFile(tmp_path / "anna.safetensors") == source(tmp_path / "anna.safetensors")
    with pytest.raises(VoiceFileError):
        found.load()
    for nothing in (tmp_path / "none", tmp_path / "none.voice"):
        with pytest.raises(VoiceFileError, match="no_voice"):
            source(nothing)
    (tmp_path / "anna.safetensors").unlink()
    with pytest.raises(VoiceFileError, match="wrong_folder"):
        source(tmp_path)
