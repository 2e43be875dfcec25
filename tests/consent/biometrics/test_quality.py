import numpy as np
import pytest
from soxr import resample

from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict
from consent.biometrics.quality import examine, measure
from consent.biometrics.speech import frame_mask, runs

RATE = 16_000


@pytest.fixture(scope="module")
def good(say, sentences) -> np.ndarray:
    return np.concatenate([say(text) for text in sentences])


def noisy(wave: np.ndarray, snr_db: float) -> np.ndarray:
    """White noise at a true ratio to the power of the speaking parts."""
    power = float(np.mean(wave[np.abs(wave) > 0.01] ** 2)) * float((np.abs(wave) > 0.01).mean()) / 0.8
    noise = np.random.default_rng(3).normal(0.0, np.sqrt(power / 10 ** (snr_db / 10)), wave.size)
    return (wave + noise).astype(np.float32)


@pytest.mark.parametrize("voice", ["slt", "rms", "awb"])
def test_speech_in_a_quiet_room_passes(say, sentences, voice: str) -> None:
    found = examine(say(sentences[0], voice), RATE, purpose="live")
    assert found.verdict is Verdict.PASS, found.details
    assert found.details["noise_dbfs"] < -45.0


def test_the_noise_floor_is_the_rooms(say, sentences) -> None:
    assert measure(say(sentences[0]), RATE).noise_dbfs == pytest.approx(-60.0, abs=3.0)


def test_the_evidence_is_storable(good) -> None:
    stored = examine(good, RATE, purpose="live").to_dict()
    assert stored["model"].startswith("quality-2/")
    assert stored["details"]["failures"] == []


@pytest.mark.parametrize("true_snr", [10.0, 20.0, 30.0])
def test_the_signal_to_noise_ratio_is_right(good, true_snr: float) -> None:
    """Within 2 dB here, where speech power itself is estimated; noise is what must be told apart."""
    found = measure(noisy(good, true_snr), RATE)
    assert found.snr_db == pytest.approx(true_snr, abs=2.0)


def test_noise_is_refused_by_name_with_advice(good) -> None:
    found = examine(noisy(good, 8.0), RATE, purpose="live")
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "noisy")
    assert found.value < found.threshold
    assert set(found.advice) == {"en", "zh"}


def test_all_failures_are_named_and_the_first_is_the_reason(good) -> None:
    loud = np.clip(noisy(good, 8.0)[: 2 * RATE] * 12, -1, 1)
    found = examine(loud, RATE, purpose="live")
    named = [failure["reason"] for failure in found.details["failures"]]
    assert found.reason == named[0] == "too_little_speech"
    assert {"clipped", "noisy"} <= set(named)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda wave: np.clip(wave * 20, -1, 1), "clipped"),
        (lambda wave: wave * np.float32(0.01), "too_quiet"),
        (lambda wave: wave[:RATE], "too_little_speech"),
        (lambda wave: np.zeros(5 * RATE, np.float32), "no_speech"),
        (lambda wave: np.full(5 * RATE, 0.3, np.float32), "no_speech"),
    ],
)
def test_each_fault_has_its_own_reason(good, spoil, reason: str) -> None:
    found = examine(spoil(good), RATE, purpose="live")
    assert reason in [failure["reason"] for failure in found.details["failures"]]
    assert found.verdict is not Verdict.PASS


def test_a_telephone_is_told_from_a_microphone(good) -> None:
    narrow = np.asarray(resample(good, RATE, 8_000))
    found = examine(narrow, 8_000, purpose="live")
    assert found.reason == "narrow_band"
    assert found.value < 4_200


def test_higher_rates_give_the_same_answer(good) -> None:
    found = examine(np.asarray(resample(good, RATE, 48_000)), 48_000, purpose="live")
    assert found.verdict is Verdict.PASS


def test_speech_without_any_background_is_inconclusive(good) -> None:
    start, stop = max(runs(frame_mask(good)), key=lambda run: run[1] - run[0])
    tight = good[start * 512 : stop * 512]
    found = examine(np.concatenate([tight] * 3), RATE, purpose="live")
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "noise_unmeasured")


def test_a_training_recording_needs_enough_speech_to_know_the_speaker(good) -> None:
    found = examine(good[: 2 * RATE], RATE, purpose="training")
    assert (found.reason, found.threshold) == ("too_little_speech", 3.0)


def test_purposes_and_lengths_are_bounded() -> None:
    with pytest.raises(ValueError, match="purpose"):
        examine(np.zeros(100, np.float32), RATE, purpose="party")  # type: ignore[arg-type]
    with pytest.raises(AudioError):
        examine(np.zeros(61 * RATE, np.float32), RATE, purpose="live")


def test_several_people_in_turns_are_noticed(say, sentences) -> None:
    both = np.concatenate([say(sentences[0]), say(sentences[1]), say(sentences[0], "rms"), say(sentences[1], "rms")])
    found = examine(both, RATE, purpose="training")
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "several_voices")
    alone = examine(np.concatenate([say(text) for text in sentences]), RATE, purpose="training")
    assert alone.verdict is Verdict.PASS


def test_an_echoing_room_reads_longer_than_a_dry_one(good) -> None:
    rng = np.random.default_rng(0)
    tail = rng.normal(0.0, 1.0, RATE) * 10.0 ** (-3.0 * np.arange(RATE) / (1.2 * RATE))
    tail *= 1.0 / np.sqrt((tail**2).sum())
    tail[0] += 0.5
    echoing = np.convolve(good, tail)[: good.size].astype(np.float32)
    dry, wet = measure(good, RATE).reverberation, measure(echoing, RATE).reverberation
    assert dry is not None
    assert wet is not None
    assert dry < 0.3 < wet


def test_reading_pace_is_counted_in_syllables(say) -> None:
    """Ten syllables, spoken by a synthesiser in about two seconds."""
    found = measure(say("Remember the harbour and the holiday again"), RATE)
    assert found.syllables is not None
    assert 2.0 < found.syllables < 8.0
