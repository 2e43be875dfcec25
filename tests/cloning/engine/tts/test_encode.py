"""Bytes of every media type, whole and in packets, read back by another library."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import soundfile

from cloning.engine.tts.encode import MEDIA_TYPES, encoded, encoded_stream

RATE = 32000
TONE = (0.5 * 32767 * np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)).astype(np.int16)


def heard(data: bytes, media_type: str) -> tuple[np.ndarray, int]:
    if media_type == "raw":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768, RATE
    if media_type == "wav":
        return soundfile.read(io.BytesIO(data), dtype="float32")
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    return np.concatenate([frame.reshape(-1) for frame in frames]), rate


@pytest.mark.parametrize("media_type", list(MEDIA_TYPES))
def test_what_is_written_can_be_heard(media_type: str) -> None:
    wave, rate = heard(encoded(TONE, RATE, media_type), media_type)
    assert abs(len(wave) / rate - 1.0) < 0.1
    spectrum = np.abs(np.fft.rfft(wave[rate // 4 : rate // 4 + rate // 2]))
    assert abs(int(spectrum.argmax()) * 2 - 440) <= 2


@pytest.mark.parametrize("media_type", list(MEDIA_TYPES))
def test_packets_become_one_file(media_type: str) -> None:
    pieces = list(encoded_stream(np.array_split(TONE, 7), RATE, media_type))
    assert len(pieces) > 2
    wave, rate = heard(b"".join(pieces), media_type)
    assert abs(len(wave) / rate - 1.0) < 0.1


def test_a_lossless_form_loses_nothing() -> None:
    for data in (encoded(TONE, RATE, "wav"), b"".join(encoded_stream([TONE[:100], TONE[100:]], RATE, "wav"))):
        np.testing.assert_array_equal(np.frombuffer(data[44:], "<i2"), TONE)


def test_an_unknown_media_type_is_refused() -> None:
    with pytest.raises(ValueError, match="mp5"):
        encoded(TONE, RATE, "mp5")
