"""The parity command: it passes on the official files, and on nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloning.engine.parity.__main__ import main
from cloning.engine.parity.groups import GROUPS, Group, group_of
from tests.cloning.engine.official import FIXTURES, manifest, needs_fixtures, rows

pytestmark = needs_fixtures


def folder_of(root: Path, *names: str) -> Path:
    """A folder of some of the official files, with their manifest."""
    for name in names:
        shutil.copy(FIXTURES / name, root / name)
    (root / "MANIFEST.json").write_text(json.dumps({"files": {name: manifest(name) for name in names}}))
    return root


def rewrite(root: Path, name: str, data: bytes) -> None:
    """Replace a file and say so in the manifest, as another maker of golden files would."""
    (root / name).write_bytes(data)
    table = json.loads((root / "MANIFEST.json").read_text())
    table["files"].setdefault(name, {}).update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (root / "MANIFEST.json").write_text(json.dumps(table))


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def last(captured: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    lines = captured.readouterr().out.strip().splitlines()
    return lines[:-1], lines[-1]


def test_every_official_file_belongs_to_a_group() -> None:
    names = rows("MANIFEST.json")["files"]
    assert [name for name in names if group_of(name) is None] == []
    assert all(group.compare is not None for group in GROUPS)
    assert {group.name for group in GROUPS} == {group.name for name in names if (group := group_of(name))}


def test_right_files_pass_and_a_report_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = Group("later", r"s2_v3_small_infer\.npz", None)
    monkeypatch.setattr("cloning.engine.parity.groups.GROUPS", (unknown, *GROUPS))
    root = folder_of(tmp_path, "to_batch.json", "pipeline.npz", "s1_small.ckpt.xz", "s2_v3_small_infer.npz")
    assert main([str(root), "--json", str(tmp_path.parent / "report.json")]) == 0
    printed, verdict = last(capsys)
    assert verdict == "3 passed, 0 failed"
    assert printed[-1] == "1 not implemented: s2_v3_small_infer.npz"
    report = json.loads((tmp_path.parent / "report.json").read_text())
    assert {row["file"]: row["status"] for row in report}["s1_small.ckpt.xz"] == "passed"


def test_a_changed_file_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "to_batch.json")
    (root / "to_batch.json").write_bytes((root / "to_batch.json").read_bytes() + b" ")
    assert main([str(root)]) == 1
    printed, verdict = last(capsys)
    assert "differs from the manifest" in printed[0]
    assert verdict == "0 passed, 1 failed"


def test_values_are_compared_not_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "pipeline.npz")
    with np.load(root / "pipeline.npz") as data:
        arrays = dict(data)
    arrays["sola_overlap400"][1700] += 3e-5
    rewrite(root, "pipeline.npz", npz(**arrays))
    assert main([str(root)]) == 1
    printed, _ = last(capsys)
    assert printed[0].startswith("failed")
    assert printed[0].endswith("sola_overlap400")


def test_an_array_that_nobody_understands_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "pipeline.npz")
    with np.load(root / "pipeline.npz") as data:
        rewrite(root, "pipeline.npz", npz(**data, surprise=np.zeros(3)))
    assert main([str(root)]) == 1
    assert "not understood: surprise" in capsys.readouterr().out


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_that_nobody_understands_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], listed: bool) -> None:
    root = folder_of(tmp_path, "to_batch.json")
    (root / "novelty.json").write_text("{}")
    if listed:
        rewrite(root, "novelty.json", b"{}")
    assert main([str(root)]) == 1
    assert last(capsys)[1] == "1 passed, 1 failed"


def test_a_file_that_is_missing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "to_batch.json", "cuts.json")
    (root / "cuts.json").unlink()
    assert main([str(root)]) == 1
    assert last(capsys)[1] == "1 passed, 1 failed"


def test_only_some_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "to_batch.json", "s1_small.ckpt.xz")
    assert main([str(root), "--only", "pipeline"]) == 0
    assert last(capsys)[1] == "1 passed, 0 failed"
    assert main([str(root), "--only", "s1_small"]) == 0
    assert last(capsys)[1] == "1 passed, 0 failed"
    assert main([str(root), "--only", "nothing"]) == 2


def test_a_weight_file_of_another_version_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, "s2_v1_small.pth.xz")
    table = json.loads((root / "MANIFEST.json").read_text())
    table["files"]["s2_v1_small.pth.xz"]["config"]["version"] = "v2"
    (root / "MANIFEST.json").write_text(json.dumps(table))
    assert main([str(root)]) == 1
    assert "recognised as v1" in capsys.readouterr().out


def test_a_folder_without_a_manifest_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "MANIFEST.json" in capsys.readouterr().err
    (tmp_path / "MANIFEST.json").write_text('{"files": [1]}')
    assert main([str(tmp_path)]) == 2
