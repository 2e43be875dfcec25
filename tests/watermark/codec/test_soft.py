"""The network as it runs is the sum over its kernel, written out, wherever it is read and whatever it sees."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from watermark.codec import soft
from watermark.codec.grid import BANDS


def written_out(seen):
    """Soft values at every hop, tap by tap."""
    reach, side, network = (soft.KERNEL[0] - 1) // 2 * soft.DILATION, soft.KERNEL[1] // 2, soft.network()
    padded = np.pad(seen, ((0, 0), (reach, reach), (side, side))).astype(np.float64)
    taps = sliding_window_view(padded, (2 * reach + 1, soft.KERNEL[1]), axis=(1, 2))[:, :, :, :: soft.DILATION]
    hidden = np.einsum("phbtj,ptjc->hbc", taps, network.w1.reshape(soft.PLANES, *soft.KERNEL, -1)) + network.b1
    hidden = np.maximum(np.maximum(hidden, 0) @ network.w2.astype(np.float64) + network.b2, 0)
    return hidden @ network.w3 + network.b3


@pytest.fixture(scope="module")
def seen(speech):
    return soft.planes(soft.log_energies(speech[: 32_000 * 2]))


@pytest.mark.parametrize("hops", [1, 7, 30, 90])
def test_every_way_of_reading_is_the_sum_written_out(seen, hops):
    wanted = written_out(seen[:, :hops])
    for first, step in ((0, 1), (3, 1), (0, 8), (4, 8), (1, 3), (hops, 8)):
        got = soft.network()(seen[:, :hops], first=first, step=step)
        assert got.shape == wanted[first::step].shape
        assert got.dtype == np.float32
        assert np.abs(got - wanted[first::step]).max(initial=0) < 2e-5


def test_place_that_changes_in_time_is_read_as_well(seen):
    part = seen[:, :60].copy()
    part[2, 20:40] = 0
    wanted = written_out(part)
    assert np.abs(soft.network()(part, step=4) - wanted[::4]).max() < 2e-5
    assert np.abs(wanted - written_out(seen[:, :60])).max() > 1e-3
    assert wanted.shape == (60, BANDS)


def test_more_rows_than_are_done_at_a_time(seen):
    everything = soft.network()(seen)
    assert len(everything) > 2 * soft.BLOCK
    assert np.abs(everything[100:140] - written_out(seen[:, 40:200])[60:100]).max() < 2e-5
