"""Decoding in pieces: sizes, overlaps, noise, and what stays equal to decoding at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cloning.engine.acoustic.fast import prepare
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.streaming import LEAST_PIECE_CODES, Piece, StreamingDecoder, fade, streamed_hidden
from cloning.engine.config import tiny

CONFIG = tiny()
HOP, SPAN = CONFIG.audio.hop, CONFIG.acoustic.frames_per_code
PHONES = torch.arange(9)[None]
CODES = torch.arange(40)[None]
STYLE = torch.linspace(-1, 1, 16).view(1, 16, 1)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return prepare(AcousticModel(CONFIG.acoustic, CONFIG.audio, posterior=False))


def feed(decoder: StreamingDecoder, *borders: int) -> list[Piece]:
    return [decoder.feed(CODES[:, start:stop]) for start, stop in zip((0, *borders[:-1]), borders, strict=True)]


def test_one_piece_is_the_whole_decode(model: AcousticModel) -> None:
    piece = StreamingDecoder(model, PHONES, STYLE, generator=random(1)).feed(CODES)
    torch.testing.assert_close(piece.wave, model.decode(CODES, PHONES, STYLE, generator=random(1)))
    assert (piece.overlap, piece.overlap_samples) == (0, 0)


def test_later_pieces_carry_their_overlap_in_front(model: AcousticModel) -> None:
    pieces = feed(StreamingDecoder(model, PHONES, STYLE, noise_scale=0.0), 12, 25, 28, 40)
    assert [piece.overlap for piece in pieces] == [0, 2, 2 + LEAST_PIECE_CODES - 3, 2]
    for piece, new in zip(pieces, (12, 13, 3, 12), strict=True):
        assert piece.wave.shape == (1, 1, (new + piece.overlap) * SPAN * HOP)
        assert piece.overlap_samples == piece.overlap * SPAN * HOP
        assert piece.latent.shape[2] == (new + piece.overlap) * SPAN
    fresh = sum(piece.wave.shape[2] - piece.overlap_samples for piece in pieces)
    assert fresh == CODES.shape[1] * SPAN * HOP


def test_an_overlap_is_never_longer_than_the_piece_before(model: AcousticModel) -> None:
    pieces = feed(StreamingDecoder(model, PHONES, STYLE, noise_scale=0.0), 1, 2, 3)
    assert [piece.overlap for piece in pieces] == [0, 1, 2]


def test_new_frames_are_those_of_encoding_everything_so_far(model: AcousticModel) -> None:
    first, second = feed(StreamingDecoder(model, PHONES, STYLE, noise_scale=0.0), 12, 25)
    with torch.inference_mode():
        whole, _ = model.prior_hidden(CODES[:, :25], PHONES, STYLE)
    torch.testing.assert_close(second.latent[:, :, 4:], whole[:, :, -26:])
    # The overlap begins as the earlier piece's frames.
    torch.testing.assert_close(second.latent[:, :, :1], first.latent[:, :, -4:-3])


def test_the_frames_of_an_overlap_keep_their_noise(model: AcousticModel) -> None:
    def overlap_noise(compat: bool) -> tuple[Tensor, Tensor]:
        decoder = StreamingDecoder(model, PHONES, STYLE, generator=random(3), compat=compat)
        decoder.feed(CODES[:, :12])
        before = decoder._noise
        decoder.feed(CODES[:, 12:25])
        assert before is not None
        assert decoder._noise is not None
        return before[:, :, -4:], decoder._noise[:, :, :4]

    kept = overlap_noise(False)
    assert torch.equal(kept[0], kept[1])
    drawn = overlap_noise(True)
    assert not torch.equal(drawn[0], drawn[1])


def test_the_same_seed_gives_the_same_pieces(model: AcousticModel) -> None:
    one, two = (feed(StreamingDecoder(model, PHONES, STYLE, generator=random(3)), 12, 40) for _ in range(2))
    assert all(torch.equal(a.wave, b.wave) for a, b in zip(one, two, strict=True))


def test_speed_shortens_every_piece(model: AcousticModel) -> None:
    pieces = feed(StreamingDecoder(model, PHONES, STYLE, generator=random(3), speed=1.3), 12, 25)
    for piece, frames in zip(pieces, (24, 30), strict=True):
        assert piece.wave.shape[2] == (int(frames / 1.3) + 1) * HOP
        assert piece.latent.shape[2] == frames


def test_fading_between_equal_frames_changes_nothing_unless_the_official_weights_are_asked_for() -> None:
    ones = torch.ones(1, 2, 8)
    torch.testing.assert_close(fade(ones, ones), ones)
    assert fade(ones, ones, compat=True).max().item() == pytest.approx(math.sqrt(2), abs=0.02)
    earlier, new = torch.zeros(1, 1, 8), torch.ones(1, 1, 8)
    for compat in (False, True):
        mixed = fade(earlier, new, compat=compat)[0, 0]
        assert mixed[0] == 0
        assert (mixed.diff() > 0).all()


def test_what_does_not_fit_is_refused(model: AcousticModel) -> None:
    with pytest.raises(ValueError, match="generator"):
        StreamingDecoder(model, PHONES, STYLE)
    with pytest.raises(ValueError, match="out of range"):
        StreamingDecoder(model, PHONES, STYLE, speed=3.0, noise_scale=0.0)
    with pytest.raises(ValueError, match="overlap"):
        StreamingDecoder(model, PHONES, STYLE, overlap=0, noise_scale=0.0)
    decoder = StreamingDecoder(model, PHONES, STYLE, noise_scale=0.0)
    for codes in (CODES[:, :0], CODES[0], CODES.expand(2, -1)):
        with pytest.raises(ValueError, match="1 x T"):
            decoder.feed(codes)
    with pytest.raises(ValueError, match="frames"):
        streamed_hidden(model, CODES, PHONES, STYLE, frames=81)
    with pytest.raises(ValueError, match="overlap"):
        streamed_hidden(model, CODES, PHONES, STYLE, frames=2, earlier=torch.zeros(1, 16, 4))
