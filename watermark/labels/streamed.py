"""A labelled file that leaves while it is still being made: the head with its AIGC label first, then the sound.

Nothing in these files stands behind the sound that a reader needs before it: the AIGC label is a chunk before ``data``
in WAV, an ID3v2 tag in front of MP3 frames, a comment in the second packet of Ogg Opus. What was sent and the finished
file differ in nothing but the two lengths of a WAV, which nobody knows when its head leaves.
"""

from __future__ import annotations

import io
import struct
from typing import Final

import av
import numpy as np
import soxr
from mutagen.id3 import ID3, TXXX

from watermark.codec.grid import Wave
from watermark.labels.aigc import FIELD, AigcLabel
from watermark.labels.encode import MP3_BIT_RATE, MP3_RATES, OPUS_BIT_RATE, OPUS_RATE, EncodingError, pcm16

STREAMED: Final = ("wav", "mp3", "opus")
"""Containers that can begin to leave before their end is known. FLAC and M4A keep lengths or tables that cannot."""
UNKNOWN_LENGTH: Final = 0xFFFF_FFFF
"""What a WAV says of a length that is not known yet; readers then read on to the end."""
_CODECS: Final = {"mp3": ("libmp3lame", "mp3", MP3_BIT_RATE), "opus": ("libopus", "ogg", OPUS_BIT_RATE)}
#: No frame of lengths that would have to be written again at the end, no tag but ours; a page of Ogg every 0.1 s.
_OPTIONS: Final = {"mp3": {"write_xing": "0", "id3v2_version": "0"}, "opus": {"page_duration": "100000"}}


class StreamedFile:
    """One mono file of 16-bit depth. ``head()`` once, ``add()`` as the sound comes, ``end()`` once; ``whole()`` is the
    finished file, with exactly the same sound. Raises EncodingError."""

    def __init__(self, rate: int, container: str, label: AigcLabel) -> None:
        if container not in STREAMED:
            raise EncodingError(f"{container!r} cannot be streamed; {', '.join(STREAMED)} can")
        if container == "mp3" and rate not in MP3_RATES:
            raise EncodingError(f"MP3 has no rate of {rate} Hz")
        self.container, self.rate, self._label = container, rate, label
        self._body = bytearray()
        if container != "wav":
            self._start_encoder(*_CODECS[container])

    def head(self) -> bytes:
        """What stands before the sound, with the AIGC label in it."""
        if self.container == "wav":
            return self._wav_head(None)
        if self.container == "mp3":
            tag, out = ID3(), io.BytesIO()
            tag.add(TXXX(encoding=3, desc=FIELD, text=[self._label.to_json()]))
            tag.save(out, v2_version=4)
            self._body += out.getvalue()
        else:
            self._target.start_encoding()
            self._body += self._sink.taken()
        return bytes(self._body)

    def add(self, wave: Wave) -> bytes:
        """The next samples (samples,), -1..1; what is ready of the file: perhaps nothing yet."""
        if self.container == "wav":
            made = pcm16(wave).astype("<i2").tobytes()
        else:
            self._feed(wave, last=False)
            made = self._sink.taken()
        self._body += made
        return made

    def end(self) -> bytes:
        """The rest of the file."""
        if self.container == "wav":
            return b""
        self._feed(np.zeros(0, np.float32), last=True)
        try:
            self._target.mux(self._stream.encode(None))
            self._target.close()
        except av.FFmpegError as error:
            raise EncodingError(f"{self.container} failed") from error
        made = self._sink.taken()
        self._body += made
        return made

    def whole(self) -> bytes:
        """The finished file."""
        return self._wav_head(len(self._body)) + bytes(self._body) if self.container == "wav" else bytes(self._body)

    def sound(self) -> bytes:
        """The part of the file that is sound (with an Ogg's own pages): what a finished file must hold unchanged."""
        if self.container != "mp3":
            return bytes(self._body)
        tag = ID3(io.BytesIO(bytes(self._body)))
        return bytes(self._body[tag.size :])

    def _wav_head(self, size: int | None) -> bytes:
        text = self._label.to_json().encode("ascii")
        chunk = struct.pack("<4sI", FIELD.encode(), len(text)) + text + b"\0" * (len(text) % 2)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, self.rate, self.rate * 2, 2, 16)
        riff = UNKNOWN_LENGTH if size is None else 4 + len(form) + len(chunk) + 8 + size
        data = struct.pack("<4sI", b"data", UNKNOWN_LENGTH if size is None else size)
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + chunk + data

    def _start_encoder(self, codec: str, form: str, bit_rate: int) -> None:
        self._sink = _Sink()
        rate = OPUS_RATE if codec == "libopus" else self.rate
        self._to_rate = soxr.ResampleStream(self.rate, rate, 1, dtype="float32") if rate != self.rate else None
        self._position = 0
        try:
            self._target = av.open(self._sink, "w", format=form, options=_OPTIONS[self.container])
            if self.container == "opus":
                self._target.metadata[FIELD] = self._label.to_json()
            stream = self._target.add_stream(codec, rate=rate)
        except av.FFmpegError as error:
            raise EncodingError(f"{codec} failed") from error
        if not isinstance(stream, av.AudioStream):
            raise EncodingError(f"{codec} is not a sound encoder")
        stream.codec_context.layout, stream.bit_rate = "mono", bit_rate
        self._stream, self._encoded_rate = stream, rate

    def _feed(self, wave: Wave, *, last: bool) -> None:
        if self._to_rate is not None:
            wave = np.asarray(self._to_rate.resample_chunk(wave.astype(np.float32), last=last), np.float32)
        if not len(wave):
            return
        frame = av.AudioFrame.from_ndarray(pcm16(wave)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._encoded_rate, self._position
        self._position += len(wave)
        try:
            self._target.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise EncodingError(f"{self.container} failed") from error


class _Sink(io.RawIOBase):
    """What the encoder wrote since it was last asked. It cannot go back, as a network cannot."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
