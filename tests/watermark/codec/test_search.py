"""Long lists, other speeds, places and verdicts."""

import numpy as np
import pytest

from watermark.codec import IssuedIndex, detect_presence
from watermark.codec.codeword import codewords, packed_codewords
from watermark.codec.detect import FEW, Detector, Report
from watermark.codec.embed import embed
from watermark.codec.errors import BadKey, BadPayload
from watermark.codec.extent import extent
from watermark.codec.grid import BANDS, resampled
from watermark.codec.listen import SAME, Heard
from watermark.codec.scoring import best, each

PAYLOAD = 0xBEEF_CAFE_F00D
CROWD = [PAYLOAD + step for step in range(-500, 500)]


@pytest.fixture(scope="module")
def marked(speech, key):
    return embed(speech, 32_000, PAYLOAD, key)


@pytest.fixture(scope="module")
def many():
    """More than a second pass takes, in several shards."""
    return IssuedIndex([*range(1, FEW + 1_000), PAYLOAD], shard_size=2_000)


def sped(wave, factor):
    return np.interp(np.arange(int(len(wave) / factor)) * factor, np.arange(len(wave)), wave).astype(np.float32)


def test_index_grows_by_append_and_takes_nothing_twice():
    index = IssuedIndex([3, 1, 3], shard_size=2)
    assert index.append([1, 5, 7]) == 2
    assert list(index) == [3, 1, 5, 7]
    assert [len(shard) for shard in index.shards] == [2, 2]
    assert (len(index), 5 in index, 6 in index) == (4, True, False)
    with pytest.raises(BadPayload):
        index.append([9, 0])
    assert 9 not in index
    with pytest.raises(ValueError, match="at least one"):
        IssuedIndex(shard_size=0)


def test_shard_keeps_codewords_of_one_key_and_makes_only_new_ones(key):
    index = IssuedIndex([1, 2])
    index.warm(key)
    before = index.shards[0].packed(key)
    index.append([3])
    after = index.shards[0].packed(key)
    assert (after == packed_codewords(key, [1, 2, 3])).all()
    assert (after[:2] == before).all()
    assert (index.shards[0].packed(bytes(32)) == packed_codewords(bytes(32), [1, 2, 3])).all()
    with pytest.raises(BadKey):
        index.warm(b"short")


def test_first_pass_over_shards_finds_what_the_plain_search_finds(marked, many, key):
    plain = Detector(key).search(marked, 32_000, [1, PAYLOAD])[0]
    found = Detector(key).search(marked, 32_000, many)
    assert [match.payload for match in found] == [PAYLOAD]
    assert found[0].score == pytest.approx(plain.score, rel=1e-4)
    assert (found[0].start_s, found[0].end_s) == (plain.start_s, plain.end_s)


def test_every_id_counts_though_most_are_left_after_the_first_pass(marked, many, key):
    one = Detector(key).search(marked, 32_000, [PAYLOAD])[0].false_positive_bound
    all_of_them = Detector(key).search(marked, 32_000, many)[0].false_positive_bound
    assert all_of_them == pytest.approx(one * len(many), rel=1e-2)


def test_torch_scores_as_numpy_does(key):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((40, 32, BANDS)).astype(np.float32)
    vectors /= np.sqrt((vectors**2).sum(axis=(1, 2), keepdims=True))
    packed = packed_codewords(key, range(1, 600))
    ours, theirs = best(packed, vectors), best(packed, vectors, device="torch:cpu")
    assert np.abs(ours[0] - theirs[0]).max() < 1e-4
    assert (ours[1] == theirs[1]).all()
    tau, _ = each(codewords(key, [7])[0], vectors)
    assert tau.max() == pytest.approx(ours[0][6], rel=1e-4)


@pytest.mark.parametrize("factor", [0.97, 1.05])
def test_other_speed_is_found_and_named(marked, key, factor):
    match = Detector(key).search(sped(marked, factor), 32_000, CROWD)[0]
    assert match.payload == PAYLOAD
    assert match.scale.pitch == pytest.approx(factor, abs=0.006)
    assert match.scale.time == pytest.approx(1 / factor, abs=0.006)
    assert match.end_s == pytest.approx(len(marked) / 32_000 / factor, abs=0.25)


def test_scales_are_left_out_when_told(marked, key):
    report = Detector(key).examine(sped(marked, 1.05), 32_000, CROWD, scales=False)
    assert report.matches == []
    assert not report.scales_tried


@pytest.mark.parametrize("start", [16_000, 70_001])
def test_three_seconds_inside_other_speech_are_found_within_a_quarter_second(marked, other_speech, key, start):
    part = marked[start : start + 96_000]
    wave = np.concatenate([other_speech[:100_123], part, other_speech[100_123:]])
    matches = Detector(key).search(wave, 32_000, CROWD)
    assert [match.payload for match in matches] == [PAYLOAD]
    assert matches[0].start_s == pytest.approx(100_123 / 32_000, abs=0.25)
    assert matches[0].end_s == pytest.approx(196_123 / 32_000, abs=0.25)


def test_one_mark_at_two_places_is_reported_twice(marked, other_speech, key):
    part = marked[16_000:112_000]
    wave = np.concatenate([part, other_speech[:120_000], part])
    starts = sorted(match.start_s for match in Detector(key).search(wave, 32_000, CROWD))
    assert starts == pytest.approx([0, 6.75], abs=0.25)


def test_extent_is_where_agreement_is(key):
    code = codewords(key, [5])[0]
    errors = []
    for seed in range(20):
        chips = np.random.default_rng(seed).standard_normal((200, BANDS)).astype(np.float32)
        chips[70:120] += 0.4 * code[(np.arange(70, 120) - 9) % 32]
        first, last = extent(chips, code, 9, (60, 110))
        errors += [abs(first - 70), abs(last - 120)]
    assert np.median(errors) <= 1
    assert np.percentile(errors, 90) <= 4  # a quarter of a second


