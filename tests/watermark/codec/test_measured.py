"""The miss rates that detection reports state."""

import json

import pytest
from scipy.stats import beta

from watermark.codec import measured
from watermark.codec.bench.attacks import ATTACKS
from watermark.codec.measured import Row


def test_a_table_counts_each_recording_once(tmp_path) -> None:
    outcomes = [(3.0, "social", True, False), (3.0, "social", False, True), (5.0, "social", True, False)]
    path = tmp_path / "measured.json"
    path.write_text(json.dumps(measured.table_of(outcomes, "the command")))
    assert measured.rows(path) == [Row(3.0, "social", 1, 1, 2), Row(5.0, "social", 0, 0, 1)]


def test_a_table_of_other_weights_counts_as_nothing(tmp_path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({**measured.table_of([(3.0, "gsm", True, False)], ""), "weights_sha256": "0" * 64}))
    assert measured.rows(path) == []
    assert measured.rows(tmp_path / "none.json") == []


def test_the_shipped_table_was_measured_with_the_shipped_weights() -> None:
    found = measured.rows()
    assert {row.group for row in found} == {attack.group for attack in ATTACKS}
    assert all(0 <= row.missed <= row.of and row.of >= 5 for row in found)


@pytest.mark.parametrize(("missed", "of"), [(0, 200), (3, 200), (199, 200)])
def test_the_upper_end_is_clopper_and_pearsons(missed: int, of: int) -> None:
    assert Row(3.0, "benign", missed, 0, of).miss_rate_at_most == pytest.approx(beta.ppf(0.95, missed + 1, of - missed))


def test_a_row_of_nothing_but_misses_says_one() -> None:
    assert Row(3.0, "gsm", 4, 0, 4).miss_rate_at_most == 1.0


@pytest.mark.parametrize(
    ("form", "kbit_s", "group"),
    [
        ("wav", 256, "benign"), ("flac", None, "benign"), ("mp3", 64, "benign"), ("mp3", 32, "social"),
        ("mp3", 24, "hard"), ("mp3", 16, "extreme"), ("opus", 24, "social"), ("opus", 16, "hard"),
        ("opus", 12, "extreme"), ("m4a", 32, "social"), ("m4a", 16, "extreme"), ("opus", None, None),
        ("unknown", 24, None),
    ],
)  # fmt: skip
def test_a_file_belongs_to_the_group_of_its_own_coding(form: str, kbit_s: float | None, group: str | None) -> None:
    assert measured.group_of(form, kbit_s) == group


def test_a_recording_is_told_the_row_of_the_length_that_it_reaches() -> None:
    table = [Row(3.0, "social", 2, 0, 10), Row(5.0, "social", 1, 0, 10), Row(10.0, "hard", 0, 0, 10)]
    assert measured.row_for(4.9, "social", table) == table[0]
    assert measured.row_for(60.0, "social", table) == table[1]
    assert measured.row_for(2.9, "social", table) is None
