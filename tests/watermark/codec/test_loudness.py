"""What embedding begins with is as quiet as is promised, and louder where a telephone codec keeps the wave form."""

import numpy as np
import pytest

from watermark.codec.bench.quality import quality
from watermark.codec.embed import embed_checked
from watermark.codec.grid import BANDS, EDGES
from watermark.codec.loudness import MAX_STRENGTH, check_strength, gains


@pytest.mark.parametrize("name", ["speech", "other_speech"])
def test_default_mark_holds_the_promised_noise_to_mask_ratio_and_intelligibility(request, key, name):
    plain = request.getfixturevalue(name)
    out = embed_checked(plain, 32_000, 5, key)
    measured = quality(plain.astype(np.float64), out.wave.astype(np.float64))
    assert -4.5 <= measured.nmr_db <= -2.5  # the goal: -3.5 dB, give or take one
    assert measured.stoi >= 0.995


def test_mark_is_louder_where_a_telephone_codec_keeps_the_wave_form():
    """In sound as loud in every band, the steps between neighbours are those of SHARES."""
    out, _ = gains(np.ones((1, 5, BANDS), np.float32), 2.0, np.full((1, 1), -np.inf, np.float32))
    at_906, at_1406 = (int(np.searchsorted(EDGES, end)) for end in (29, 45))
    assert out[0, 0, at_1406 - 1] / out[0, 0, at_1406] == pytest.approx(1.4, rel=0.05)
    assert out[0, 0, at_906 - 1] / out[0, 0, at_906] == pytest.approx(0.95 / 1.4, rel=0.05)
    # Up to the order a processor's matrix product adds in, which may differ in its last row.
    np.testing.assert_allclose(out[0], np.broadcast_to(out[0, :1], out[0].shape), rtol=1e-6)


@pytest.mark.parametrize("strength", [0.0, -1.0, MAX_STRENGTH + 0.1, float("nan")])
def test_a_strength_has_ends(strength):
    with pytest.raises(ValueError, match="a strength lies in"):
        check_strength(strength)
