"""Embedding and finding, on real synthetic speech and on sound made up by Hypothesis."""

import math

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark.codec.codeword import codewords
from watermark.codec.detect import SHARES, Detector, bound, tail, threshold
from watermark.codec.embed import READ_BACK_SCORE, embed, embed_batch, embed_checked
from watermark.codec.errors import MarkTooWeak
from watermark.codec.listen import SAME, Heard
from watermark.codec.loudness import MAX_STRENGTH
from watermark.labels.encode import decode, encode

PAYLOAD = 0xBEEF_CAFE_F00D
CROWD = [PAYLOAD + step for step in range(-500, 500)]


@pytest.fixture(scope="module")
def marked(speech, key):
    return embed(speech, 32_000, PAYLOAD, key)


def found(wave, rate, key, issued=CROWD):
    return [match.payload for match in Detector(key).search(wave, rate, issued)]


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_mark_is_found_at_every_rate(speech, key, rate):
    wave = np.asarray(soxr.resample(speech, 32_000, rate), np.float32)
    out = embed(wave, rate, PAYLOAD, key)
    assert (out.dtype, out.shape) == (np.float32, wave.shape)
    assert found(out, rate, key) == [PAYLOAD]


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), seconds=st.floats(3, 6), payload=st.integers(1, 2**48 - 1))
def test_mark_of_any_sound_and_payload_is_found_and_no_other(buzzy, seed, seconds, payload):
    key = seed.to_bytes(32, "big")
    wave = buzzy(seed, seconds)
    out = embed(wave, 32_000, payload, key)
    issued = [payload, *(1 + (payload + step * 7_919) % (2**48 - 1) for step in range(1, 500))]
    matches = Detector(key).search(out, 32_000, issued)
    assert [match.payload for match in matches] == [payload]
    assert matches[0].score >= READ_BACK_SCORE - 1e-3
    assert matches[0].false_positive_bound < 1e-6


def test_noise_holds_a_mark(key):
    noise = np.random.default_rng(3).standard_normal(32_000 * 3).astype(np.float32) * 0.1
    assert found(embed(noise, 32_000, PAYLOAD, key), 32_000, key) == [PAYLOAD]


def test_another_key_finds_nothing(marked):
    assert found(marked[:96_000], 32_000, bytes(32)) == []


def test_unmarked_sound_shows_nothing(speech, other_speech, buzzy, key):
    for wave in (speech[:96_000], other_speech[:96_000], buzzy(2, 2)):
        presence = Detector(key).detect_presence(wave, 32_000, CROWD)
        assert not presence.present
        assert presence.false_positive_bound > 1e-6


def test_presence_is_told_without_naming(marked, key):
    presence = Detector(key).detect_presence(marked, 32_000, CROWD)
    assert presence.present
    assert presence.false_positive_bound < 1e-6


def test_nothing_issued_means_nothing_found(marked, key):
    assert found(marked, 32_000, key, []) == []
    assert not Detector(key).detect_presence(marked, 32_000, []).present


@pytest.mark.parametrize("start", [0.0, 1.237, 2.5])
def test_three_seconds_cut_from_six_are_found(marked, key, start):
    first = int(start * 32_000)
    assert found(marked[first : first + 96_000], 32_000, key) == [PAYLOAD]


@pytest.mark.parametrize("gain", [0.01, 1.9])
def test_level_does_not_matter(marked, key, gain):
    assert found(np.clip(marked * np.float32(gain), -1, 1), 32_000, key) == [PAYLOAD]


@pytest.mark.parametrize(("container", "bit_rate"), [("mp3", 64_000), ("opus", 24_000)], ids=["mp3 64k", "opus 24k"])
def test_mark_survives_a_lossy_codec(marked, key, container, bit_rate, monkeypatch):
    monkeypatch.setattr(f"watermark.labels.encode.{container.upper()}_BIT_RATE", bit_rate)
    assert found(*decode(encode(marked, 32_000, container)), key) == [PAYLOAD]


def test_two_marks_in_one_file_are_found_where_they_are(marked, speech, other_speech, key):
    second = embed(other_speech, 32_000, PAYLOAD + 1, key)
    joined = np.concatenate([marked, second])
    matches = {match.payload: match for match in Detector(key).search(joined, 32_000, CROWD)}
    assert set(matches) == {PAYLOAD, PAYLOAD + 1}
    border = len(marked) / 32_000
    assert matches[PAYLOAD].start_s == pytest.approx(0, abs=0.25)
    assert matches[PAYLOAD].end_s == pytest.approx(border, abs=0.25)
    assert matches[PAYLOAD + 1].start_s == pytest.approx(border, abs=0.25)
    assert matches[PAYLOAD + 1].end_s == pytest.approx(len(joined) / 32_000, abs=0.25)


def test_mark_is_quiet_and_outside_its_bands_there_is_none(speech, key):
    out = embed_checked(speech, 32_000, PAYLOAD, key)
    difference = out.wave - speech * np.float32(np.dot(out.wave, speech) / np.dot(speech, speech))
    assert 10 * np.log10((speech**2).sum() / (difference**2).sum()) > 15
    spectrum = np.abs(np.fft.rfft(difference)) ** 2
    hertz = np.fft.rfftfreq(len(difference), 1 / 32_000)
    assert spectrum[(hertz < 200) | (hertz > 7_800)].sum() < 1e-3 * spectrum.sum()


def test_result_never_leaves_full_scale(speech, key):
    loud = speech / np.abs(speech).max()
    out = embed(loud, 32_000, PAYLOAD, key)
    assert np.abs(out).max() <= 1.0
    assert (np.abs(out) <= np.maximum(np.abs(loud), np.float32(0.98))).all()
    assert found(out, 32_000, key) == [PAYLOAD]


