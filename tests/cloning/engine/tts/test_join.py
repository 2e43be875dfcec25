"""Joining: upstream's arrays, no sample lost at a seam, and nothing wraps around."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.tts.join import Joiner, Wave, laid_out, postprocess, sola, to_int16
from tests.cloning.engine.official import arrays, needs_fixtures


@needs_fixtures
def test_packets_meet_where_upstream_lets_them_meet() -> None:
    data = {name: value.numpy() for name, value in arrays("pipeline.npz").items()}
    for names, overlap, wanted in (
        (("in0", "in1", "in2"), 400, "sola_overlap400"),
        (("in0", "in1"), 200, "sola_overlap200_two"),
    ):
        joined = sola([data[name] for name in names], overlap)
        np.testing.assert_allclose(joined, data[wanted], atol=1e-5, rtol=0)


@needs_fixtures
def test_whole_numbers_are_upstream_s_with_compat_and_do_not_wrap_without() -> None:
    data = {name: value.numpy() for name, value in arrays("pipeline.npz").items()}
    batches = [[data["frag_0_0"], data["frag_0_1"]], [data["frag_1_0"]]]
    bucket = postprocess(batches, 32000, [[2, 0], [1]], 0.01, compat=True)
    plain = postprocess(batches, 32000, None, 0.0, compat=True)
    for got, wanted in ((bucket, data["post_bucket"]), (plain, data["post_plain"])):
        assert got.shape == wanted.shape
        assert int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 1
    fixed = postprocess(batches, 32000, [[2, 0], [1]], 0.01)
    source = np.concatenate([data["frag_0_1"], np.zeros(320), data["frag_1_0"], np.zeros(320), data["frag_0_0"]])
    assert len(fixed) == len(source)
    assert np.all(np.sign(fixed) * np.sign(source) >= 0)


def test_a_signal_cut_into_overlapping_packets_comes_back_whole() -> None:
    rng = np.random.default_rng(1)
    whole = rng.uniform(-1, 1, 9000).astype(np.float32)
    packets = [whole[start : start + 3400] for start in (0, 3000, 6000)]
    joiner = Joiner(400)
    parts = [joiner.add(packet, final=index == 2) for index, packet in enumerate(packets)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate(parts), sola(packets, 400))


def test_a_packet_that_comes_late_is_moved_to_meet_the_one_before() -> None:
    whole = np.sin(np.cumsum(np.linspace(0.01, 0.3, 8000))).astype(np.float32)
    moved = sola([whole[:4000], whole[3500:]], 400)  # 500 samples shared, 400 promised
    np.testing.assert_allclose(moved, whole, atol=1e-5)


def test_the_held_back_end_is_given_when_nothing_follows() -> None:
    joiner = Joiner(100)
    wave = np.arange(1000, dtype=np.float32)
    first = joiner.add(wave)
    np.testing.assert_array_equal(np.concatenate([first, joiner.flush()]), wave)
    assert len(joiner.flush()) == 0


def test_compat_says_the_end_of_the_last_packet_twice() -> None:
    wave = np.linspace(-1, 1, 2000, dtype=np.float32)
    joiner = Joiner(100, compat=True)
    joiner.add(wave)
    np.testing.assert_array_equal(joiner.add(wave, final=True), wave)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6), st.integers(1, 300))
def test_no_length_of_packets_breaks_a_joiner(lengths: list[int], overlap: int) -> None:
    rng = np.random.default_rng(0)
    packets: list[Wave] = [rng.uniform(-1, 1, length).astype(np.float32) for length in lengths]
    joined = sola(packets, overlap)
    assert np.isfinite(joined).all()
    assert np.abs(joined).max(initial=0.0) <= 1.0 + 1e-6
    assert len(joined) <= sum(lengths)


@pytest.mark.parametrize("value", [1.0, -1.0, 1.5, -1.5, 0.99999])
def test_full_scale_keeps_its_sign(value: float) -> None:
    assert np.sign(to_int16(np.array([value], np.float32))[0]) == np.sign(value)


def test_compat_wraps_exactly_at_full_scale() -> None:
    wave = np.array([1.0, -1.0, 0.5, 0.99999], np.float32)
    assert to_int16(wave, compat=True).tolist() == [-32768, -32768, 16384, 32767]


def test_silence_stands_between_sentences_and_with_compat_after_the_last() -> None:
    two = [np.full(10, 0.5, np.float32)] * 2
    assert len(laid_out(two, 1000, 0.1)) == 120
    assert len(laid_out(two, 1000, 0.1, compat=True)) == 220


def test_one_gain_keeps_the_loudness_between_sentences() -> None:
    loud, quiet = np.full(10, 2.0, np.float32), np.full(10, 0.5, np.float32)
    fixed, kept = (laid_out([loud, quiet], 1000, 0.0, compat=compat) for compat in (False, True))
    assert (fixed[0], fixed[-1]) == (1.0, 0.25)
    assert (kept[0], kept[-1]) == (1.0, 0.5)
