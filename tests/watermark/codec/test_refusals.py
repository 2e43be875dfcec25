import contextlib

import numpy as np
import pytest

from watermark.codec.detect import Detector
from watermark.codec.embed import embed
from watermark.codec.errors import BadKey, BadPayload, UnmarkableAudio
from watermark.codec.grid import MAX_SECONDS

SECOND = 32_000


def tone(seconds=3.0):
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * SECOND)) / SECOND)).astype(np.float32)


def with_nan():
    wave = tone()
    wave[1_000] = np.nan
    return wave


BAD_FOR_BOTH = {
    "silence": np.zeros(3 * SECOND, np.float32),
    "0.2 s": tone(0.2),
    "empty": np.zeros(0, np.float32),
    "NaN": with_nan(),
    "infinite": np.full(3 * SECOND, np.inf, np.float32),
    "samples first": np.stack([tone(), tone()]).T,
    "nine channels": np.stack([tone()] * 9),
    "no channel": np.zeros((0, 3 * SECOND), np.float32),
    "three dimensions": np.stack([tone(), tone()])[None],
    "integers": (tone() * 32_000).astype(np.int16),
    "scalar": np.float32(0.5),
    "too long": np.broadcast_to(np.float32(0.1), int((MAX_SECONDS + 1) * SECOND)),
}


@pytest.mark.parametrize("name", BAD_FOR_BOTH)
def test_both_refuse_what_is_no_sound(name, key):
    with pytest.raises(UnmarkableAudio):
        embed(BAD_FOR_BOTH[name], SECOND, 1, key)
    with pytest.raises(UnmarkableAudio):
        Detector(key).search(BAD_FOR_BOTH[name], SECOND, [1])


@pytest.mark.parametrize(
    "wave",
    [
        np.full(3 * SECOND, 0.5, np.float32),
        np.sign(tone()).astype(np.float32),
        tone() * 4,
        tone() * np.float32(1e-5),
        (0.3 * np.sin(2 * np.pi * 50 * np.arange(3 * SECOND) / SECOND)).astype(np.float32),
    ],
    ids=["DC", "clipped", "over full scale", "nearly silent", "hum only"],
)
def test_embedding_refuses_what_cannot_hold_a_mark(wave, key):
    with pytest.raises(UnmarkableAudio):
        embed(wave, SECOND, 1, key)


def test_direct_current_shows_no_mark(key):
    with contextlib.suppress(UnmarkableAudio):
        assert Detector(key).search(np.full(3 * SECOND, 0.5, np.float32), SECOND, [1, 2, 3]) == []


@pytest.mark.parametrize("rate", [0, -1, 7, 8_000, 96_000, 192_000])
def test_embedding_refuses_other_rates(rate, key):
    with pytest.raises(UnmarkableAudio):
        embed(tone(), rate, 1, key)


def test_key_and_payload_are_checked_before_any_work(key):
    with pytest.raises(BadKey):
        embed(tone(), SECOND, 1, b"short")
    with pytest.raises(BadPayload):
        embed(tone(), SECOND, 0, key)
    with pytest.raises(BadPayload):
        Detector(key).search(tone(), SECOND, [2**48])
