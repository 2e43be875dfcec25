import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from consent.biometrics import lfcc, mounted_spoof, spoof, texture
from consent.biometrics.audio import AudioError
from consent.biometrics.copies import griffin_lim, source_filter
from consent.biometrics.evidence import Verdict
from consent.biometrics.mounted_spoof import SpoofModelError
from consent.biometrics.train_spoof import GENUINE, HELD_OUT, NEVER, PLAIN, Row, fit, measured_only, measures, train
from watermark.codec.embed import embed

RATE = 16_000
WORDS = ["umbrella", "dinosaur", "pineapple", "telescope", "hospital", "crocodile"]
KEY = b"a key for these tests, 32 bytes!"


@pytest.fixture(scope="module")
def long(say, sentences) -> np.ndarray:
    return np.concatenate([say(text) for text in sentences])


def test_our_own_mark_is_refused_whatever_it_sounds_like(long) -> None:
    found = spoof.score(long, RATE, own_mark_found=True)
    assert (found.verdict, found.reason, found.value) == (Verdict.REFUSE, "own_mark", 1.0)


def test_our_own_mark_is_searched_where_a_key_is_at_hand_and_never_silently_skipped(long) -> None:
    marked = embed(long, RATE, 12_345, KEY)
    found = spoof.score(marked, RATE, mark_key=KEY, issued=[7, 12_345])
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "own_mark")
    assert spoof.score(long, RATE, mark_key=KEY, issued=[7, 12_345]).details["own_mark"] == "not found"
    assert spoof.score(marked, RATE).details["own_mark"] == "not looked for: no key"


@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_what_the_engine_says_in_a_victims_voice_does_not_pass_without_its_mark(say, sentences, voice: str) -> None:
    """A zero-shot clone by the shipped base reads words, unmarked; the detector knows neither voice."""
    from demo.attack_voices import clone

    text = " ".join(sentences[:2])
    said = clone([(say(text, voice), text)], rate=RATE, fine_tuned=False)([*WORDS, *sentences[2].split()])
    found = spoof.score(said, RATE)
    assert found.verdict is not Verdict.PASS, found.details["log_odds"]


@pytest.mark.parametrize("name", ["griffin-lim mel-80 1024/256", "griffin-lim mel-100 2048/512"])
def test_copies_by_a_known_vocoder_look_more_like_synthesis_than_their_originals(say, sentences, name: str) -> None:
    original = say(sentences[0], "rms")
    before = spoof.score(original, RATE).details["log_odds"]
    assert spoof.score(PLAIN[name](original), RATE).details["log_odds"] > before + 1.0


def test_the_shipped_detector_holds_its_claim_on_voices_it_never_heard() -> None:
    """Own synthesis: at most 5 % pass (or one clip of a small set) while at most 5 % of genuine speech is held up."""
    lines = [line for line in spoof.detector().measured if line["processed"] == "none"]
    genuine = next(line for line in lines if line["attack"] == GENUINE)
    assert genuine["passed"] >= 0.95
    own = [line for line in lines if line["attack"].startswith("own engine")]
    assert len(own) >= 3
    assert any(NEVER in line["attack"] for line in own)
    for line in own:
        assert line["passed"] * line["clips"] <= max(1.01, 0.05 * line["clips"]), line
    assert sum(line["passed"] * line["clips"] for line in own) <= 0.02 * sum(line["clips"] for line in own)


def test_the_evidence_says_what_was_measured_and_what_was_not(long) -> None:
    details = spoof.score(long, RATE).details
    attacks = {line["attack"] for line in details["measured"]}
    assert set(HELD_OUT) <= attacks
    assert all(line["clips"] > 0 for line in details["measured"])
    assert "clones by another vendor" in details["not_measured"]


def test_a_moment_of_speech_decides_nothing(say) -> None:
    assert spoof.score(say("hello"), RATE).verdict is not Verdict.PASS


@pytest.mark.parametrize(
    "wave",
    [np.zeros(0, np.float32), np.zeros(32_000, np.float32), np.full(32_000, np.nan, np.float32),
     np.zeros((2, 32_000), np.float32), np.broadcast_to(np.float32(0.1), 3_600 * RATE)],
    ids=["no samples", "silence", "not a number", "two channels", "one hour"],
)  # fmt: skip
def test_what_is_no_usable_sound_is_refused_by_name(wave: np.ndarray) -> None:
    with pytest.raises(AudioError):
        spoof.score(wave, RATE)


def test_features_do_not_depend_on_level(long) -> None:
    np.testing.assert_allclose(spoof.features(long), spoof.features(long * np.float32(0.1)), atol=1e-2)
    assert spoof.features(long).shape == (lfcc.DIMENSIONS + texture.DIMENSIONS,)


@given(st.integers(1_000, 200_000))
def test_pieces_lose_no_sample(size: int) -> None:
    sound = np.arange(size, dtype=np.float32)
    parts = spoof.pieces(sound)
    np.testing.assert_array_equal(np.concatenate(parts), sound)
    assert all(part.size <= 1.5 * spoof.PIECE_SECONDS * RATE + 1 for part in parts)


@settings(max_examples=10)
@given(st.integers(4_000, 20_000), st.sampled_from([griffin_lim(512, 128, 0), source_filter(24)]))
def test_a_copy_is_as_long_as_its_original_and_finite(size: int, copy) -> None:
    sound = np.sin(np.arange(size, dtype=np.float32) * 0.05) * np.float32(0.1)
    made = copy(sound)
    assert made.shape == sound.shape
    assert np.isfinite(made).all()