def test_weak_mark_is_made_stronger(speech, key):
    out = embed_checked(speech, 32_000, PAYLOAD, key, strength=0.3)
    assert out.strength > 0.3
    assert out.score >= READ_BACK_SCORE


def test_mark_that_a_channel_destroys_is_refused(speech, key):
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32) * 0.1
    with pytest.raises(MarkTooWeak, match=f"{MAX_STRENGTH}"):
        embed_checked(speech, 32_000, PAYLOAD, key, strength=MAX_STRENGTH, channel=lambda wave, rate: (noise, rate))


def test_bound_and_threshold_are_inverse_and_count_every_trial():
    least = threshold(1_000_000, 25_600)
    assert math.sqrt(2 * math.log(1e6 * 25_600 / 1e-6)) == pytest.approx(8.69, abs=0.01)  # by Hoeffding alone
    assert least == pytest.approx(8.47, abs=0.01)
    assert bound(least, 1_000_000, 25_600) == pytest.approx(1e-6)
    assert bound(0.0, 5, 5) == 1.0


@pytest.mark.parametrize("weights", ["equal", "falling", "one", "two"])
def test_tail_is_never_below_the_exact_chance(weights):
    a = {"equal": np.ones(16), "falling": 0.8 ** np.arange(16), "one": np.ones(1), "two": np.ones(2)}[weights]
    a /= np.sqrt((a**2).sum())
    signs = 1 - 2 * ((np.arange(2 ** len(a))[:, None] >> np.arange(len(a))) & 1)
    sums = np.sort(signs @ a)
    reached = 1 - np.searchsorted(sums, sums - 1e-9) / len(sums)
    assert all(tail(float(at)) >= chance - 1e-12 for at, chance in zip(sums, reached, strict=True))
    # Two equal coins reach sqrt(2) once in four: there the bound is met exactly, so no smaller factor would do.
    if weights == "two":
        assert tail(math.sqrt(2)) == pytest.approx(0.25, rel=1e-9)


def test_alignments_counted_are_those_scored(marked, key):
    report = Detector(key).examine(marked, 32_000, CROWD)
    hops = len(marked) // 256 + 2
    windows = sum(-(-(hops - size) // 64) + 1 for size in (375, 625) if size < hops)
    assert len(marked) > 5 * 32_000
    assert report.alignments == (1 + windows) * 4 * 32
    best = report.matches[0]
    expected = min(
        bound(best.score, len(CROWD), 128, SHARES["whole"]),
        bound(best.score, len(CROWD), windows * 128, SHARES["windows"]),
    )
    assert expected <= best.false_positive_bound * 1.000001
    assert sum(SHARES.values()) == pytest.approx(1)


def test_scores_of_payloads_that_are_not_there_have_mean_square_one(marked, key):
    """The bound rests on this, on marked sound as on any other."""
    heard = Heard.of(marked, 32_000)
    vectors = heard.folded(SAME, [*heard.whole(), (100, 500)]).vectors
    wrong = codewords(key, range(1, 3_001)).reshape(3_000, -1)
    scores = wrong @ vectors.reshape(len(vectors), -1).T
    assert np.mean(scores**2) == pytest.approx(1, abs=0.05)
    assert np.abs(scores).max() < 6


def test_fast_correlation_equals_the_plain_one(marked, key):
    heard = Heard.of(marked[:96_000], 32_000)
    folded = heard.folded(SAME, heard.whole())
    code = codewords(key, [PAYLOAD])[0]
    plain = max(
        float((np.roll(vector, rotation, axis=0) * code).sum()) for vector in folded.vectors for rotation in range(32)
    )
    assert Detector(key).score(marked[:96_000], 32_000, PAYLOAD) == pytest.approx(plain, rel=1e-4)


def test_batch_marks_each_sound_with_its_own_payload(speech, other_speech, key):
    out = embed_batch([speech, other_speech], 32_000, [PAYLOAD, PAYLOAD + 1], key)
    assert (out[0] == embed(speech, 32_000, PAYLOAD, key)).all()
    assert found(out[1], 32_000, key) == [PAYLOAD + 1]
    assert embed_batch([], 32_000, [], key) == []
    with pytest.raises(ValueError, match="1 sounds and 2 payloads"):
        embed_batch([speech], 32_000, [1, 2], key)


def test_every_channel_is_marked_and_any_mix_of_them_read(speech, other_speech, key):
    length = min(len(speech), len(other_speech))
    wave = np.stack([speech[:length], other_speech[:length], np.zeros(length, np.float32)])
    out = embed(wave, 32_000, PAYLOAD, key)
    assert out.shape == wave.shape
    assert (out[2] == 0).all()
    for heard in (out, out[0], out[1], out.mean(axis=0)):
        assert found(heard, 32_000, key) == [PAYLOAD]


def test_what_was_marked_twice_shows_both(marked, key):
    again = embed(marked, 32_000, PAYLOAD + 1, key, strength=2.0)
    assert set(found(again, 32_000, key)) == {PAYLOAD, PAYLOAD + 1}


def test_listed_payload_needs_a_lower_score(marked, key):
    plain = Detector(key).search(marked, 32_000, CROWD)[0]
    listed = Detector(key).search(marked, 32_000, CROWD, listed=[PAYLOAD])[0]
    assert listed.score == plain.score
    assert listed.false_positive_bound < plain.false_positive_bound


def test_payload_that_was_not_issued_is_not_found_by_listing_it(marked, key):
    assert Detector(key).search(marked, 32_000, [1, 2, 3], listed=[PAYLOAD]) == []
