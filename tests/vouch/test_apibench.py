"""What the load bench makes of its samples."""

import os

import pytest

from vouch.apibench import growth, mean_of, resident_mb


def test_growth_is_the_last_tenth_beside_the_second() -> None:
    flat = [10.0] * 10 + [100.0] * 90  # the start, while everything is loaded, does not count
    assert growth(flat) == 0.0
    assert growth([*flat[:90], *[105.0] * 10]) == pytest.approx(0.05)
    assert growth([1.0, 2.0]) == pytest.approx(1.0)
    assert mean_of([7.0], 9) == 7.0
    with pytest.raises(ValueError, match="nothing"):
        mean_of([], 1)


def test_memory_is_of_the_process_and_what_is_below_it() -> None:
    assert resident_mb(os.getpid()) > 10
    assert resident_mb(2**22 + 1) == 0.0
