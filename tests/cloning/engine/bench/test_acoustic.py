"""The acoustic bench on the smallest model: its rows and what its figures mean."""

from __future__ import annotations

import math

import pytest
import torch

from cloning.engine.bench.acoustic import measure, snr_db, weight_bytes
from cloning.engine.config import tiny
from cloning.engine.processor import has_int8
from tests.cloning.engine.acoustic.made import sourceless


def test_every_form_is_measured_beside_the_plain_one() -> None:
    torch.set_num_threads(1)
    rows = measure(sourceless(tiny()), codes=4, rounds=1)
    assert [(row["part"], row["variant"], row["precision"]) for row in rows] == [
        (part, variant, precision)
        for part in ("acoustic hifigan", "acoustic decode")
        for variant, precision in (
            ("reference", "float32"),
            ("engine", "float32"),
            ("engine", "bfloat16"),
            *([("engine", "int8")] if has_int8() else []),
        )
    ]
    for row in rows:
        assert row["audio_seconds"] == pytest.approx(8 * 320 / 16000)
        assert row["rtf"] == pytest.approx(row["seconds"] / row["audio_seconds"])
        assert row["ratio"] == pytest.approx(row["reference_seconds"] / row["seconds"])
        assert row["peak_memory_mb"] is None or row["peak_memory_mb"] > 0
    plain, exact, low = rows[len(rows) // 2 :][:3]
    assert plain["ratio"] == 1.0
    assert "snr_db" not in plain
    assert exact["max_difference"] < 1e-6
    assert 20 < low["snr_db"] < 100


def test_signal_to_noise_is_in_decibels() -> None:
    wave = torch.sin(torch.arange(1000.0))
    assert snr_db(wave, wave * 1.01) == pytest.approx(40, abs=0.01)
    assert math.isinf(snr_db(wave, wave.clone()))


def test_weights_are_counted_in_bytes() -> None:
    assert weight_bytes(torch.nn.Linear(10, 10, bias=False)) == 400
