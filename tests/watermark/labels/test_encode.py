import numpy as np
import pytest

from watermark.labels.encode import MEDIA_TYPES, EncodingError, decode, encode


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
    assert len(back) / at == pytest.approx(1.0, abs=0.03)


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
        encode(buzzy(1, 1.0), 32_000, "m4a")
    with pytest.raises(EncodingError):
        encode(buzzy(1, 1.0), 31_999, "mp3")
    with pytest.raises(EncodingError):
        decode(b"RIFF, or so it says")
