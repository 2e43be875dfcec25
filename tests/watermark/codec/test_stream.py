"""Chunks of any size give what the whole gives."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark.codec import embed_stream
from watermark.codec.detect import Detector
from watermark.codec.embed import DEFAULT_STRENGTH, marked_once
from watermark.codec.errors import BadKey, BadPayload, UnmarkableAudio

PAYLOAD = 4_711
ROUNDING = 2e-6


def streamed(stream, wave, sizes):
    out, start = [], 0
    for size in sizes:
        out.append(stream.push(wave[..., start : start + size]))
        start += size
    return np.concatenate([*out, stream.push(wave[..., start:]), stream.flush()], axis=-1)


@settings(max_examples=15, deadline=None)
@given(
    rate=st.sampled_from([16_000, 24_000, 32_000, 44_100, 48_000]),
    sizes=st.lists(st.integers(0, 20_000), max_size=12),
    seed=st.integers(0, 99),
)
def test_chunks_of_any_size_equal_the_whole(buzzy, key, rate, sizes, seed):
    wave = np.asarray(soxr.resample(buzzy(seed, 2.0), 32_000, rate), np.float32)
    whole = marked_once(wave, rate, PAYLOAD, key, 1.5)
    parts = streamed(embed_stream(rate, PAYLOAD, key, 1.5), wave, sizes)
    assert parts.shape == wave.shape
    assert np.abs(parts - whole).max() < ROUNDING


def test_stereo_streams_too(speech, other_speech, key):
    wave = np.stack([speech[:96_000], other_speech[:96_000]])
    parts = streamed(embed_stream(32_000, PAYLOAD, key, channels=2), wave, [100, 5_000])
    assert np.abs(parts - marked_once(wave, 32_000, PAYLOAD, key, DEFAULT_STRENGTH)).max() < ROUNDING


def test_sound_comes_out_before_the_end_and_holds_the_mark(speech, key):
    stream = embed_stream(32_000, PAYLOAD, key)
    early = stream.push(speech[:32_000])
    assert 32_000 - 1_792 <= len(early) < 32_000
    out = np.concatenate([early, stream.push(speech[32_000:]), stream.flush()])
    assert [match.payload for match in Detector(key).search(out, 32_000, [1, PAYLOAD])] == [PAYLOAD]


def test_silence_stays_silence(key):
    out = streamed(embed_stream(32_000, PAYLOAD, key), np.zeros(32_000, np.float32), [999])
    assert out.shape == (32_000,)
    assert not out.any()


def test_stream_refuses_by_name(speech, key):
    with pytest.raises(UnmarkableAudio, match="96000 Hz"):
        embed_stream(96_000, PAYLOAD, key)
    with pytest.raises(BadKey):
        embed_stream(32_000, PAYLOAD, b"short")
    with pytest.raises(BadPayload):
        embed_stream(32_000, 0, key)
    with pytest.raises(UnmarkableAudio, match="channels"):
        embed_stream(32_000, PAYLOAD, key, channels=9)
    stream = embed_stream(32_000, PAYLOAD, key)
    for bad in (
        np.full(9, 1.5, np.float32),
        np.full(9, np.nan, np.float32),
        np.ones(9, np.int16),
        np.zeros((2, 9), np.float32),
    ):
        with pytest.raises(UnmarkableAudio):
            stream.push(bad)
    stream.flush()
    with pytest.raises(ValueError, match="ended"):
        stream.push(speech[:99])
