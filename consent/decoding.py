"""From uploaded bytes to a wave, every size bounded before it can hurt. Runs in a worker, never in the web process.

The container is told by its first bytes and opened by exactly that reader; nothing is probed. libsndfile reads WAV,
FLAC, Ogg and MP3; FFmpeg's libraries read WebM and MP4 (what browsers record) and what libsndfile cannot. Where a
header tells the length, a recording that is too long is refused before anything is decoded; where none does, decoding
stops as soon as it is.
"""

import io
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import av
import av.error
import numpy as np
import soundfile as sf
import soxr

from foundation.errors import Refused

MAX_SECONDS: Final = 600.0
"""Ten minutes: ten times what a voice needs."""
MIN_RATE: Final = 8_000
MAX_RATE: Final = 192_000
"""Sample rates that are believed, in Hz."""
TOP_RATE: Final = 48_000
"""A faster recording is brought down to this while it is decoded: it bounds memory at 115 MB for ten minutes."""
MAX_CHANNELS: Final = 8
BLOCK: Final = 65_536
"""Frames decoded at a time."""
TRUNCATED_BY: Final = 0.02
"""A decoded file may be this much (and 0.1 s) shorter than its header says: encoders pad and round."""
LEAST_CORRELATION: Final = 0.3
"""Of a channel with the loudest one. One voice through two microphones of a phone stays well above (at its fundamental
they are in step); two people on a channel each are near 0, and averaged they would be one recording of two voices."""
AUDIBLE: Final = 1e-3
"""A channel this much weaker than the loudest (-30 dB in power) is an empty one, whatever is in it."""
UNKNOWN_SIZES: Final = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What programs that stream a WAV write as its length before they know it."""


class NotAudio(Refused):
    """This is not an audio recording that can be read."""

    code = "not_audio"
    advice = "Send WAV, FLAC, Ogg, MP3, M4A, or what your browser records."


class AudioEmpty(Refused):
    """The recording holds no sound at all."""

    code = "audio_empty"
    advice = "Record again and send the file whole."


class AudioTruncated(Refused):
    """The recording ends before its header says it does."""

    code = "audio_truncated"
    advice = "The upload or the file was cut off: send it again."


class AudioTooLong(Refused):
    """The recording is longer than ten minutes."""

    code = "audio_too_long"
    advice = "Send at most ten minutes."


class NotFinite(NotAudio):
    """The recording holds values that are not numbers."""

    code = "not_finite"


class ChannelsDiffer(Refused):
    """The channels of this recording hold different sounds, perhaps different people."""

    code = "channels_differ"
    advice = "Send one microphone's channel, with nobody else in it."


class Decoded(NamedTuple):
    """``wave``: float32 mono, (samples,), full scale -1..1; ``rate``: samples a second, 8,000 to 48,000."""

    wave: np.ndarray
    rate: int


def decode(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Decoded:
    """The recording as one mono wave; channels are averaged.

    Raises NotAudio, NotFinite, AudioEmpty, AudioTruncated, AudioTooLong, ChannelsDiffer.
    """
    if not data:
        raise AudioEmpty
    container = _container(data)
    if container == "wav":
        _check_wav_header(data, max_seconds)
    collected = _Collected(max_seconds)
    if container in ("wav", "flac", "ogg", "mp3") and _by_soundfile(data, collected, max_seconds):
        return collected.done()
    _by_ffmpeg(data, container, collected, max_seconds)
    return collected.done()


def from_pcm16(data: bytes, rate: int) -> Decoded:
    """Raw 16-bit little-endian mono PCM, as live chunks carry it. Raises AudioEmpty, NotAudio."""
    if not data:
        raise AudioEmpty
    if len(data) % 2:
        raise NotAudio("Half a sample at the end.")
    return Decoded(np.frombuffer(data, "<i2").astype(np.float32) / 32_768.0, rate)


class _Collected:
    """Mono blocks of one rate, counted while they come, resampled on the way when the rate is above ``TOP_RATE``."""

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._blocks: list[np.ndarray] = []
        self._seen = 0
        self._products = np.zeros((1, 1))
        self.rate = 0
        self._down: soxr.ResampleStream | None = None

    def start(self, rate: int, channels: int) -> None:
        if not MIN_RATE <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
            raise NotAudio(f"{rate} Hz with {channels} channels is not accepted.")
        self.rate = rate
        self._products = np.zeros((channels, channels))
        if rate > TOP_RATE:
            self._down = soxr.ResampleStream(rate, TOP_RATE, 1, dtype="float32")

    def add(self, block: np.ndarray) -> None:
        """One block, float32, (frames, channels)."""
        self._seen += len(block)
        if self._seen > self._max_seconds * self.rate:
            raise AudioTooLong
        mono = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise NotFinite
        if block.shape[1] > 1:
            exact = block.astype(np.float64)
            self._products += exact.T @ exact
        self._blocks.append(self._down.resample_chunk(mono) if self._down else mono)

    @property
    def seconds(self) -> float:
        return self._seen / self.rate if self.rate else 0.0

    def done(self) -> Decoded:
        if not self._seen:
            raise AudioEmpty
        self._refuse_different_channels()
        if self._down:
            self._blocks.append(self._down.resample_chunk(np.zeros(0, np.float32), last=True))
        return Decoded(np.concatenate(self._blocks), min(self.rate, TOP_RATE))

    def _refuse_different_channels(self) -> None:
        power = np.diag(self._products)
        loudest = int(power.argmax())
        heard = power > AUDIBLE * power[loudest]
        together = self._products[loudest, heard] / np.sqrt(power[loudest] * power[heard])
        if len(power) > 1 and (together < LEAST_CORRELATION).any():
            raise ChannelsDiffer


def _container(data: bytes) -> str:
    head = data[:16]
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    raise NotAudio


def _check_wav_header(data: bytes, max_seconds: float) -> None:
    """What the header claims, against what is there: libsndfile would quietly shorten the claim."""
    for name, start, claimed in _riff_chunks(data):
        if name == b"fmt " and claimed >= 16:
            _, channels, rate, bytes_a_second = struct.unpack_from("<HHII", data, start)
            if not rate or not channels or not bytes_a_second:
                raise NotAudio("The WAV header is damaged.")
        elif name == b"data":
            if claimed in UNKNOWN_SIZES:
                return
            if claimed > max_seconds * bytes_a_second:
                raise AudioTooLong
            if start + claimed > len(data):
                raise AudioTruncated
            return


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and claimed size of each chunk. Raises NotAudio when there is no data chunk behind a format."""
    at, formatted = 12, False
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"fmt ":
            formatted = at + 8 + 16 <= len(data)
        if name == b"data":
            if not formatted:
                raise NotAudio("The WAV header is damaged.")
            yield name, at + 8, size
            return
        yield name, at + 8, size
        at += 8 + size + size % 2
    raise AudioTruncated if formatted else NotAudio


