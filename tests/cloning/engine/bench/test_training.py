"""The training bench on the smallest model: its rows and what its figures mean."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.bench.training import acoustic_steps, measure, semantic_steps
from cloning.engine.config import tiny


@pytest.mark.parametrize("make", [semantic_steps, acoustic_steps])
def test_the_engines_step_is_measured_beside_the_plain_one(make) -> None:  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain, engine = measure("part", make(tiny()), 2, rounds=1)
    assert (plain["variant"], plain["precision"], plain["ratio"]) == ("reference", "float32", 1.0)
    assert (engine["variant"], engine["precision"]) == ("engine", "bfloat16")
    assert engine["ratio"] == pytest.approx(plain["seconds"] / engine["seconds"])
    # The same weights and batch: the same loss, to bfloat16 and what dropout draws.
    assert engine["loss"] == pytest.approx(plain["loss"], rel=0.05)
    for row in (plain, engine):
        assert row["peak_memory_mb"] is None or row["peak_memory_mb"] > 0
