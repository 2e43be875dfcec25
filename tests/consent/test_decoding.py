"""Uploads as they come: every container, and everything that is none."""

import io
import struct
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile as sf

from consent.decoding import (
    AudioEmpty,
    AudioTooLong,
    AudioTruncated,
    NotAudio,
    decode,
    from_pcm16,
)

RATE = 16_000


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    return wave if channels == 1 else np.stack([wave] * channels, axis=1)


def file(fmt: str, wave: np.ndarray, rate: int = RATE, subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    sf.write(out, wave, rate, format=fmt, subtype=subtype)
    return out.getvalue()


def by_av(fmt: str, codec: str, wave: np.ndarray, rate: int) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size)) is not None:
            container.mux(stream.encode(part))
        if (rest := fifo.read(0, partial=True)) is not None:
            container.mux(stream.encode(rest))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("fmt", ["WAV", "FLAC", "OGG", "MP3"])
def test_common_files_are_read_at_their_own_rate(fmt: str) -> None:
    wave, rate = decode(file(fmt, tone(1.0)))
    assert rate == RATE
    assert wave.dtype == np.float32
    assert wave.ndim == 1
    assert abs(len(wave) / rate - 1.0) < 0.12
    assert 0.1 < np.sqrt((wave**2).mean()) < 0.3


@pytest.mark.parametrize(("fmt", "codec"), [("webm", "libopus"), ("ogg", "libopus"), ("mp4", "aac")])
def test_what_browsers_record_is_read(fmt: str, codec: str) -> None:
    wave, rate = decode(by_av(fmt, codec, tone(2.0, 48_000), 48_000))
    assert rate == 48_000
    assert abs(len(wave) / rate - 2.0) < 0.15


def test_channels_are_averaged() -> None:
    stereo = tone(0.5, channels=2)
    stereo[:, 1] = 0
    wave, _ = decode(file("WAV", stereo, subtype="FLOAT"))
    assert np.allclose(wave, stereo[:, 0] / 2)


def test_a_very_fast_recording_is_brought_down() -> None:
    wave, rate = decode(file("WAV", tone(1.0, 96_000), 96_000))
    assert rate == 48_000
    assert abs(len(wave) - 48_000) < 10


@pytest.mark.parametrize(
    "data",
    [b"hello, this is text", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\x1a\x45\xdf\xa3" + bytes(500), b"ID3" + bytes(99)],
)
def test_what_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(NotAudio):
        decode(data)


def test_a_playlist_that_points_elsewhere_is_not_opened() -> None:
    with pytest.raises(NotAudio):
        decode(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")


@pytest.mark.parametrize("data", [b"", file("WAV", np.zeros(0, np.float32)), file("FLAC", np.zeros(0, np.float32))])
def test_an_empty_recording_is_refused(data: bytes) -> None:
    with pytest.raises(AudioEmpty):
        decode(data)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("fmt", ["WAV", "FLAC"])
def test_a_file_cut_off_is_refused(fmt: str, kept: float) -> None:
    data = file(fmt, tone(3.0) + np.random.default_rng(0).normal(0, 0.01, 3 * RATE).astype(np.float32))
    with pytest.raises(AudioTruncated):
        decode(data[: int(len(data) * kept)])


def test_an_mp4_cut_off_is_refused() -> None:
    data = by_av("mp4", "aac", tone(3.0, 48_000), 48_000)
    with pytest.raises((AudioTruncated, NotAudio)):
        decode(data[: len(data) // 2])


def test_a_header_that_claims_three_hours_is_refused_before_decoding() -> None:
    data = bytearray(file("WAV", tone(1.0)))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 3 * 3600 * RATE * 2)
    with pytest.raises(AudioTooLong):
        decode(bytes(data))


def test_three_hours_of_silence_in_a_small_file_are_refused_with_flat_memory() -> None:
    out = io.BytesIO()
    with sf.SoundFile(out, "w", 8_000, 1, format="FLAC") as writer:
        for _ in range(180):
            writer.write(np.zeros(60 * 8_000, np.int16))
    data = out.getvalue()
    assert len(data) < 2_000_000
    tracemalloc.start()
    with pytest.raises(AudioTooLong):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_stream_without_a_length_is_cut_at_the_bound() -> None:
    data = bytearray(file("WAV", tone(3.0)))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert abs(len(decode(bytes(data)).wave) - 3 * RATE) < 10
    with pytest.raises(AudioTooLong):
        decode(bytes(data), max_seconds=2.0)


def test_values_that_are_no_numbers_are_refused() -> None:
    wave = tone(0.2)
    wave[100] = np.nan
    with pytest.raises(NotAudio):
        decode(file("WAV", wave, subtype="FLOAT"))


def test_live_pcm_becomes_a_wave() -> None:
    wave, rate = from_pcm16(np.array([0, 16_384, -32_768], "<i2").tobytes(), RATE)
    assert rate == RATE
    assert wave.tolist() == [0.0, 0.5, -1.0]
    with pytest.raises(NotAudio):
        from_pcm16(b"abc", RATE)


def test_random_bytes_behind_every_known_beginning_never_crash() -> None:
    rng = np.random.default_rng(1)
    heads = [
        b"RIFF\x00\x00\x00\x00WAVE",
        b"fLaC",
        b"OggS",
        b"\x1a\x45\xdf\xa3",
        b"\x00\x00\x00\x18ftypM4A ",
        b"ID3\x04",
        b"\xff\xfb",
    ]
    for head in heads:
        for size in (4, 60, 900):
            with pytest.raises((NotAudio, AudioEmpty, AudioTruncated, AudioTooLong)):
                decode(head + rng.bytes(size))
