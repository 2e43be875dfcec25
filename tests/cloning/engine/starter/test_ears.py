"""Of several readings of a text, the starter says the one that its own ears understand best."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine import bases
from cloning.engine.config import tiny
from cloning.engine.pieces import ReadyVoice
from cloning.engine.reference import Reference
from cloning.engine.semantic.sampling import Decoded
from cloning.engine.starter import ears
from cloning.engine.starter.corpus import PHONE_INDEX, PHONES
from cloning.engine.starter.ears import LEAST, PAUSE, fit, wanted
from cloning.engine.synthesis import ATTEMPTS, SpeechRequest, fragments, ranked, synthesise, whole_speaker
from cloning.engine.text import to_phones
from cloning.engine.text.symbols import table
from cloning.engine.training.base import starter_base
from cloning.engine.voicefile import Voice
from demo.starter import judge
from tests.cloning.engine.test_synthesis import loud_voice

TEXT = "Every autumn he sends us honey from the old mill."


def frames(said: str, each: int = 3) -> np.ndarray:
    """Log probabilities of frames that surely say these phones, `each` frames a phone."""
    rows = np.full((each * len(said.split()), len(PHONES)), LEAST, np.float32)
    for place, phone in enumerate(np.repeat(said.split(), each)):
        rows[place, PHONE_INDEX[phone]] = 0.0
    return rows


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.set_num_threads(1)
    nothing = torch.empty(0, dtype=torch.long)
    config = bases._starter().config
    style = torch.full((1, config.acoustic.style, 1), 0.1)
    return dataclasses.replace(bases._starter(), reference=Reference(nothing, nothing, style))


def test_what_is_skipped_repeated_or_made_up_is_heard() -> None:
    phones = [PHONE_INDEX[name] for name in ["dh", "ax", "k", "ae", "t", "s", "ae", "t"]]
    assert fit(frames("dh ax k ae t s ae t"), phones) == 0.0
    # Pauses are free wherever they are.
    assert fit(frames("pau dh ax pau k ae t pau pau s ae t pau"), phones) == 0.0
    for wrong in ("dh ax k ae s ae t", "dh ax k ae t k ae t s ae t", "dh ax k ae t s ae t m ow", "dh ax g ae t s ae t"):
        assert fit(frames(wrong), phones) < -0.2
    assert fit(frames("dh ax k ae t s ae t"), [PHONE_INDEX["m"]] * 8) < fit(frames("dh ax k ae t"), phones)
    assert fit(frames("k ae", 1), phones) == -np.inf


@given(st.integers(1, 6), st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 2**31))
def test_the_fit_is_the_best_of_all_alignments(length: int, phones: list[int], seed: int) -> None:
    said = np.random.default_rng(seed).normal(size=(length, 5)).astype(np.float32)
    labels = [PAUSE, *(label for phone in phones for label in (phone, PAUSE))]
    best = -np.inf
    for path in itertools.combinations_with_replacement(range(len(labels)), length):
        if set(range(1, len(labels), 2)) <= set(path):
            best = max(best, sum(said[t, labels[state]] for t, state in enumerate(path)) / length)
    assert fit(said, phones) == pytest.approx(best, abs=1e-5)


def test_phones_of_a_text_are_those_of_the_encoder_without_stress_and_marks() -> None:
    assert [PHONES[n] for n in wanted(to_phones("Hello, cat!", "en").ids)] == ["hh", "ah", "l", "ow", "k", "ae", "t"]
    assert ears.shipped_ears().score(torch.arange(40), [table()["."]] * 3) == -np.inf


def test_the_best_complete_reading_comes_first_and_the_best_incomplete_one_last() -> None:
    whole = [Decoded(torch.arange(30 + n), True) for n in range(3)]
    cut, short = Decoded(torch.arange(40), False), Decoded(torch.arange(2), True)
    order = ranked([cut, whole[0], short, whole[1], whole[2]], [-0.1, -3.0, -0.2, -1.0, -2.0], list(range(20)))
    assert order == [whole[1], whole[2], whole[0], short, cut]
    assert len(ranked([whole[0]] * 9, [-1.0] * 9, list(range(20)))) == ATTEMPTS


def test_the_reading_that_is_said_is_better_than_most(voice: Voice) -> None:
    """By another measure than the one it is chosen by: phones told frame by frame, and their edit distance."""
    speaker = whole_speaker(voice, "cpu")
    assert speaker.ears is not None
    encoder, codebook = starter_base().build_content(), speaker.ears.codebook
    chosen, mean = 0.0, 0.0
    for seed, text in enumerate((TEXT, "The doctor said that nothing was broken.", "Would you like some more tea?")):
        # Drawn so wildly that readings do go wrong.
        request = SpeechRequest(text, seed=seed, temperature=1.3, top_k=60)
        (ids,) = fragments(request, voice.config)
        readings = list(speaker.attempts(ids, request, torch.Generator().manual_seed(seed), lambda _: None))
        scores = [speaker.ears.score(one.codes, ids) for one in readings]
        assert len(set(scores)) > 1
        assert max(scores) == scores[0]
        wrong = [judge.errors(wanted(ids), judge.heard_in_codes(encoder, codebook, one.codes)) for one in readings]
        chosen, mean = chosen + wrong[0], mean + float(np.mean(wrong))
    assert chosen < mean


def test_the_choice_is_the_same_whole_in_pieces_and_again(voice: Voice) -> None:
    shares: list[float] = []
    request = SpeechRequest(TEXT, seed=5)
    whole = synthesise(voice, request, progress=shares.append).pcm
    assert synthesise(voice, request).pcm.tobytes() == whole.tobytes()
    parts = np.concatenate([piece.pcm for piece in ReadyVoice(voice).pieces(request)])
    assert len(parts) == len(whole)
    assert np.abs(parts - whole).max() < 1e-4
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_voices_of_other_codes_are_not_judged(voice: Voice) -> None:
    assert ears.known_to(voice.config, voice.build_acoustic()) is ears.shipped_ears()
    name = next(name for name in voice.acoustic if name.endswith("_codebook.embed"))
    other = dataclasses.replace(voice, acoustic={**voice.acoustic, name: voice.acoustic[name].flip(0)})
    assert ears.known_to(other.config, other.build_acoustic()) is None
    small = loud_voice(tiny())
    assert ears.known_to(small.config, small.build_acoustic()) is None
