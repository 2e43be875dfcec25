import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soxr import resample

from consent.biometrics import calibration, condition, encoder, encoders, speaker
from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict
from consent.prompts import sentences as prompts

RATE = 16_000


def sweep() -> np.ndarray:
    """1.5 s that need no recording: what the reference figures below were taken from."""
    t = np.arange(24_000) / RATE
    swell = 0.1 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (1 + np.sin(2 * np.pi * 4 * t))
    return (swell + 0.03 * np.sin(2 * np.pi * 1_730 * t)).astype(np.float32)


def test_the_front_end_equals_librosas() -> None:
    """librosa 0.11 ``feature.melspectrogram`` with Resemblyzer's settings, frame 50, every sixth band."""
    mels = encoder.mel_power(sweep()).numpy()
    assert mels.shape == (151, 40)
    np.testing.assert_allclose(mels[50, [6, 12]], [1.4521957635879517, 1.4569359e-07], rtol=2e-2, atol=1e-9)
    assert mels[50, 6] == pytest.approx(1.4521957635879517, rel=1e-5)


def test_the_embedding_equals_resemblyzers() -> None:
    """The first 16 of 256 numbers from Resemblyzer 0.1.4 itself."""
    embedding = encoder.embed_partials(sweep(), floor=False)
    reference = [0, 0, 0, 0, 0, 0, 0, 0, 0.07647, 0.03837, 0.03066, 0.00708, 0, 0.1073, 0.15488, 0]
    np.testing.assert_allclose(embedding[:16], reference, atol=2e-5)
    assert float(np.linalg.norm(embedding)) == pytest.approx(1.0, abs=1e-5)


@pytest.fixture(scope="module")
def enrolled(say, sentences) -> list[np.ndarray]:
    return [speaker.embed(say(text), RATE) for text in sentences[:2]]


def test_the_same_voice_passes_with_other_words(enrolled, say, sentences) -> None:
    found = speaker.verify(enrolled, say(sentences[2]), RATE)
    assert found.verdict is Verdict.PASS
    assert found.value > found.threshold > 0.5
    assert found.details["cosine"] > found.details["threshold_cosine"]


@pytest.mark.parametrize("voice", ["rms", "awb", "kal16"])
def test_another_voice_does_not_pass(enrolled, say, sentences, voice: str) -> None:
    found = speaker.verify(enrolled, say(sentences[2], voice), RATE)
    assert found.verdict is not Verdict.PASS
    assert found.reason in ("different_speaker", "speaker_uncertain")
    assert found.value < 0.5 < found.threshold


def test_less_than_three_seconds_decide_nothing(enrolled, say) -> None:
    for voice in ("slt", "rms"):
        found = speaker.verify(enrolled, say("hello there", voice), RATE)
        assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "too_little_speech")


def test_neither_level_nor_rate_matters(enrolled, say, sentences) -> None:
    wave = say(sentences[2])
    straight = speaker.embed(wave, RATE)
    assert float(straight @ speaker.embed(np.asarray(resample(wave, RATE, 44_100)), 44_100)) > 0.97
    assert float(straight @ speaker.embed(wave * np.float32(0.25), RATE)) > 0.99


SCALE = calibration.load(encoders.builtin())
FACTS = st.tuples(
    st.floats(1, 3), st.floats(0, 60), st.floats(0, 60), st.floats(-60, 10), st.floats(0, 2), st.floats(1, 4)
)


@given(st.floats(-1, 1), st.floats(-1, 1), FACTS)
def test_probability_rises_with_the_cosine_and_claims_no_more_than_was_measured(a: float, b: float, facts) -> None:
    low, high = sorted((a, b))
    under = np.array(facts)
    first, second = (float(SCALE.probability(SCALE.standard(one, under), under)) for one in (low, high))
    most = 1.0 / (1.0 + np.exp(-SCALE.max_log_odds))
    assert 1.0 - most - 1e-9 <= first <= second <= most + 1e-9


@given(FACTS)
def test_what_just_passes_is_more_likely_the_person_than_not_under_every_condition(facts) -> None:
    under = np.array(facts)
    cosine = SCALE.cosine_at_margin(under)
    assert SCALE.standard(cosine, under) == pytest.approx(SCALE.margin)
    assert 0.2 < cosine < 0.95
    assert float(SCALE.probability(SCALE.margin, under)) > 0.5


@given(st.floats(3, 10), st.floats(3, 10))
def test_longer_speech_asks_for_a_higher_cosine(a: float, b: float) -> None:
    short, long = sorted((a, b))
    assert speaker.threshold_cosine(short) <= speaker.threshold_cosine(long)


def test_the_coefficients_belong_to_these_features(tmp_path) -> None:
    chosen = encoders.builtin()
    stored = tmp_path / "calibration.json"
    stored.write_text(SCALE.to_json(chosen))
    again = calibration.read(stored, chosen)
    assert again.margin == SCALE.margin
    np.testing.assert_allclose(again.impostor_mean, SCALE.impostor_mean, atol=1e-6)
    stored.write_text(SCALE.to_json(chosen).replace(calibration.definition(chosen), "0" * 64))
    with pytest.raises(encoders.EncoderError, match="calibrate again"):
        calibration.read(stored, chosen)


