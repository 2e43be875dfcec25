import dataclasses

import numpy as np
import pytest
import torch

from cloning.engine.features.spectrogram import linear
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.doubts import agreement, disagreeing, fit, two_speakers
from cloning.engine.training.prepare import Material, Recording, prepare
from tests.cloning.engine.training.conftest import TEXTS


def heard(recordings: list[Recording], base: Base) -> Material:
    return prepare(recordings, language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook)


def test_the_best_path_takes_phones_in_order_with_pauses_between() -> None:
    frames = np.full((6, 3), np.log(0.1))
    for row, phone in enumerate([0, 1, 1, 0, 2, 2]):
        frames[row, phone] = np.log(0.8)
    assert fit(frames, [1, 2]) == pytest.approx(np.log(0.8))
    assert fit(frames, [2, 1]) < np.log(0.3)
    assert fit(frames[1:3], [1]) == pytest.approx(np.log(0.8))


def test_a_transcript_of_something_else_is_left_out(recordings: list[Recording]) -> None:
    base = starter_base()
    plain = heard(recordings, base)
    assert len(plain.items) == 5
    assert plain.notes == ()
    spare = dataclasses.replace(recordings[0], transcript="Every winter the river freezes near the mill.")
    mixed = heard([*recordings, spare], base)
    assert len(mixed.items) == 5
    assert mixed.notes == ("transcripts_left_out",)
    assert mixed.dropped_seconds > 1.5


def test_a_set_of_wrong_transcripts_is_told(recordings: list[Recording]) -> None:
    turned = [dataclasses.replace(r, transcript=t) for r, t in zip(recordings, TEXTS[1:] + TEXTS[:1], strict=True)]
    material = heard(turned, starter_base())
    assert material.notes == ("transcripts_unconfirmed",)
    assert len(material.items) == 5


def test_an_encoder_that_understands_nothing_condemns_nobody(recordings: list[Recording], base: Base) -> None:
    material = heard(recordings, base)
    assert material.notes == ("transcripts_unconfirmed",)
    assert disagreeing(material.items[:2], base.build_content(), base.config) == ([], True)
    assert abs(agreement(material.items[0], base.build_content(), base.config)) < 1


def test_a_woman_and_a_man_are_two_speakers() -> None:
    from demo.flite.speaker import speak

    model = starter_base().build_acoustic(0).eval()

    @torch.inference_mode()
    def style(voice: str, text: str) -> np.ndarray:
        spec = linear(torch.from_numpy(speak(text, voice=voice)[0])[None], model.audio)
        return model.reference_style([spec])[0, :, 0].numpy()

    woman = [style("slt", text) for text in (*TEXTS, "Every winter the river freezes near the mill.")]
    man = [style("rms", text) for text in TEXTS[:3]]
    assert two_speakers(np.stack([*woman[:4], *man]))
    assert not two_speakers(np.stack(woman))


def test_groups_must_be_large_compact_and_far_apart() -> None:
    rng = np.random.default_rng(0)
    first = np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.05, (8, 4))
    second = np.array([0, 1.0, 0, 0]) + rng.normal(0, 0.05, (8, 4))
    both = np.concatenate([first, second])
    assert two_speakers(both)
    assert two_speakers(np.concatenate([both] * 8))
    assert not two_speakers(first)
    assert not two_speakers(np.concatenate([first, second[:1]]))
    assert not two_speakers(np.concatenate([first[:2], second[:3]]))
    assert not two_speakers(np.ones((8, 4)))
    assert not two_speakers(rng.normal(0, 1, (20, 4)))
