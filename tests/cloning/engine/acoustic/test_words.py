"""The text laid along the codes: the way is the one that was gone, whatever is missing, and never beyond its frames."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.acoustic import words
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.alignment import LEAST
from cloning.engine.config import tiny
from cloning.engine.text.classes import PAUSE, PHONES, phone_class
from cloning.engine.text.symbols import SYMBOLS, table

TABLE = table()
TEXT = [TABLE[symbol] for symbol in ("HH", "AH0", "L", "OW1", ",", "n", "i3", "h", "ao3", ".")]
CLASSES = {place: found for place, row in enumerate(TEXT) if (found := phone_class(SYMBOLS[row])) is not None}
HEARD = list(CLASSES)


def frames_of(said: list[int], sure: float = 0.9) -> np.ndarray:
    """Log probabilities of frames that say these classes, with `sure`."""
    rest = np.full((len(said), len(PHONES)), np.log((1 - sure) / (len(PHONES) - 1)), np.float32)
    rest[np.arange(len(said)), said] = np.log(sure)
    return rest


def reading(counts: list[int], pauses: list[int]) -> tuple[np.ndarray, list[int]]:
    """Frames of the text, each phone so many long, so many of pause behind it; and the place each belongs to."""
    said, places = [], []
    for place, count, pause in zip(HEARD, counts, pauses, strict=True):
        said += [CLASSES[place]] * count + [PAUSE] * pause
        places += [place] * (count + pause)
    return frames_of(said), places


@given(
    st.lists(st.integers(1, 5), min_size=len(HEARD), max_size=len(HEARD)),
    st.lists(st.integers(0, 3), min_size=len(HEARD), max_size=len(HEARD)),
    st.integers(1, 60),
)
def test_the_way_is_the_one_that_was_gone_and_a_beginning_is_a_beginning(
    counts: list[int], pauses: list[int], first: int
) -> None:
    said, places = reading(counts, pauses)
    way = words.lay(said[:first], TEXT)
    assert way is not None
    assert way.phone.tolist() == places[:first]
    shares = way.places()
    assert (shares[:, 0] > 0).all()
    assert (shares[:, 0] < 1).all()
    for place, rows in itertools.groupby(range(len(way.phone)), key=lambda frame: way.phone[frame]):
        own = shares[list(rows), 0]
        assert (np.diff(own) > 0).all(), place
    np.testing.assert_array_equal(shares[:, 2] == 1, said[: len(shares)].argmax(1) == PAUSE)


def test_one_frame_told_wrongly_does_not_lose_the_way() -> None:
    said, places = reading([4] * len(HEARD), [0] * len(HEARD))
    said[9] = frames_of([phone_class("ZH")])[0]
    way = words.lay(np.maximum(said, LEAST), TEXT)
    assert way is not None
    assert way.phone.tolist() == places


@pytest.mark.parametrize("ids", [[], [TABLE["."]], [TABLE[","], TABLE["!"]], [10_000]])
def test_a_text_of_marks_alone_has_no_way(ids: list[int]) -> None:
    assert words.lay(frames_of([PAUSE] * 4), ids) is None


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    config = tiny()
    torch.manual_seed(0)
    return AcousticModel(config.acoustic, config.audio).eval()


def test_items_of_a_batch_are_told_as_alone_and_nothing_beyond_their_frames(model: AcousticModel) -> None:
    draw = torch.Generator().manual_seed(1)
    frames = torch.randn(2, model.config.content_dim, 30, generator=draw)
    phones = torch.tensor([TEXT, [*TEXT[:4], *[0] * (len(TEXT) - 4)]])
    (both,) = model.said(frames, torch.tensor([30, 18]), phones, torch.tensor([len(TEXT), 4]))
    assert both.shape == (2, words.width(model.config), 30)
    (alone,) = model.said(frames[1:, :, :18], torch.tensor([18]), phones[1:, :4], torch.tensor([4]))
    torch.testing.assert_close(both[1:, :, :18], alone)
    assert not both[1, :, 18:].any()


def test_a_recording_without_its_text_is_told_nothing_and_sounds(model: AcousticModel) -> None:
    codes, marks = (
        torch.randint(0, 64, (1, 12), generator=torch.Generator().manual_seed(2)),
        torch.tensor([[TABLE["."]]]),
    )
    style = torch.zeros(1, model.config.style, 1)
    (said,) = model.said(model.code_frames(codes), torch.tensor([24]), marks, torch.tensor([1]))
    assert not said.any()
    assert model.decode(codes, marks, style, noise_scale=0.0).isfinite().all()


def test_the_words_move_the_pitch_that_is_told(model: AcousticModel) -> None:
    """The head hears which phones are said: another text over the same codes is another melody."""
    codes, style = torch.randint(0, 64, (1, 12), generator=torch.Generator().manual_seed(3)), torch.zeros(1, 16, 1)
    told = []
    for ids in (TEXT, [*TEXT[:-4], TABLE["h"], TABLE["ao4"], *TEXT[-2:]]):
        hidden, mask = model.prior_hidden(codes, torch.tensor([ids]), style)
        mean, deviation, mask = model.prior(hidden, mask)
        assert model.pitch is not None
        told.append(model.pitch(mean, deviation, mask, style))
    assert not torch.allclose(told[0], told[1])
