import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from consent.biometrics import channel
from consent.biometrics.attacks import processing
from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict

RATE = 16_000


@pytest.fixture(scope="module")
def live(say, sentences) -> np.ndarray:
    return np.concatenate([say(text) for text in sentences[:2]])


@pytest.fixture(scope="module")
def upload(say, sentences) -> np.ndarray:
    return np.concatenate([say(text) for text in sentences[1:]])


def test_one_microphone_and_room_raise_no_flag(live, upload) -> None:
    found = channel.compare(live, upload, RATE)
    assert (found.verdict, found.details["flags"]) == (Verdict.PASS, []), found


def test_a_telephone_against_a_microphone_is_flagged(live, upload) -> None:
    found = channel.compare(live, processing.telephone(upload), RATE)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "channel_differs")


def test_a_much_louder_room_is_flagged(live, upload) -> None:
    found = channel.compare(live, processing.noisy(upload, 15.0), RATE)
    assert found.reason == "channel_differs"
    assert found.details["background_gap_db"] > channel.MAX_FLOOR_GAP


def test_missing_bass_in_the_live_answer_is_a_cue_of_a_loudspeaker(live, upload) -> None:
    thin = sosfilt(butter(6, 400.0, btype="high", fs=RATE, output="sos"), live).astype(np.float32)
    assert "replay_cues" in channel.compare(thin, upload, RATE).details["flags"]


def test_cells_that_a_codec_emptied_are_counted(live) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.02, live.size).astype(np.float32)
    spectrum = np.fft.rfft((live + noise)[: live.size // 512 * 512].reshape(-1, 512), axis=1)
    emptied = spectrum.copy()
    emptied[rng.random(spectrum.shape) < 0.4] = 0.0
    emptied = np.fft.irfft(emptied, axis=1).ravel().astype(np.float32)
    assert channel.measure(emptied, RATE).holes >= channel.measure(live + noise, RATE).holes


def test_it_never_refuses_and_too_little_speech_says_nothing(say, upload) -> None:
    found = channel.compare(say("hello"), upload, RATE)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "too_little_speech")


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros((2, 32_000), np.float32)], ids=["none", "stereo"])
def test_what_is_no_usable_sound_is_refused_by_name(wave, upload) -> None:
    with pytest.raises(AudioError):
        channel.compare(wave, upload, RATE)