def _by_soundfile(data: bytes, collected: _Collected, max_seconds: float) -> bool:
    """Decodes with libsndfile; False when it does not know what is inside (Opus in an old build, an odd codec)."""
    try:
        reader = sf.SoundFile(io.BytesIO(data))
    except sf.LibsndfileError:
        return False
    with reader:
        collected.start(reader.samplerate, reader.channels)
        claimed = reader.frames
        if 0 < claimed < 2**62 and claimed > max_seconds * reader.samplerate:
            raise AudioTooLong
        try:
            while len(block := reader.read(BLOCK, dtype="float32", always_2d=True)):
                collected.add(block)
        except sf.LibsndfileError as error:
            raise AudioTruncated from error
    _check_whole(collected, claimed / collected.rate if 0 < claimed < 2**62 else None)
    return True


def _by_ffmpeg(data: bytes, container: str, collected: _Collected, max_seconds: float) -> None:
    try:
        with av.open(io.BytesIO(data), mode="r", format=container, metadata_errors="ignore") as found:
            stream = next(iter(found.streams.audio), None)
            if stream is None:
                raise NotAudio("There is no sound in this file.")
            claimed = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
            if claimed is None and found.duration:
                claimed = found.duration / av.time_base
            if claimed is not None and claimed > max_seconds:
                raise AudioTooLong
            mono = av.AudioResampler(format="flt")
            for frame in found.decode(stream):
                for part in mono.resample(frame):
                    if not collected.rate:
                        collected.start(part.sample_rate, part.layout.nb_channels)
                    if part.sample_rate != collected.rate:
                        raise NotAudio("The sample rate changes on the way.")
                    collected.add(part.to_ndarray().reshape(-1, part.layout.nb_channels))
    except av.error.EOFError as error:
        raise (AudioTruncated if collected.rate else NotAudio) from error
    except (av.error.FFmpegError, ValueError) as error:
        # Bytes behind a good beginning that cannot be read are a file cut off; a bad beginning is no file.
        raise (AudioTruncated if collected.rate else NotAudio) from error
    _check_whole(collected, claimed)


def _check_whole(collected: _Collected, claimed: float | None) -> None:
    """``claimed``: the header's length in seconds, where it has one."""
    if claimed is not None and collected.seconds < claimed * (1 - TRUNCATED_BY) - 0.1:
        raise AudioTruncated
