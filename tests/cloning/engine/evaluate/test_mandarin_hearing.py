"""The Mandarin recogniser: a variant it never heard is understood with its tones; what is no Mandarin does no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch

from cloning.engine.errors import EngineError
from cloning.engine.evaluate import mandarin_hearing as ears_module
from cloning.engine.evaluate import measure
from cloning.engine.evaluate.align import align, errors
from cloning.engine.evaluate.hearing import RATE, Recogniser, recogniser
from cloning.engine.evaluate.listening import Listener
from cloning.engine.evaluate.mandarin_hearing import Ears, best_syllables, load, pairs, save, sounds, token
from cloning.engine.evaluate.mandarin_sound import BANDS, HOP, UNIT, normalised, seen
from cloning.engine.evaluate.source import Speaker
from cloning.engine.evaluate.texts import items
from demo.flite.speaker import speak

#: eSpeak NG 1.51, `speak_pinyin`, texts of the mandarin set by the variants Alex and Annie, which training never heard.
CLIPS = {"mandarin-08": "alex.ogg", "mandarin-17": "annie.ogg"}


@pytest.fixture(scope="module")
def ears() -> Recogniser:
    return recogniser("zh")


def clip(name: str) -> np.ndarray:
    wave, rate = soundfile.read(Path(__file__).with_name("data") / name, dtype="float32")
    assert rate == RATE
    return np.asarray(wave)


def wrong(ears: Recogniser, wave: np.ndarray, given: tuple[str, ...]) -> int:
    return errors(align(given, ears.words(wave, "mandarin"), ears.same))


@pytest.mark.parametrize(("number", "name"), CLIPS.items())
def test_a_variant_never_heard_is_understood(ears: Recogniser, number: str, name: str) -> None:
    item = next(item for item in items("mandarin") if item.id == number)
    few = len(item.words) // 4
    assert wrong(ears, clip(name), item.words) <= few
    # Neither loudness nor a little noise is what it hears.
    assert wrong(ears, 0.05 * clip(name), item.words) <= few
    noise = np.random.default_rng(1).normal(0, 0.003, len(clip(name))).astype(np.float32)
    assert wrong(ears, clip(name) + noise, item.words) <= few + 1


def test_the_report_holds_what_it_heard_and_says_that_nothing_was_timed(ears: Recogniser) -> None:
    listener = Listener(ears)
    item = next(item for item in items("mandarin") if item.id == "mandarin-08")
    wave = clip("alex.ogg")
    heard = listener.hear(item, wave)
    assert heard.durations is None
    assert heard.phone_errors <= 4 < listener.phone_count(item) == 2 * len(item.words)
    said = measure.Sentence(item, wave, "", 0, heard, heard)
    found = measure.words([said], listener)["mandarin"]
    assert found["toneless_error"]["voice"]["value"] <= found["word_error"]["voice"]["value"] <= 0.25
    assert found["tones_right"]["voice"]["value"] >= 0.75
    speaker = Speaker("alex", {item.id: wave}, (), None)
    melody = measure.melodies([said], speaker)
    assert (melody["outcome"], melody["duration_correlation"]) == ("measured", None)


def test_phones_are_the_syllables_without_tones_and_of_another_text_they_are_others(ears: Recogniser) -> None:
    wave = clip("alex.ogg")
    said = [ears.pronunciations(word) for word in ears.words(wave, "mandarin")]
    assert ears.phones(wave) == tuple(phone for (one,) in said for phone in one)
    assert wrong(ears, wave, items("mandarin")[16].words) >= 7


def test_every_given_syllable_has_one_pronunciation(ears: Recogniser) -> None:
    assert ears.pronunciations("zhong1") == (("zh", "ong"),)
    assert ears.pronunciations("AAan4") == (("AA", "an"),)
    assert ears.pronunciations("hello") == ears.pronunciations("zhong") == ()
    for item in items("mandarin"):
        assert all(len(ears.pronunciations(word)) == 1 for word in item.words)


@pytest.mark.parametrize("length", [0, 1, HOP, 2 * HOP, 3 * HOP + 1, 2 * RATE])
@pytest.mark.parametrize("level", [0.0, 1e-6, 0.05])
def test_silence_and_noise_of_any_length_are_not_speech(ears: Recogniser, length: int, level: float) -> None:
    wave = (level * np.random.default_rng(1).normal(0, 1, length)).astype(np.float32)
    assert len(ears.words(wave, "mandarin")) <= 1
    assert ears.durations(wave, ("hao3",)) is None


def test_a_long_sound_is_heard_to_its_end(ears: Recogniser) -> None:
    one = np.concatenate([clip("alex.ogg"), np.zeros(RATE // 2, np.float32)])
    words = ears.words(one, "mandarin")
    many = ears.words(np.tile(one, 40), "mandarin")
    assert len(many) == pytest.approx(40 * len(words), rel=0.05)


def test_english_and_a_tone_do_no_harm(ears: Recogniser) -> None:
    wave, rate = speak("Peter bought two small chairs.", voice="slt")
    assert rate == RATE
    assert all(ears.pronunciations(word) for word in ears.words(wave, "mandarin"))
    ears.words(np.sin(np.arange(RATE) * 0.1).astype(np.float32), "mandarin")


def test_the_best_path_holds_syllables_only() -> None:
    tokens = token(None, sounds()[1][-1], 5) + 1
    shown = [token("h"), token("h"), 0, token(None, "ao", 3), token(None, "ao", 3), token("AA"), token(None, "an", 4)]
    scores = np.full((len(shown), tokens), -9.0)
    scores[np.arange(len(shown)), shown] = -0.1
    assert best_syllables(scores) == [("h", "ao", 3), ("AA", "an", 4)]
    # "f" has no final "iang", however clear both are; and a final needs an initial.
    scores = np.full((3, tokens), -9.0)
    scores[[0, 1, 2], [0, token("f"), token(None, "iang", 2)]] = -0.1
    ((initial, final, _),) = best_syllables(scores)
    assert (initial, final) in pairs()
    assert best_syllables(np.log(np.eye(1, tokens) + 1e-9).repeat(5, axis=0)) == []
    assert best_syllables(np.zeros((0, tokens))) == []


def test_pitch_is_found_an_octave_up_and_a_glide_as_wide_as_it_is() -> None:
    times = np.arange(RATE) / RATE
    for low in (80.0, 110.0, 200.0):
        phase = np.cumsum(low * 2.0**times) * 2 * np.pi / RATE
        wave = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
        contour = seen(np.asarray(wave, np.float32))[BANDS, 10:-10] * UNIT / np.log(2.0)
        assert np.polyfit(np.arange(len(contour)) / 100, contour, 1)[0] == pytest.approx(1.0, abs=0.05)


def test_what_the_network_gets_does_not_depend_on_loudness() -> None:
    wave = clip("annie.ogg")
    mels = [normalised(seen(loudness * wave))[:BANDS] for loudness in (1.0, 0.1)]
    assert np.abs(mels[0] - mels[1]).max() < 0.01
    assert normalised(seen(np.zeros(100, np.float32))).shape == (BANDS + 3, 0)
    assert np.isfinite(normalised(seen(np.zeros(1000, np.float32)))).all()


def test_weights_come_back_as_they_were_saved_and_others_are_refused() -> None:
    torch.manual_seed(1)
    data = save(Ears().eval())
    assert len(data) < 1_600_000
    again = load(data)
    assert save(again.model) == data
    assert again.name != recogniser("zh").name
    tensors = safetensors.torch.load(data)
    name = next(iter(tensors))
    for spoilt in (
        {key: value for key, value in tensors.items() if key != name},
        tensors | {name: tensors[name][:1].clone()},
        tensors | {name: torch.full_like(tensors[name], float("nan"))},
    ):
        with pytest.raises(EngineError, match="bad_weights"):
            load(safetensors.torch.save(spoilt))
    with pytest.raises(EngineError, match="bad_weights"):
        load(b"no safetensors at all")


def test_the_shipped_weights_are_read_once() -> None:
    assert recogniser("zh") is ears_module.mandarin_ears()
