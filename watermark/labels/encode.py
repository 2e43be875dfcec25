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

Container = Literal["wav", "flac", "mp3", "opus", "m4a"]

MEDIA_TYPES: dict[str, str] = {
    "wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "opus": "audio/ogg", "m4a": "audio/mp4",
}  # fmt: skip
#: Bits a second: high enough that the mark of a three-second clip survives with room to spare.
MP3_BIT_RATE = 128_000
AAC_BIT_RATE = 128_000
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
    """``wave`` (float mono, -1..1) as a 16-bit WAV or FLAC, an MP3, an Ogg Opus or an M4A (AAC) file.

    Raises EncodingError.
    """
    if container not in MEDIA_TYPES:
        raise EncodingError(f"there is no container {container!r}; there are {', '.join(MEDIA_TYPES)}")
    if wave.ndim != 1 or not len(wave) or not np.isfinite(wave).all():
        raise EncodingError("the sound must be mono, not empty, and finite")
    if container == "opus":
        pcm, rate = pcm16(np.asarray(soxr.resample(wave, rate, OPUS_RATE), np.float32)), OPUS_RATE
        return _av(pcm, rate, codec="libopus", form="ogg", bit_rate=OPUS_BIT_RATE)
    pcm = pcm16(wave)
    if container == "mp3":
        if rate not in MP3_RATES:
            raise EncodingError(f"MP3 has no rate of {rate} Hz")
        return _av(pcm, rate, codec="libmp3lame", form="mp3", bit_rate=MP3_BIT_RATE)
    if container == "m4a":
        return _av(pcm, rate, codec="aac", form="ipod", bit_rate=AAC_BIT_RATE)
    if container == "flac":
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, rate, format="FLAC", subtype="PCM_16")
        return buffer.getvalue()
    data = pcm.astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16,
                       b"data", len(data))  # fmt: skip
    return head + data


def container_of(data: bytes) -> str:
    """Which container ``data`` is, by its first bytes (behind an ID3 tag, if there is one). Raises EncodingError."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[4:8] == b"ftyp":
        return "m4a"
    if data[:4] == b"OggS":
        return "opus"
    at = _after_tags(data)
    if data[at : at + 4] == b"fLaC":
        return "flac"
    if at or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2):
        return "mp3"
    raise EncodingError("the file is no WAV, FLAC, MP3, Ogg Opus or M4A")


def _after_tags(data: bytes) -> int:
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        at += 10 + (data[at + 6] << 21 | data[at + 7] << 14 | data[at + 8] << 7 | data[at + 9])
    return at


def _knows_length(data: bytes) -> bool:
    """Whether the file says how long it is. An MP3 that was streamed has no table for it in its first frame: the
    library then guesses from the file's size, tags included."""
    if container_of(data) != "mp3":
        return True
    at = _after_tags(data)
    return any(name in data[at : at + 64] for name in (b"Xing", b"Info", b"VBRI"))


def decode(data: bytes, *, mix: bool = False) -> tuple[Wave, int]:
    """The sound (samples,) and rate of a mono file; with ``mix``, the mean of its channels. Raises EncodingError."""
    if len(data) > MAX_BYTES:
        raise EncodingError(f"the file has {len(data)} bytes; the most is {MAX_BYTES}")
    if data[4:8] == b"ftyp":
        return _decode_av(data, mix=mix)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as source:
            if (source.channels != 1 and not mix) or source.frames > MAX_SECONDS * source.samplerate:
                raise EncodingError("the file is not mono or too long")
            wave = source.read(dtype="float32", always_2d=True)
            if len(wave) != source.frames and _knows_length(data):
                raise EncodingError("the file ends before its sound does")
            return wave.mean(axis=1, dtype=np.float32), source.samplerate
    except soundfile.LibsndfileError as error:
        raise EncodingError("the file cannot be read as sound") from error


def _decode_av(data: bytes, *, mix: bool) -> tuple[Wave, int]:
    """M4A, which libsndfile does not read."""
    try:
        with av.open(io.BytesIO(data), "r", format="mov", timeout=None) as source:
            if len(source.streams.audio) != 1 or len(source.streams) != 1:
                raise EncodingError("the file does not hold exactly one sound")
            stream = source.streams.audio[0]
            rate = stream.rate
            if stream.channels != 1 and not mix:
                raise EncodingError("the file is not mono or too long")
            parts: list[np.ndarray] = []
            total = 0
            for frame in source.decode(stream):
                pcm = frame.to_ndarray()
                planar = pcm if frame.format.is_planar else pcm.reshape(-1, stream.channels).T
                total += planar.shape[1]
                if total > MAX_SECONDS * rate:
                    raise EncodingError("the file is not mono or too long")
                parts.append(planar.mean(axis=0, dtype=np.float32))
    except (av.FFmpegError, ValueError) as error:
        raise EncodingError("the file cannot be read as sound") from error
    if not parts:
        raise EncodingError("the file holds no sound")
    return np.concatenate(parts), rate


def pcm16(wave: Wave) -> np.ndarray:
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
            frame = _frame(pcm, codec)
            frame.sample_rate = rate
            target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise EncodingError(f"{codec} failed") from error
    return buffer.getvalue()


def _frame(pcm: np.ndarray, codec: str) -> av.AudioFrame:
    if codec == "aac":  # FFmpeg's encoder takes floats only
        return av.AudioFrame.from_ndarray(
            (pcm / np.float32(32_768))[None].astype(np.float32), format="fltp", layout="mono"
        )
    return av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
