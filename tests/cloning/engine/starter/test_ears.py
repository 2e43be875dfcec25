"""Of several readings of a text, the starter says the one that its own ears understand best."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cloning.engine import bases
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import tiny
from cloning.engine.pieces import ReadyVoice
from cloning.engine.reference import Reference
from cloning.engine.semantic.sampling import Decoded
from cloning.engine.starter import ears
from cloning.engine.synthesis import ATTEMPTS, SpeechRequest, fragments, ranked, synthesise, whole_speaker
from cloning.engine.text.classes import classes_of
from cloning.engine.text.symbols import table
from cloning.engine.training.base import starter_base
from cloning.engine.voicefile import Voice
from demo.starter import judge
from tests.cloning.engine.test_synthesis import loud_voice

TEXT = "Every autumn he sends us honey from the old mill."


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.set_num_threads(1)
    nothing = torch.empty(0, dtype=torch.long)
    config = bases._starter().config
    style = torch.full((1, config.acoustic.style, 1), 0.1)
    return dataclasses.replace(bases._starter(), reference=Reference(nothing, nothing, style))


def test_marks_alone_are_no_reading_of_anything() -> None:
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
        wrong = [judge.errors(classes_of(ids), judge.heard_in_codes(encoder, codebook, one.codes)) for one in readings]
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


def test_a_voice_of_an_earlier_base_that_speaks_these_codes_is_judged(voice: Voice) -> None:
    """Bases before this one were not told which phone a frame says; their voices' files are still there."""
    acoustic = dataclasses.replace(voice.config.acoustic, phone_classes=0, phone_width=0)
    earlier = dataclasses.replace(voice.config, acoustic=acoustic)
    model = AcousticModel(earlier.acoustic, earlier.audio)
    model.quantizer.set_entries(starter_base().codebook.float())
    assert ears.known_to(earlier, model) is ears.shipped_ears()
