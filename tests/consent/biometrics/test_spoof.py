import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics import lfcc, spoof
from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict
from consent.biometrics.train_spoof import VOCODERS, fit, vocoder

RATE = 16_000


@pytest.fixture(scope="module")
def long(say, sentences) -> np.ndarray:
    return np.concatenate([say(text) for text in sentences])


def test_our_own_mark_is_refused_whatever_it_sounds_like(long) -> None:
    found = spoof.score(long, RATE, own_mark_found=True)
    assert (found.verdict, found.reason, found.value) == (Verdict.REFUSE, "own_mark", 1.0)


def test_speech_that_went_through_no_vocoder_we_know_passes(long) -> None:
    found = spoof.score(long, RATE, own_mark_found=False)
    assert found.verdict is Verdict.PASS, found.value


@pytest.mark.parametrize("name", ["griffin-lim mel-80 1024/256", "griffin-lim mel-100 2048/512"])
@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_copy_synthesis_by_a_known_vocoder_is_refused(say, sentences, name: str, voice: str) -> None:
    original = np.concatenate([say(text, voice) for text in sentences])
    found = spoof.score(vocoder(*VOCODERS[name])(original), RATE, own_mark_found=False)
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "copy_synthesis"), found.value


def test_the_shipped_detector_holds_its_claim_on_speakers_it_never_heard() -> None:
    """Two mel vocoders: nothing passes. The other two are known to be weak, and say so in the evidence."""
    measured = {line["attack"]: line for line in spoof.detector().measured}
    for name in ("griffin-lim mel-80 1024/256", "griffin-lim mel-100 2048/512"):
        assert measured[name]["clips"] >= 150
        assert measured[name]["passed"] <= 0.02
    genuine = measured["none (genuine speech of unseen speakers)"]
    assert genuine["refused"] <= 0.08


def test_the_evidence_says_what_was_measured_and_what_was_not(long) -> None:
    details = spoof.score(long, RATE, own_mark_found=False).details
    attacks = {line["attack"] for line in details["measured"]}
    assert set(VOCODERS) <= attacks
    assert all(line["clips"] > 0 for line in details["measured"])
    assert "clones by another vendor" in details["not_measured"]


def test_a_moment_of_speech_decides_nothing(say) -> None:
    assert spoof.score(say("hello"), RATE, own_mark_found=False).verdict is not Verdict.PASS


def test_silence_has_nothing_to_judge() -> None:
    with pytest.raises(AudioError):
        spoof.score(np.zeros(32_000, np.float32), RATE, own_mark_found=False)


def test_features_do_not_depend_on_level(long) -> None:
    np.testing.assert_allclose(lfcc.features(long), lfcc.features(long * np.float32(0.1)), atol=1e-3)
    assert lfcc.features(long).shape == (lfcc.DIMENSIONS,)


@given(st.integers(1_000, 200_000))
def test_pieces_lose_no_sample(size: int) -> None:
    sound = np.arange(size, dtype=np.float32)
    parts = spoof.pieces(sound)
    np.testing.assert_array_equal(np.concatenate(parts), sound)
    assert all(part.size <= 1.5 * spoof.PIECE_SECONDS * RATE + 1 for part in parts)


def test_training_learns_what_can_be_learnt_and_only_that() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], 60)
    features = rng.normal(size=(120, lfcc.DIMENSIONS))
    features[:, 3] += 4.0 * labels
    mean, scale, weights, bias = fit(features, labels)
    judged = ((features - mean) / scale @ weights + bias) > 0
    assert (judged == labels).mean() > 0.95
    assert int(np.argmax(np.abs(weights))) == 3
