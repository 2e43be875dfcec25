"""The vocoders' bench at a small size: what it compares is the same function, and every form has its row."""

from __future__ import annotations

from cloning.engine.acoustic.fast import FastDecoder
from cloning.engine.bench.vocoders import measure, v4
from cloning.engine.vocoders.fast import FastBigVgan
from tests.cloning.engine.vocoders.made import small_bigvgan


def test_every_form_has_a_row_beside_the_plain_model() -> None:
    for part, plain, fast in (("v3", small_bigvgan(), FastBigVgan), ("v4", v4(32), FastDecoder)):
        rows = measure(part, plain, fast, 100.0, 0.05, 1)
        assert [(row["variant"], row["precision"]) for row in rows] == [
            ("reference", "float32"),
            ("engine", "float32"),
            ("engine", "bfloat16"),
        ]
        assert rows[1]["max_difference"] < 1e-5
        assert 20 < rows[2]["snr_db"] < 90
