"""Sound as bytes of a media type, whole or packet by packet. 16 bits, one channel.

The sound carries no watermark and no label: this is the bare engine. The platform seals what it gives out.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator

import av
import numpy as np
import numpy.typing as npt

from cloning.engine.tts.media import MEDIA_TYPES as MEDIA_TYPES

#: Bits a second of the lossy forms (upstream: 192 kbit/s AAC).
AAC_BIT_RATE = 192_000
OPUS_BIT_RATE = 96_000
#: Longest Ogg page, in microseconds: a page is what a listener gets at once (the library's default is a second).
PAGES = {"page_duration": "100000"}
#: A WAV header that does not know its length says the largest one; players then read to the end.
UNKNOWN_LENGTH = 0xFFFF_FFFF


def wav_header(rate: int, samples: int | None) -> bytes:
    """The 44 bytes before 16-bit mono samples; `samples` None = a stream that does not know its end."""
    size = UNKNOWN_LENGTH if samples is None else 2 * samples
    riff = UNKNOWN_LENGTH if samples is None else size + 36
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size
    )


def encoded(pcm: npt.NDArray[np.int16], rate: int, media_type: str) -> bytes:
    """Whole sound as one piece of bytes. Raises ValueError for an unknown media type."""
    if media_type == "wav":
        return wav_header(rate, len(pcm)) + pcm.astype("<i2").tobytes()
    return b"".join(encoded_stream([pcm], rate, media_type))


def encoded_stream(packets: Iterable[npt.NDArray[np.int16]], rate: int, media_type: str) -> Iterator[bytes]:
    """Packets of sound as they come -> pieces of one file of the media type, each as soon as it is settled.

    wav starts with a header of unknown length. ogg (Opus) and aac (ADTS) come out of the encoder whenever it has
    something, so a packet's end may come with the next one.
    """
    if media_type not in MEDIA_TYPES:
        raise ValueError(f"no media type {media_type!r}")
    if media_type in ("wav", "raw"):
        if media_type == "wav":
            yield wav_header(rate, None)
        for packet in packets:
            yield packet.astype("<i2").tobytes()
        return
    codec, form, bit_rate = ("aac", "adts", AAC_BIT_RATE) if media_type == "aac" else ("libopus", "ogg", OPUS_BIT_RATE)
    sink = _Sink()
    with av.open(sink, "w", format=form, options=PAGES if form == "ogg" else {}) as container:
        stream = container.add_stream(codec, rate=48_000 if codec == "libopus" else rate, layout="mono")
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{codec} is not a sound encoder")
        stream.bit_rate = bit_rate
        position = 0
        for packet in packets:
            if len(packet):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packet)[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = rate, position
                position += len(packet)
                container.mux(stream.encode(frame))
            if data := sink.taken():
                yield data
        container.mux(stream.encode(None))
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What the encoder wrote since it was last asked; cannot go back, as a network cannot."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data
