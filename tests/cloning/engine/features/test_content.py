import torch

from cloning.engine.config import starter, tiny
from cloning.engine.features.content import ContentEncoder, nearest_codes, pair


def test_one_frame_every_twenty_milliseconds() -> None:
    encoder = ContentEncoder(tiny().content).eval()
    for samples in (6400, 6401, 6719, 6720):
        assert encoder(torch.randn(2, samples)).shape == (2, samples // 320, 16)


def test_features_do_not_depend_on_loudness() -> None:
    encoder = ContentEncoder(tiny().content).eval()
    wave = torch.randn(1, 9600) * 0.3
    assert torch.allclose(encoder(wave), encoder(wave * 0.5), atol=0.02)


def test_the_starter_encoder_has_the_documented_size() -> None:
    count = sum(p.numel() for p in ContentEncoder(starter().content).parameters())
    assert 2_700_000 < count < 2_900_000


def test_pairs_are_laid_end_to_end_and_an_odd_frame_dropped() -> None:
    frames = torch.arange(10.0).reshape(1, 5, 2)
    assert pair(frames, 2).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]


def test_nearest_code_is_the_nearest() -> None:
    book = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    assert nearest_codes(torch.tensor([[0.9, 0.1], [0.1, 2.0], [0.2, 0.2]]), book).tolist() == [1, 2, 0]