def test_a_voice_mask_moves_the_pitch() -> None:
    at = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 20)).astype(np.float32) * np.float32(0.1)
    spectrum = np.abs(np.fft.rfft(source_filter(40, pitch=1.25)(tone)))
    assert np.argmax(spectrum[100:200]) + 100 == pytest.approx(150, abs=3)


def rows(count: int, shift: float) -> list[Row]:
    rng = np.random.default_rng(0)
    made = []
    for voice in range(count):
        for species, mean in ((GENUINE, 0.0), ("own engine, x", shift)):
            for process in ("none", "telephone"):
                sample = rng.normal(size=spoof.DIMENSIONS)
                sample[3] += mean
                made.append(Row(f"v{voice}", f"f{voice}", species, process, sample))
    return made


def test_training_learns_what_can_be_learnt_and_only_that() -> None:
    found = rows(60, 6.0)
    labels = np.array([float(row.species != GENUINE) for row in found])
    features = np.stack([row.features for row in found])
    mean, scale, weights, bias = fit(features, labels)
    judged = ((features - mean) / scale @ weights + bias) > 0
    assert (judged == labels).mean() > 0.95
    assert int(np.argmax(np.abs(weights))) == 3


def test_measured_errors_come_from_voices_that_were_not_trained_on() -> None:
    found = rows(40, 8.0)
    stored = train(found)
    held = {row.voice for row in found if measured_only(row.family)}
    assert stored["trained_on"].endswith(f"measured on {len(held)} others")
    assert {line["clips"] for line in stored["measured"]} == {len(held)}
    assert {line["attack"] for line in stored["measured"]} == {GENUINE, "own engine, x"}


def test_shares_of_a_line_add_up() -> None:
    lines = measures(rows(12, 3.0), lambda asked: np.linspace(-3, 3, len(asked)), 1.0, 0.0)
    for line in lines:
        assert line["passed"] + line["inconclusive"] + line["refused"] == pytest.approx(1.0, abs=2e-4)


# -- mounted models ----------------------------------------------------------------------------------------------------
SAMPLES = 16_000


def model(folder: Path, *, bias: tuple[float, float] = (0.0, 5.0), **about: object) -> Path:
    """A model that always says the same: two logits, whatever it hears."""
    place = folder / "constant"
    place.mkdir(parents=True)
    zeros = helper.make_tensor("w", TensorProto.FLOAT, [SAMPLES, 2], np.zeros(SAMPLES * 2, np.float32))
    fixed = helper.make_tensor("b", TensorProto.FLOAT, [2], np.array(bias, np.float32))
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["wave", "w", "b"], ["logits"])],
        "constant",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, SAMPLES])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [zeros, fixed],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = made.SerializeToString()
    onnx.checker.check_model(made)
    (place / "model.onnx").write_bytes(data)
    description = {
        "file": "model.onnx", "sha256": hashlib.sha256(data).hexdigest(), "samples": SAMPLES, "spoof_index": 1,
        "threshold": 0.9,
    } | about  # fmt: skip
    (place / "spoof.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(autouse=True)
def _nothing_stays_mounted():
    yield
    mounted_spoof.mount(None)


def test_a_mounted_model_may_refuse(tmp_path, long) -> None:
    before = spoof.score(long, RATE)
    (name,) = mounted_spoof.mount(model(tmp_path))
    found = spoof.score(long, RATE)
    assert found.details["mounted"] == [[name, pytest.approx(0.9933, abs=1e-3), 0.9]]
    assert found.verdict is Verdict.REFUSE
    assert found.reason == ("mounted_model" if before.verdict is not Verdict.REFUSE else before.reason)


def test_a_mounted_model_never_makes_good_what_the_own_detector_refuses(tmp_path, long) -> None:
    before = spoof.score(PLAIN["griffin-lim mel-80 1024/256"](long), RATE)
    mounted_spoof.mount(model(tmp_path, bias=(9.0, -9.0)))
    after = spoof.score(PLAIN["griffin-lim mel-80 1024/256"](long), RATE)
    assert after.verdict is before.verdict
    assert after.details["mounted"][0][1] < 0.01


@pytest.mark.parametrize(
    "about",
    [{"sha256": "0" * 64}, {"file": "../model.onnx"}, {"file": "/etc/passwd"}, {"samples": 10**9}, {"spoof_index": -1},
     {"threshold": 1.5}, {"threshold": True}, {"more": 1}, {"spoof_index": 7}],
    ids=["other file", "parent folder", "absolute path", "huge input", "negative class", "no probability",
         "a truth value", "unknown entry", "class that is not there"],
)  # fmt: skip
def test_a_model_that_is_not_what_it_says_is_not_mounted(tmp_path, about) -> None:
    with pytest.raises(SpoofModelError):
        mounted_spoof.mount(model(tmp_path, **about))
    assert mounted_spoof.probabilities(np.zeros(SAMPLES, np.float32)) == []


def test_a_file_that_is_no_model_is_not_mounted(tmp_path) -> None:
    place = model(tmp_path) / "constant"
    (place / "model.onnx").write_bytes(b"not a model")
    about = json.loads((place / "spoof.json").read_text()) | {"sha256": hashlib.sha256(b"not a model").hexdigest()}
    (place / "spoof.json").write_text(json.dumps(about))
    with pytest.raises(SpoofModelError):
        mounted_spoof.mount(tmp_path)
