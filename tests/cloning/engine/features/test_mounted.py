import ast
import re
import threading
from pathlib import Path

import pytest
import torch

from cloning.engine.errors import CheckpointError
from cloning.engine.features import hubert
from cloning.engine.features.mounted import PLACES, Mounted
from tests.cloning.engine.features.mounts import wave, write_bert, write_hubert


def test_an_empty_or_absent_folder_lacks_everything(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        mounted = Mounted(folder)
        assert mounted.missing() == list(PLACES.values())
        for ask in (mounted.hubert, mounted.bert, mounted.speaker_encoder):
            with pytest.raises(CheckpointError) as refusal:
                ask()
            assert refusal.value.code == "not_mounted"


def test_says_what_is_missing_part_by_part(tmp_path: Path) -> None:
    write_hubert(tmp_path / "chinese-hubert-base")
    write_bert(tmp_path / "chinese-roberta-wwm-ext-large")
    (tmp_path / "chinese-roberta-wwm-ext-large" / "vocab.txt").unlink()
    (tmp_path / "G2PWModel").mkdir()
    (tmp_path / "G2PWModel" / "g2pW.onnx").touch()
    mounted = Mounted(tmp_path)
    assert mounted.missing() == ["chinese-roberta-wwm-ext-large", "sv/pretrained_eres2netv2w24s4ep4.ckpt"]
    assert mounted.has("content")
    assert mounted.has("polyphones")


def test_hears_and_reads(tmp_path: Path) -> None:
    write_hubert(tmp_path / "chinese-hubert-base")
    write_bert(tmp_path / "chinese-roberta-wwm-ext-large")
    mounted = Mounted(tmp_path)
    assert mounted.content(wave()[0]).shape == (1, 48, 24)
    assert mounted.prosody("你好", [2, 1]).shape == (32, 3)


def test_a_broken_model_is_not_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "chinese-hubert-base"
    write_hubert(folder)
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[:500])
    mounted = Mounted(tmp_path)
    with pytest.raises(CheckpointError):
        mounted.hubert()
    (folder / "pytorch_model.bin").write_bytes(whole)
    assert mounted.content(wave()[0]).shape[2] == 24


def test_released_models_are_read_again(tmp_path: Path) -> None:
    write_hubert(tmp_path / "chinese-hubert-base")
    mounted = Mounted(tmp_path)
    first = mounted.hubert()
    assert mounted.hubert() is first
    mounted.release()
    assert mounted.hubert() is not first


def test_threads_share_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hubert(tmp_path / "chinese-hubert-base")
    mounted = Mounted(tmp_path, dtype=torch.bfloat16)
    reads = []
    real = hubert.read_settings
    monkeypatch.setattr(hubert, "read_settings", lambda folder: reads.append(folder) or real(folder))
    models: list[object] = []
    threads = [threading.Thread(target=lambda: models.append(mounted.hubert())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len({id(model) for model in models}) == 1


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    package = Path(hubert.__file__).parent
    for path in package.glob("*.py"):
        for statement in ast.parse(path.read_text("utf-8")).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                line = ast.unparse(statement)
                assert not re.search(r"transformers|onnx|torchaudio|librosa", line), f"{path.name}: {line}"
