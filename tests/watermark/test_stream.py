"""The streaming door: label first, nothing unmarked ever, and a finished file that is what was streamed."""

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import av
import numpy as np
import pytest

from tests.watermark.test_seal import PAYLOAD, PROVIDER, SIGNER, verify
from watermark.codec import stream as codec_stream
from watermark.codec.detect import Detector, threshold
from watermark.codec.grid import Wave
from watermark.labels import aigc, audible, encode
from watermark.labels.profile import load_profile
from watermark.seal import PROVABLE_AMONG, SealError
from watermark.stream import LOUDEST_DBFS, StreamSeal

KEY = bytes(range(32))
CONTENT = "8f14e45f-ceea-467f-9d5c-000000000002"


@pytest.fixture
def opened(credential: Any) -> Callable[..., StreamSeal]:
    def make(rate: int = 32_000, **changes: Any) -> StreamSeal:
        asked: dict[str, Any] = {
            "payload": PAYLOAD, "mark_key": KEY, "label_profile": load_profile("eu"), "language": "en",
            "content_id": CONTENT, "provider_code": PROVIDER, "created": datetime(2026, 11, 1, 12, tzinfo=UTC),
            "sign": SIGNER.sign, "verify": verify, "credential": credential, "rehearsal": False, **changes,
        }  # fmt: skip
        return StreamSeal(rate, **asked)

    return make


def pieces(wave: Wave, size: int = 12_000) -> list[Wave]:
    return [wave[at : at + size] for at in range(0, len(wave), size)]


@pytest.mark.parametrize("container", ["wav", "mp3", "opus"])
def test_the_finished_file_is_what_was_streamed_with_every_layer(
    opened: Callable[..., StreamSeal], speech: Wave, container: str
) -> None:
    stream = opened(container=container)
    sent = [stream.begin()]
    # What leaves first is a file that a player can read: its AIGC label, and the label that is heard.
    first, rate = decoded(sent[0])
    profile = load_profile("eu")
    assert [one.position for one in audible.hear(np.pad(first, (0, 8_000)), rate, profile)] == ["start"]
    sent += [stream.push(piece) for piece in pieces(speech)]
    rest, sealed = stream.finish()
    sent.append(rest)
    assert aigc.read_label(sealed.data, container).produce_id == CONTENT
    assert sealed.sha256 == hashlib.sha256(sealed.data).hexdigest()
    assert sealed.mark_score > threshold(*PROVABLE_AMONG)
    heard, _ = decoded(b"".join(sent))
    assert np.array_equal(heard, decoded(sealed.data)[0])
    assert len(encode.decode(sealed.data)[0]) == pytest.approx(len(heard), abs=1_200)
    assert stream.seconds == pytest.approx(len(speech) / 32_000, abs=0.01)
    # Speech left before all of it was there, and whatever had left by then was marked provably.
    assert len(sent[1]) + len(sent[2]) > 0
    early, rate = decoded(b"".join(sent[:4]))
    content = early[round(audible.content_start(early, rate, profile) * rate) :]
    assert Detector(KEY).score(content, rate, PAYLOAD) > threshold(*PROVABLE_AMONG)


def decoded(data: bytes) -> tuple[Wave, int]:
    """A file that may stop anywhere, as a player takes it."""
    with av.open(io.BytesIO(data), "r") as source:
        frames = [frame.to_ndarray() for frame in source.decode(audio=0)]
        rate = source.streams.audio[0].rate
    wave = np.concatenate([frame.reshape(-1) for frame in frames])
    return (wave / 32_768 if wave.dtype == np.int16 else wave).astype(np.float32), rate


def test_a_quarter_second_is_held_back_and_a_short_word_leaves_only_sealed(
    opened: Callable[..., StreamSeal], speech: Wave
) -> None:
    stream = opened()
    stream.begin()
    assert stream.push(speech[6_000:14_000]) == b""
    assert not stream.running
    assert stream.push(speech[14_000:24_000]) != b""
    short = opened()
    short.begin()
    assert short.push(speech[6_000:26_000]) == b"" or short.running
    rest, sealed = short.finish()
    assert rest in sealed.data


def test_speech_at_another_rate_and_too_loud_comes_out_right(opened: Callable[..., StreamSeal], speech: Wave) -> None:
    loud = np.clip(speech[::2] * (0.99 / np.abs(speech).max()) * 3, -0.99, 0.99).astype(np.float32)
    stream = opened(16_000, output_rate=32_000)
    stream.begin()
    for piece in pieces(loud, 8_000):
        stream.push(piece)
    _, sealed = stream.finish()
    wave, rate = encode.decode(sealed.data)
    content = wave[round(sealed.label_seconds * rate) :]
    assert rate == 32_000
    assert len(content) == pytest.approx(2 * len(loud), abs=64)
    assert audible.active_level_dbfs(loud, 16_000) > LOUDEST_DBFS + 3
    assert audible.active_level_dbfs(content, rate) < LOUDEST_DBFS + 1.5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"container": "flac"}, "request"),
        ({"mark_key": b"short"}, "request"),
        ({"payload": 0}, "request"),
        ({"created": datetime(2026, 1, 1)}, "request"),
        ({"provider_code": "nobody"}, "request"),
        ({"output_rate": 8_000}, "request"),
    ],
)
def test_what_cannot_be_streamed_is_refused_before_a_byte_leaves(
    opened: Callable[..., StreamSeal], changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(SealError) as refused:
        opened(**changes)
    assert refused.value.step == code


def shut(stream: StreamSeal, wave: Wave) -> None:
    """Whatever it is asked now, it gives nothing."""
    for ask in (stream.begin, lambda: stream.push(wave), stream.finish):
        with pytest.raises(SealError, match="shut"):
            ask()


def test_sound_without_a_mark_never_leaves(
    opened: Callable[..., StreamSeal], speech: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_stream, "limited", lambda host, difference: host)
    stream = opened()
    stream.begin()
    assert [stream.push(piece) for piece in pieces(speech)] == [b""] * len(pieces(speech))
    with pytest.raises(SealError) as refused:
        stream.finish()
    assert refused.value.step == "watermark"
    shut(stream, speech)


def test_a_mark_that_stops_in_the_middle_ends_the_stream(
    opened: Callable[..., StreamSeal], speech: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = opened()
    stream.begin()
    assert b"".join(stream.push(piece) for piece in pieces(speech)) != b""
    monkeypatch.setattr(codec_stream, "limited", lambda host, difference: host)
    with pytest.raises(SealError) as refused:
        b"".join(stream.push(piece) for piece in pieces(np.tile(speech, 3)))
    assert refused.value.step == "watermark"
    shut(stream, speech)


@pytest.mark.parametrize(
    "fault", [np.full(9_000, np.nan, np.float32), np.full(9_000, 1.5, np.float32), np.zeros((2, 9))]
)
def test_what_is_no_speech_shuts_the_stream(opened: Callable[..., StreamSeal], fault: Any) -> None:
    stream = opened()
    with pytest.raises(SealError, match="new, not begun"):
        opened().push(np.zeros(9, np.float32))
    stream.begin()
    with pytest.raises(SealError):
        stream.push(fault)
    shut(stream, np.zeros(9, np.float32))


def test_an_end_check_that_fails_issues_nothing(opened: Callable[..., StreamSeal], speech: Wave) -> None:
    stream = opened(verify=lambda signature, message: False)
    stream.begin()
    stream.push(speech)
    with pytest.raises(SealError) as refused:
        stream.finish()
    assert refused.value.step == "verify signature"
    shut(stream, speech)