def test_facts_tell_a_telephone_from_a_quiet_room(say, sentences) -> None:
    wave = say(sentences[0])
    narrow = np.asarray(resample(np.asarray(resample(wave, RATE, 7_000)), 7_000, RATE), dtype=np.float32)
    noisy = (wave + np.random.default_rng(0).normal(0, 0.01, wave.size)).astype(np.float32)
    quiet, telephone, noise = (condition.facts(one, 3.0) for one in (wave, narrow, noisy))
    treble, depth = condition.NAMES.index("treble_db"), condition.NAMES.index("depth_db")
    assert quiet[treble] > telephone[treble] + 15
    assert quiet[depth] > noise[depth] + 10
    assert np.isfinite(condition.facts(np.zeros(160, np.float32), 0.0)).all()


def test_noise_moves_an_embedding_less_once_the_floor_is_taken_away(say, sentences) -> None:
    wave = say(sentences[0])
    noisy = (wave + np.random.default_rng(0).normal(0, 0.01, wave.size)).astype(np.float32)
    kept, taken = (
        float(encoder.embed_partials(wave, floor=floor) @ encoder.embed_partials(noisy, floor=floor))
        for floor in (False, True)
    )
    assert taken > kept


def test_an_enrolment_may_be_recordings_or_templates(say, sentences) -> None:
    waves = [say(text) for text in sentences[:2]]
    by_wave = speaker.verify(waves, say(sentences[2]), RATE)
    by_template = speaker.verify([speaker.embed(wave, RATE) for wave in waves], say(sentences[2]), RATE)
    assert by_wave.verdict is by_template.verdict is Verdict.PASS
    assert by_wave.details["cosine"] == pytest.approx(by_template.details["cosine"], abs=1e-3)


def test_the_enrolment_recording_itself_says_nothing(say, sentences) -> None:
    wave = say(sentences[0])
    found = speaker.verify([wave, say(sentences[1])], wave * np.float32(0.5), RATE)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "same_recording")


def test_windows_name_the_seconds_of_somebody_else(enrolled, say, sentences) -> None:
    mine = np.concatenate([say(sentences[0]), say(sentences[1])])
    theirs = np.concatenate([say(text, "rms") for text in sentences])
    mixed = np.concatenate([mine, theirs])
    assert speaker.verify_windows(enrolled, mine, RATE).verdict is Verdict.PASS
    found = speaker.verify_windows(enrolled, mixed, RATE)
    assert found.verdict is Verdict.REFUSE
    assert found.reason in ("several_speakers", "different_speaker")
    start, end = found.details["others"][0][0], found.details["others"][-1][1]
    assert start == pytest.approx(mine.size / RATE, abs=3.5)
    assert end == pytest.approx(mixed.size / RATE, abs=1.5)


def test_windows_of_a_stranger_are_refused_as_a_stranger(enrolled, say, sentences) -> None:
    theirs = np.concatenate([say(text, "awb") for text in sentences])
    assert speaker.verify_windows(enrolled, theirs, RATE).reason == "different_speaker"


@pytest.mark.parametrize(
    "words",
    [
        "theater, pelican, tricycle, calcium, molasses, survivor",
        "radio, lullaby, magician, supermarket, solution, celebration",
        "nobility, locomotive, tornado, gelatin, industry, formula",
    ],
)
def test_two_synthesisers_that_the_calibration_takes_for_one_do_not_pass(words: str, say) -> None:
    """The calibration knows people, and to it these two are alike: three of 60 live answers beside which a stranger's
    speech passed, until the raw cosine had to be higher the longer the speech is."""
    other = np.concatenate([say(sentence, "rms") for sentence in prompts("en")[:16]])
    found = speaker.verify_windows([speaker.embed(say(words, "awb"), RATE)], other, RATE)
    assert found.details["cosine"] > found.details["threshold_cosine"]
    assert found.verdict is not Verdict.PASS


def test_training_speech_too_short_for_a_window_is_inconclusive(enrolled, say) -> None:
    assert speaker.windows(say("hello"), RATE) == []
    assert speaker.verify_windows(enrolled, say("hello"), RATE).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("bad", [[], [np.zeros(256)], [np.ones(255)], [np.full(256, np.nan)], [np.ones(256)] * 21])
def test_broken_enrolment_is_an_error(bad: list[np.ndarray], say, sentences) -> None:
    with pytest.raises(ValueError, match=r"enrolment|no_speech"):
        speaker.verify(bad, say(sentences[0]), RATE)


def test_silence_has_no_speaker() -> None:
    with pytest.raises(AudioError) as refusal:
        speaker.embed(np.zeros(32_000, np.float32), RATE)
    assert refusal.value.code == "no_speech"