def test_extent_in_silence_is_its_middle_and_a_window_too_long_does_no_harm(key):
    code = codewords(key, [5])[0]
    errors = []
    for seed in range(20):
        chips = np.random.default_rng(seed).standard_normal((200, BANDS)).astype(np.float32)
        chips[70:120] += 0.4 * code[(np.arange(70, 120) - 9) % 32]
        chips[114:126] *= 0.01  # the last six of the mark and six after it are silent
        first, last = extent(chips, code, 9, (50, 150))
        errors += [abs(first - 70), abs(last - 120)]
        assert 1 <= first < last <= 200
    assert np.median(errors) <= 1
    assert np.percentile(errors, 90) <= 4  # a quarter of a second


def test_presence_has_three_answers(marked, speech, key):
    assert detect_presence(marked, 32_000, key=key, issued=CROWD).verdict == "marked"
    assert detect_presence(speech, 32_000, key=key, issued=CROWD).verdict != "marked"
    blind = detect_presence(marked, 32_000)
    assert (blind.verdict, blind.false_positive_bound, blind.ids) == ("inconclusive", 1.0, 0)
    short = detect_presence(speech[32_000:51_200], 32_000, key=key, issued=CROWD)
    assert short.verdict == "inconclusive"


def test_high_rates_are_searched(marked, key):
    wave = np.repeat(marked[:96_000], 6)
    assert [match.payload for match in Detector(key).search(wave, 192_000, CROWD)] == [PAYLOAD]


@pytest.mark.parametrize(
    ("expected", "verdict"), [(12.0, "inconclusive"), (25.0, "inconclusive"), (40.0, "not marked")]
)
def test_absence_means_something_only_where_a_mark_must_have_shown(expected, verdict):
    assert Report([], 1_000, 128, 4.0, 1.0, False, expected).verdict == verdict
    assert Report([], 0, 0, 0.0, 1.0, False, expected).verdict == "inconclusive"


def folded_up(wave):
    """What GSM 06.10 does to the spectrum: below 1.33 kHz of 8 kHz it is kept, above it is that part's mirror image."""
    narrow = resampled(resampled(wave, 32_000, 8_000)[: len(wave) // 4 // 3 * 3], 8_000, 2_664)
    kept = resampled(narrow, 2_664, 8_000)
    kept[1::3] = kept[2::3] = 0
    return kept


def test_narrow_sound_is_read_in_two_ways_and_both_count(marked, key):
    narrow = resampled(marked, 32_000, 8_000)
    plain, twice = Heard.of(marked, 32_000), Heard.of(narrow, 8_000)
    assert (len(plain.weightings), len(twice.weightings)) == (1, 2)
    one, two = plain.folded(SAME, plain.whole()), twice.folded(SAME, twice.whole())
    assert (one.alignments, two.alignments) == (4 * 32, 2 * 4 * 32)
    assert len(two.windows) == len(two.offsets) == len(two.vectors)
    assert np.sqrt((two.vectors**2).sum(axis=(1, 2))) == pytest.approx(np.ones(8), rel=1e-4)
    wide = Detector(key).examine(marked, 32_000, CROWD, scales=False)
    report = Detector(key).examine(narrow, 8_000, CROWD, scales=False)
    assert report.alignments == 2 * wide.alignments
    assert report.matches[0].payload == PAYLOAD
    assert report.matches[0].end_s == pytest.approx(wide.matches[0].end_s, abs=0.15)


def test_second_way_reads_more_of_a_sound_whose_upper_part_is_made_up(marked, key):
    heard = Heard.of(folded_up(marked), 8_000)
    tau, _ = each(codewords(key, [PAYLOAD])[0], heard.folded(SAME, heard.whole()).vectors)
    first, second = tau.reshape(2, -1).max(axis=1)
    assert second > 1.15 * first > 4
    assert Detector(key).score(folded_up(marked), 8_000, PAYLOAD) == pytest.approx(second, rel=1e-5)


def test_candidates_of_a_narrow_sound_are_chosen_halfway_between_its_two_ways(marked, key):
    """One pass over a long list instead of two: it hears what either way hears, far above what strangers reach."""
    wide = Heard.of(marked, 32_000)
    assert (wide.between == 1).all()
    strangers = [payload for payload in range(1, 2_001) if payload != PAYLOAD]
    for sound in (resampled(marked, 32_000, 8_000), folded_up(marked)):
        heard = Heard.of(sound, 8_000)
        assert heard.between == pytest.approx(np.sqrt(heard.weightings.prod(axis=0, keepdims=True)))
        ways = heard.folded(SAME, heard.whole())
        chosen = heard.folded(SAME, heard.whole(), ways=heard.between)
        assert len(chosen.vectors) * 2 == len(ways.vectors)
        tau = {name: each(codewords(key, [PAYLOAD])[0], part.vectors)[0].max() for name, part in
               (("ways", ways), ("chosen", chosen))}  # fmt: skip
        assert tau["chosen"] > 0.85 * tau["ways"]
        assert tau["chosen"] > best(packed_codewords(key, strangers), chosen.vectors)[0].max()


def test_ways_of_reading_count_on_every_scale(marked, key):
    slow, crowd = sped(marked[:96_000], 0.97), CROWD[450:550]
    wide = Detector(key).examine(slow, 32_000, crowd, scales=True)
    narrow = Detector(key).examine(resampled(slow, 32_000, 8_000), 8_000, crowd, scales=True)
    assert narrow.alignments == 2 * wide.alignments
    assert narrow.matches[0].payload == PAYLOAD
