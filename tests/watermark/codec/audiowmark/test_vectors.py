import hashlib

import numpy as np
import pytest

from tests.watermark.codec.audiowmark.audiowmark_vectors import (
    DATA,
    FIRST_20S_KEY,
    FIRST_20S_MESSAGE,
    FOLDER,
    MARKED,
    VECTORS,
    key,
    lsb,
    needs_folder,
    sound,
)
from watermark.codec.audiowmark import embed, to_pcm16
from watermark.codec.audiowmark.convolution import decode, encode
from watermark.codec.audiowmark.keys import draws
from watermark.codec.audiowmark.layout import layout_of


def digest(numbers):
    return hashlib.sha256(",".join(map(str, numbers)).encode()).hexdigest()


def test_random_numbers():
    for one in VECTORS["prng"]:
        found = draws(key(one["key"]), int(one["seed"]), one["stream"], len(one["u64"]))
        assert [f"{number:016x}" for number in found.tolist()] == one["u64"]


def test_bins_raised_and_lowered():
    for one in VECTORS["updown"]:
        assert layout_of(key(one["key"])).up_down(one["frame"], one["stream"]) == (one["up30"], one["down30"])


@pytest.mark.parametrize("table", ["bit_order", "frame_pos", "mix"])
def test_whole_tables(table):
    for one in VECTORS[table]:
        layout = layout_of(key(one["key"]))
        found = {"bit_order": layout.bit_order, "frame_pos": layout.positions, "mix": layout.mix}[table]
        assert found[:20].tolist() == one["first20"]
        assert (len(found), digest(found.ravel().tolist())) == (one["n"], one["sha256"])


def test_code_bits_and_the_way_back():
    for one in VECTORS["convcode"]:
        message = bytes.fromhex(one["payload"])
        for kind in ("A", "B"):
            bits = encode(message, kind)
            assert np.packbits(np.append(bits, [0] * 6)).tobytes().hex() == one[f"{kind.lower()}_coded_hex"]
            assert decode(bits.astype(float), kind) == (message, 0.0)
        a, b = encode(message, "A"), encode(message, "B")
        assert (encode(message, "AB") == np.stack([a, b], 1).ravel()).all()


def test_a_message_survives_a_fifth_of_its_bits_being_wrong():
    message = bytes(range(16))
    bits = encode(message, "AB").astype(float)
    wrong = np.random.default_rng(1).permutation(len(bits))[: len(bits) // 5]
    bits[wrong] = 1 - bits[wrong]
    found, error = decode(bits, "AB")
    assert found == message
    assert error == pytest.approx(0.2, abs=0.01)


def test_embedding_gives_the_tools_samples():
    source, rate = sound(DATA / "b_first_20s.source.flac")
    theirs, _ = sound(DATA / "b_first_20s.s10.flac")
    ours = to_pcm16(embed(source, rate, FIRST_20S_MESSAGE, FIRST_20S_KEY))
    # The last frame of the cut hears beyond its end in the tool's file.
    difference = np.abs(ours - lsb(theirs))[:-2048]
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.9999
    assert np.abs(lsb(theirs) - lsb(source)).max() > 5


@needs_folder
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n[0] in "de" else pytest.mark.slow) for n in sorted(MARKED)]
)
def test_embedding_gives_the_tools_whole_files(name):
    """Mono, stereo, limiter at work, 32 kHz; strengths 10 and 15; five keys."""
    file = MARKED[name]
    source, rate = sound(FOLDER / file["source"])
    theirs, _ = sound(FOLDER / name)
    marked = embed(source, rate, bytes.fromhex(file["payload"]), key(file["key_hex"]), strength=file["strength"])
    ours = to_pcm16(marked)
    assert np.abs(ours - lsb(theirs)).max() <= 1
    # At 32 kHz the tool's resampler is another one.
    assert (ours == lsb(theirs)).mean() > (0.9999 if rate == 44_100 else 0.95)
    mark, their_mark = (wave.ravel() - lsb(source).ravel() for wave in (ours, lsb(theirs)))
    assert np.corrcoef(mark, their_mark)[0, 1] > 0.9999
