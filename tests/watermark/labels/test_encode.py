import io

import numpy as np
import pytest
import soundfile

from watermark.labels.encode import MEDIA_TYPES, EncodingError, container_of, decode, encode


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_lossless_containers_keep_sixteen_bits(speech, container):
    wave, rate = decode(encode(speech, 32_000, container))
    assert rate == 32_000
    assert np.abs(wave - speech).max() <= 1.1 / 32_767


@pytest.mark.parametrize("container", MEDIA_TYPES)
@pytest.mark.parametrize("rate", [16_000, 24_000, 32_000, 44_100, 48_000])
def test_every_container_keeps_the_duration(buzzy, container, rate):
    wave = buzzy(3, 1.0, rate)
    back, at = decode(encode(wave, rate, container))
    # FFmpeg's AAC encoder fills up its last block of 1024 samples and the container keeps no other length.
    block = 1_024 / rate if container == "m4a" else 0
    assert 0.97 <= len(back) / at <= 1.03 + block


def test_samples_beyond_full_scale_do_not_wrap():
    wave, _ = decode(encode(np.array([1.5, -1.5, 1.0, -1.0], np.float32), 16_000, "wav"))
    assert wave[0] > 0.99
    assert wave[1] < -0.99


@pytest.mark.parametrize(
    "wave", [np.zeros(0, np.float32), np.zeros((2, 9), np.float32), np.array([np.nan], np.float32)]
)
def test_what_is_no_mono_sound_is_refused(wave):
    with pytest.raises(EncodingError):
        encode(wave, 16_000, "wav")


def test_unknown_containers_rates_and_files_are_refused(buzzy):
    with pytest.raises(EncodingError):
        encode(buzzy(1, 1.0), 32_000, "aiff")
    with pytest.raises(EncodingError):
        encode(buzzy(1, 1.0), 31_999, "mp3")
    with pytest.raises(EncodingError):
        decode(b"RIFF, or so it says")


@pytest.mark.parametrize("container", MEDIA_TYPES)
def test_container_is_known_by_its_first_bytes_and_a_cut_file_is_named(buzzy, container):
    data = encode(buzzy(1, 1.0), 32_000, container)
    assert container_of(data) == container
    with pytest.raises(EncodingError):
        decode(data[:40])


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3", b"OggX", b"\xff\xf1 an AAC stream", b"%PDF-1.7"])
def test_what_is_no_sound_file_has_no_container(data):
    with pytest.raises(EncodingError):
        container_of(data)


def test_two_channels_are_mixed_only_where_that_is_asked_for():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([[0.5, -0.25]] * 800, np.float32), 16_000, format="WAV")
    with pytest.raises(EncodingError, match="mono"):
        decode(buffer.getvalue())
    wave, _ = decode(buffer.getvalue(), mix=True)
    assert wave == pytest.approx(np.full(800, 0.125), abs=1e-4)
