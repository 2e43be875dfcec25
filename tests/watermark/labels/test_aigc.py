import contextlib
import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TXXX
from mutagen.mp3 import MP3
from mutagen.oggopus import OggOpus

from watermark.labels.aigc import (
    KEYS,
    AigcError,
    AigcLabel,
    DuplicateLabel,
    NoLabel,
    parse,
    raw_labels,
    read_label,
    write_label,
)
from watermark.labels.encode import MEDIA_TYPES, decode, encode
from watermark.labels.id3 import Id3Error, user_texts

PROVIDER = "0011DEMODEMODEMODEMO0010000"
LABEL = AigcLabel.produced(provider_code=PROVIDER, content_id="5f0c9b1e-0001", reserved="rehearsal")


@pytest.fixture(scope="module", params=list(MEDIA_TYPES))
def container(request):
    return request.param


@pytest.fixture(scope="module")
def plain(container, buzzy):
    return encode(buzzy(9, 0.9), 32_000, container)


def test_first_label_names_the_producer_twice():
    assert json.loads(LABEL.to_json()) == {
        "Label": "1",
        "ContentProducer": PROVIDER,
        "ProduceID": "5f0c9b1e-0001",
        "ReservedCode1": "rehearsal",
        "ContentPropagator": PROVIDER,
        "PropagateID": "5f0c9b1e-0001",
        "ReservedCode2": "",
    }
    assert list(json.loads(LABEL.to_json())) == list(KEYS)


def test_label_reads_back_and_the_sound_is_untouched(plain, container):
    written = write_label(plain, container, LABEL)
    assert read_label(written, container) == LABEL
    assert np.array_equal(decode(written)[0], decode(plain)[0])


def test_second_label_is_refused(plain, container):
    with pytest.raises(DuplicateLabel):
        write_label(write_label(plain, container, LABEL), container, LABEL)


def test_missing_label_is_named(plain, container):
    with pytest.raises(NoLabel):
        read_label(plain, container)


def twice(plain, container):
    text = LABEL.to_json()
    if container == "wav":
        chunk = struct.pack("<4sI", b"AIGC", len(text)) + text.encode() + b"\0" * (len(text) % 2)
        body = plain[12:] + chunk * 2
        return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WAVE") + body
    if container == "m4a":
        once = write_label(plain, container, LABEL)
        at = once.index(b"udta") - 4
        udta = once[at:]
        return resized(once + udta, once.index(b"moov") - 4)
    buffer = io.BytesIO(plain)
    if container == "mp3":
        file = MP3(fileobj=buffer)
        if file.tags is None:
            file.add_tags()
        file.tags.add(TXXX(encoding=3, desc="AIGC", text=[text]))
        file.tags.add(TXXX(encoding=3, desc="aigc", text=[text]))
    else:
        file = {"flac": FLAC, "opus": OggOpus}[container](buffer)
        if file.tags is None:
            file.add_tags()
        file.tags["AIGC"] = [text, text]
    buffer.seek(0)
    file.save(buffer)
    return buffer.getvalue()


def resized(data, at):
    """The box at ``at`` reaches to the end of ``data`` now."""
    return data[:at] + struct.pack(">I", len(data) - at) + data[at + 4 :]


def test_two_labels_are_refused_even_when_identical(plain, container):
    with pytest.raises(DuplicateLabel):
        read_label(twice(plain, container), container)


def test_two_identical_mp3_frames_are_two_labels(buzzy):
    plain = encode(buzzy(9, 0.9), 32_000, "mp3")
    buffer = io.BytesIO(write_label(plain, "mp3", LABEL))
    size = ID3(buffer).size
    raw = buffer.getvalue()
    head, tag, rest = raw[:10], raw[10:size], raw[size:]
    start = tag.index(b"TXXX", tag.index(b"AIGC") - 24)
    length = (tag[start + 6] << 7) | tag[start + 7]  # syncsafe, under 16 KiB
    frame = tag[start : start + 10 + length]
    body = frame + tag
    sync = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    with pytest.raises(DuplicateLabel):
        read_label(head[:6] + sync + body + rest, "mp3")


def test_wav_chunk_is_last_even_and_fits_the_riff_size(buzzy):
    plain = encode(buzzy(9, 0.9), 32_000, "wav")
    for content_id in ("a", "ab"):
        label = AigcLabel.produced(provider_code=PROVIDER, content_id=content_id)
        data = write_label(plain, "wav", label)
        text = label.to_json().encode()
        at = data.rindex(b"AIGC", 0, len(data) - len(text))
        assert struct.unpack_from("<I", data, at + 4) == (len(text),)
        assert data[at + 8 :] in (text, text + b"\0")
        assert len(data) % 2 == 0
        assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)


def test_wrapped_label_is_read_too():
    assert parse('{"AIGC":' + LABEL.to_json() + "}") == LABEL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"AIGC"',
        "[" * 5_000,
        LABEL.to_json().replace('"Label":"1"', '"Label":"1","Label":"1"'),
        LABEL.to_json().replace('"Label":"1"', '"Label":1'),
        LABEL.to_json().replace('"Label":"1"', '"Label":"4"'),
        LABEL.to_json().replace('"Label":"1"', '"Label":"1","More":"x"'),
        LABEL.to_json().replace(',"ReservedCode2":""', ""),
        LABEL.to_json().replace("rehearsal", "two words"),
        LABEL.to_json() + " " * 9_000,
    ],
)
def test_malformed_label_is_refused(text):
    with pytest.raises(AigcError):
        parse(text)


@given(st.text(max_size=20))
def test_a_value_is_accepted_exactly_when_it_is_printable_without_space_quote_backslash(value):
    allowed = all(0x21 <= ord(char) <= 0x7E and char not in '"\\' for char in value)
    try:
        label = AigcLabel.produced(provider_code=PROVIDER, content_id="x", reserved=value)
    except AigcError:
        assert not allowed
    else:
        assert allowed
        assert parse(label.to_json()) == label


@pytest.mark.parametrize("code", ["", "Vouch", PROVIDER.lower(), PROVIDER + "0", PROVIDER[:22] + "3" + PROVIDER[23:]])
def test_provider_code_has_its_form(code):
    with pytest.raises(AigcError):
        AigcLabel.produced(provider_code=code, content_id="x")


@given(st.binary(max_size=200), st.sampled_from(list(MEDIA_TYPES)))
def test_garbage_is_named_never_a_crash(data, container):
    with pytest.raises(AigcError):
        raw_labels(data, container)


@given(st.data())
def test_cut_or_altered_wav_headers_are_named_or_read(data):
    plain = bytearray(write_label(encode(np.zeros(50, np.float32), 16_000, "wav"), "wav", LABEL))
    for _ in range(3):
        plain[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(AigcError):
        raw_labels(bytes(plain), "wav")


@given(st.binary(max_size=120), st.sampled_from([3, 4]))
def test_any_id3_body_is_read_or_refused(body, version):
    size = bytes([0, 0, len(body) >> 7, len(body) & 0x7F])
    with contextlib.suppress(Id3Error):
        list(user_texts(b"ID3" + bytes([version, 0, 0]) + size + body))
