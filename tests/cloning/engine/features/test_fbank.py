import pytest
import torch
from torchaudio.compliance import kaldi

from cloning.engine.features.fbank import fbank
from tests.cloning.engine.official import arrays, needs_fixtures


@pytest.mark.parametrize("samples", [400, 559, 560, 16_000])
@pytest.mark.parametrize("bands", [23, 80])
def test_equals_kaldi(samples: int, bands: int) -> None:
    waves = torch.randn(2, samples, generator=torch.Generator().manual_seed(samples)) * torch.tensor([[0.01], [1.0]])
    expected = [kaldi.fbank(wave[None], num_mel_bins=bands, sample_frequency=16_000, dither=0.0) for wave in waves]
    assert torch.allclose(fbank(waves, bands=bands), torch.stack(expected), atol=1e-5)


def test_silence_is_the_floor() -> None:
    assert fbank(torch.full((1, 800), 0.25)).unique().tolist() == [pytest.approx(-15.942385)]


@pytest.mark.parametrize("shape", [(1, 399), (800,), (1, 1, 800)])
def test_what_is_not_a_row_of_waves_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        fbank(torch.zeros(shape))


@needs_fixtures
def test_equals_the_official_fixture() -> None:
    official = arrays("sv.npz")
    assert torch.allclose(fbank(official["wav16k"]), official["fbank"], atol=1e-4)
