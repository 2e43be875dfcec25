import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.config import official, starter
from cloning.engine.features import audio as sound
from cloning.engine.features.spectrogram import (
    V3_MEL,
    V4_MEL,
    from_unit,
    linear,
    log_mel,
    magnitude,
    mel_filters,
    to_unit,
)

FIXTURES = Path(__file__).parents[5] / "shared" / "fixtures" / "gpt_sovits"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not here")


def test_a_tone_lands_in_its_bin_with_its_amplitude() -> None:
    audio = starter().audio
    time = torch.arange(16000) / 16000
    spectrum = linear(0.5 * torch.sin(2 * torch.pi * 1000 * time)[None], audio)
    assert spectrum.shape == (1, 513, 50)
    middle = spectrum[0, :, 25]
    assert int(middle.argmax()) == 64
    # A sine of amplitude a gives a * sum(window) / 2.
    assert float(middle.max()) == pytest.approx(0.5 * 1024 / 2 / 2, rel=1e-3)


@pytest.mark.parametrize("samples", [3200, 3201, 3519, 16000])
def test_frames_are_samples_over_hop(samples: int) -> None:
    assert linear(torch.zeros(2, samples), starter().audio).shape == (2, 513, samples // 320)


def test_mel_filters_cover_every_band_with_equal_area() -> None:
    filters = mel_filters(16000, 1024, 80, 0.0, 8000.0)
    areas = filters.sum(1) * 16000 / 1024
    assert filters.min() >= 0
    assert torch.allclose(areas[20:], torch.ones(60), atol=0.05)


def test_spectra_first_made_in_inference_still_serve_training() -> None:
    mel_filters.cache_clear()
    audio = starter().audio
    with torch.inference_mode():
        log_mel(linear(torch.randn(1, 3200), audio), audio)
    wave = torch.randn(1, 3200, requires_grad=True)
    log_mel(linear(wave, audio), audio).sum().backward()
    assert wave.grad is not None


def test_silence_has_a_finite_gradient() -> None:
    wave = torch.zeros(1, 3200, requires_grad=True)
    magnitude(wave, n_fft=512, win=512, hop=128).log().sum().backward()
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()


@needs_fixtures
def test_equals_the_official_spectrogram_and_mel() -> None:
    with np.load(FIXTURES / "mel.npz", allow_pickle=False) as z:
        audio = official("v2").audio
        spectrum = linear(torch.tensor(z["wav32k"]), audio)
        assert np.allclose(spectrum[..., :6].numpy(), z["spec_head"], atol=1e-4, rtol=1e-5)
        assert np.allclose(log_mel(spectrum, audio).numpy(), z["mel128"], atol=1e-4, rtol=1e-5)


@needs_fixtures
def test_slicer_equals_the_official_one() -> None:
    data = json.loads((FIXTURES / "slicer.json").read_text())
    random = np.random.RandomState(2006)
    parts = []
    for seconds, loudness in data["durs"]:
        count = int(seconds * 32000)
        parts.append((random.standard_normal(count) * loudness + random.standard_normal(count) * 0.0005).astype("f4"))
    wave = np.concatenate(parts)
    for case in data["cases"].values():
        a = case["args"]
        settings = sound.SlicerSettings(
            a["threshold"], a["min_length"], a["min_interval"], a["hop_size"], a["max_sil_kept"]
        )
        assert sound.slices(wave, 32000, settings) == [(start, end) for start, end, _ in case["chunks"]]


@needs_fixtures
def test_equals_the_official_mels_of_v3_and_v4() -> None:
    with np.load(FIXTURES / "mel.npz", allow_pickle=False) as z:
        third = torch.tensor(z["wav24k"])
        fourth = torch.tensor(z["wav32k"])
        assert np.allclose(log_mel(linear(third, V3_MEL), V3_MEL).numpy(), z["mel_v3"], atol=1e-4, rtol=1e-5)
        mel = log_mel(linear(fourth, V4_MEL), V4_MEL)
        assert np.allclose(mel.numpy(), z["mel_v4"], atol=1e-4, rtol=1e-5)
        assert np.allclose(to_unit(mel).numpy(), z["mel_v4_normed"], atol=1e-4, rtol=1e-5)


def test_unit_range_and_back() -> None:
    mels = torch.tensor([-12.0, -5.0, 2.0])
    assert to_unit(mels).tolist() == [-1.0, 0.0, 1.0]
    assert torch.equal(from_unit(to_unit(mels)), mels)
