"""The bench of v3 and v4 at a small size: forms that are compared are the same function, whatever they cost."""

from __future__ import annotations

import torch

from cloning.engine.bench.diffusion import BATCH, LENGTH, integrators, measure, vowels
from cloning.engine.diffusion_config import DitConfig
from tests.cloning.engine.processor import needs_bfloat16


@needs_bfloat16
def test_every_form_has_a_row_beside_the_plain_one() -> None:
    rows = measure(DitConfig(width=32, depth=2, heads=2, head_width=16, text=16, text_layers=1), 32, 40, 1)
    assert [(row["variant"], row["precision"]) for row in rows] == [
        ("reference", "float32"),
        ("reference", "bfloat16"),
        ("engine", "float32"),
        ("engine", "bfloat16"),
    ]
    assert rows[2]["mel_snr_db"] > 80
    assert 10 < rows[3]["mel_snr_db"] < 80


def test_integrators_are_compared_at_the_same_cost() -> None:
    rows = integrators(2, (4, 8), 4)
    assert [(row["variant"], row["evaluations"]) for row in rows][::2] == [("euler", 4), ("midpoint", 4), ("heun", 4)]
    assert all(row["rms_to_truth"] > 0 for row in rows)


def test_vowels_are_told_apart_by_their_text() -> None:
    mel, text = vowels(BATCH, torch.Generator().manual_seed(1))
    assert mel.shape == (BATCH, 100, LENGTH)
    assert text.shape == (BATCH, 32, LENGTH)
    assert float(mel.abs().max()) < 1.2
