"""The measurement of many voices runs, and what it says of memory and sound holds at any size."""

from __future__ import annotations

from cloning.engine.bench import voices


def test_it_measures_what_it_says() -> None:
    rows = voices.run(quick=True, full=False)
    named = {(row["part"], row["variant"], row.get("batch")): row for row in rows}
    ours, theirs = named["voices memory", "engine", None], named["voices memory", "reference", None]
    assert ours["further_voice_mb"] < 0.5 * theirs["further_voice_mb"]
    assert ours["ten_voices_mb"] < 10 * theirs["further_voice_mb"]
    # Rounding alone on one side (77 to 100 dB, by the order of sums), another person on the other (about 10 dB).
    assert named["voices sound", "engine", None]["snr_db"] > 60
    assert named["voices sound", "another voice", None]["snr_db"] < 20
    for batch in (1, voices.VOICES):
        assert all(named["voices decode", kind, batch]["seconds"] > 0 for kind in ("engine", "base", "reference"))
