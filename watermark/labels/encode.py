"""PCM to a file in memory and back. Nothing here touches a disk."""

from __future__ import annotations

import io
import struct
from typing import Literal

import av
import numpy as np
import soundfile
import soxr

from watermark.codec.grid import Wave

Container = Literal["wav", "flac", "mp3", "opus"]

MEDIA_TYPES: dict[str, str] = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "opus": "audio/ogg"}
#: Bits a second: high enough that the mark of a three-second clip survives with room to spare.
MP3_BIT_RATE = 128_000
OPUS_BIT_RATE = 64_000
#: Rate in Hz of the Opus stream; others are brought to it.
OPUS_RATE = 48_000
#: Rates in Hz that MP3 knows and the codec accepts.
MP3_RATES = (16_000, 24_000, 32_000, 44_100, 48_000)
#: Most bytes and seconds a file to be decoded may have.
MAX_BYTES = 400 * 1024 * 1024
MAX_SECONDS = 1_200


class EncodingError(ValueError):
    """The sound cannot be written in this container, or the file cannot be read."""


def encode(wave: Wave, rate: int, container: str) -> bytes:
    """``wave`` (float mono, -1..1) as a 16-bit WAV or FLAC, an MP3 or an Ogg Opus file. Raises EncodingError."""
    if container not in MEDIA_TYPES:
        raise EncodingError(f"there is no container {container!r}; there are {', '.join(MEDIA_TYPES)}")
    if wave.ndim != 1 or not len(wave) or not np.isfinite(wave).all():
        raise EncodingError("the sound must be mono, not empty, and finite")
    if container == "opus":
        pcm, rate = _pcm16(np.asarray(soxr.resample(wave, rate, OPUS_RATE), np.float32)), OPUS_RATE
        return _av(pcm, rate, codec="libopus", form="ogg", bit_rate=OPUS_BIT_RATE)
    pcm = _pcm16(wave)
    if container == "mp3":
        if rate not in MP3_RATES:
            raise EncodingError(f"MP3 has no rate of {rate} Hz")
        return _av(pcm, rate, codec="libmp3lame", form="mp3", bit_rate=MP3_BIT_RATE)
    if container == "flac":
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, rate, format="FLAC", subtype="PCM_16")
        return buffer.getvalue()
    data = pcm.astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16,
                       b"data", len(data))  # fmt: skip
    return head + data


def decode(data: bytes) -> tuple[Wave, int]:
    """The sound (samples,) and rate of a mono file made by encode(). Raises EncodingError."""
    if len(data) > MAX_BYTES:
        raise EncodingError(f"the file has {len(data)} bytes; the most is {MAX_BYTES}")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as source:
            if source.channels != 1 or source.frames > MAX_SECONDS * source.samplerate:
                raise EncodingError("the file is not mono or too long")
            return source.read(dtype="float32"), source.samplerate
    except soundfile.LibsndfileError as error:
        raise EncodingError("the file cannot be read as sound") from error


def _pcm16(wave: Wave) -> np.ndarray:
    """Rounded to nearest and limited, so that no sample wraps around."""
    return np.clip(np.rint(wave.astype(np.float64) * 32_767), -32_768, 32_767).astype(np.int16)


def _av(pcm: np.ndarray, rate: int, *, codec: str, form: str, bit_rate: int) -> bytes:
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=form) as target:
            stream = target.add_stream(codec, rate=rate)
            if not isinstance(stream, av.AudioStream):
                raise EncodingError(f"{codec} is not a sound encoder")
            stream.codec_context.layout = "mono"
            stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate = rate
            target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise EncodingError(f"{codec} failed") from error
    return buffer.getvalue()
