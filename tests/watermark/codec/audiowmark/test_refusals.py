import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark.codec.audiowmark import (
    BadKeyFile,
    BadMessage,
    BadReport,
    Key,
    embed,
    key_file,
    message_bytes,
    parse_key_file,
    read,
)
from watermark.codec.audiowmark.embed import MAX_CHANNELS, limit
from watermark.codec.audiowmark.report import MAX_BYTES, parse
from watermark.codec.errors import UnmarkableAudio

RATE = 44_100
TONE = 0.3 * np.sin(2 * np.pi * 1_500 * np.arange(3 * RATE) / RATE)
KEY = Key.zero()
MESSAGE = bytes(range(16))


@pytest.mark.parametrize(
    ("wave", "rate"),
    [
        (np.zeros(0), RATE),
        (np.full(RATE, np.nan), RATE),
        (np.full(RATE, np.inf), RATE),
        ((TONE * 32_000).astype(np.int16), RATE),
        (np.float64(0.5), RATE),
        (np.zeros((1, 2, RATE)), RATE),
        (np.zeros((MAX_CHANNELS + 1, RATE)), RATE),
        (TONE, 192_000),
        (TONE, 8_000),
        (np.broadcast_to(0.1, 3_601 * 16_000), 16_000),
    ],
    ids=["empty", "NaN", "infinite", "integers", "scalar", "3-D", "channels", "192 kHz", "8 kHz", "too long"],
)
def test_what_is_no_sound_is_named(wave, rate):
    with pytest.raises(UnmarkableAudio):
        embed(wave, rate, MESSAGE, KEY)
    with pytest.raises(UnmarkableAudio):
        read(wave, rate, KEY)


@pytest.mark.parametrize("strength", [0, 41, float("nan")])
def test_a_strength_out_of_bounds(strength):
    with pytest.raises(UnmarkableAudio):
        embed(TONE, RATE, MESSAGE, KEY, strength=strength)


@pytest.mark.parametrize("message", [b"", bytes(15), bytes(17), "00" * 16])
def test_a_message_of_other_length(message):
    with pytest.raises(BadMessage):
        embed(TONE, RATE, message, KEY)


def test_messages_in_hex_are_repeated_as_the_tool_does():
    assert message_bytes("0f") == b"\x0f" * 16
    assert message_bytes("0123456789abcdef") == bytes.fromhex("0123456789abcdef" * 2)
    for text in ("", "xyz", "0" * 33, "123", "0x12"):
        with pytest.raises(BadMessage):
            message_bytes(text)


def test_digital_silence_stays_so_and_holds_nothing():
    silence = np.zeros((2, 3 * RATE))
    assert not embed(silence, RATE, MESSAGE, KEY).any()
    assert MESSAGE not in {one.message for one in read(silence, RATE, KEY)}


@pytest.mark.parametrize(
    "wave", [np.full(3 * RATE, 0.5), np.sign(TONE), TONE, TONE[:8_820]], ids=["DC", "square", "tone", "0.2 s"]
)
def test_sounds_that_hold_no_mark_give_no_message_and_no_error(wave):
    assert MESSAGE not in {one.message for one in read(wave, RATE, KEY)}


def test_the_limiter_keeps_the_ceiling_and_leaves_quiet_sound_alone():
    quiet = np.stack([TONE, -TONE])
    assert limit(quiet, RATE) is quiet
    loud = quiet.copy()
    loud[1, RATE + 100] = 1.5
    out = limit(loud, RATE)
    assert np.abs(out).max() <= 0.99 + 1e-12
    # One gain for all channels, full again two blocks on.
    assert out[0, RATE + 101] == pytest.approx(TONE[RATE + 101] * 0.99 / 1.5)
    assert out[0, -1] == pytest.approx(TONE[-1], abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "key 00",
        "key " + "0" * 32 + "\nkey " + "0" * 32,
        "key " + "0" * 32 + '\nname "a"\nname "b"',
        "key " + "0" * 32 + "\nname unquoted",
        "key " + "0" * 32 + "\ncolour blue",
        "key " + "g" * 32,
        "#" * 5_000,
        "key " + "0" * 32 + '\nname "\x1b[2J"',
    ],
)
def test_a_bad_key_file(text):
    with pytest.raises(BadKeyFile):
        parse_key_file(text)


@given(
    st.binary(min_size=16, max_size=16),
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=60),
)
def test_a_key_file_comes_back(secret, name):
    whole = Key(secret, "".join(name.split("\u0085")).replace("\u2028", "").replace("\u2029", ""))
    again = parse_key_file(key_file(whole), path="folder/some.key")
    assert again == Key(secret, whole.name or "some.key")
    assert secret.hex() not in repr(whole)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"matches": 3}',
        b'{"matches": [{}]}',
        b'{"matches": [{"bits": "00", "type": "A", "pos": "0:00", "quality": 1, "error": 0, "rating": 1}]}',
        b"[" * 100_000,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_a_report_that_is_none(data):
    with pytest.raises(BadReport):
        parse(data)
