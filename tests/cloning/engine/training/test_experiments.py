"""The experiments run and print a table; their figures, which take minutes, stand in the documentation."""

from __future__ import annotations

import pytest

from cloning.engine.training import experiments


@pytest.mark.parametrize(("name", "rows"), [("padding", 4)])
def test_an_experiment_prints_a_table(
    name: str, rows: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for constant, value in (("CORPUS", 6), ("HELD_OUT", 3), ("BATCHES", 2), ("BATCH", 2), ("CODE_STEPS", 1)):
        monkeypatch.setattr(experiments, constant, value)
    assert experiments.main([name, "--speaker", "demo.flite.speaker:speak_timed", "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == rows + 2
    assert lines[0].startswith(f"| {name} | held-out")
    assert "nan" not in "".join(lines)
