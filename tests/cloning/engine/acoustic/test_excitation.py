"""The vocoder's source: a pitch that is measured, told, carried and heard again, and cut anywhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic import excitation
from cloning.engine.acoustic.excitation import CARRIED, Pitch, carry, drive, measure, periodicity_loss, place
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import starter
from cloning.engine.features.spectrogram import linear

AUDIO = starter().audio
HOP = AUDIO.hop


def tone(hertz: float, frames: int = 30) -> Tensor:
    """1 x N: pulses through one resonance, as voices are."""
    time = torch.arange(frames * HOP) / AUDIO.sample_rate
    harmonics = range(1, int(4000 / hertz))
    return sum((torch.cos(2 * math.pi * k * hertz * time) / k for k in harmonics), torch.zeros_like(time))[None] * 0.1


def still(hertz: float, frames: int, voiced: float = 1.0) -> Pitch:
    return Pitch(torch.full((1, frames), hertz * HOP / AUDIO.sample_rate), torch.full((1, frames), voiced))


@pytest.mark.parametrize("hertz", [70.0, 111.3, 240.0, 410.0])
def test_a_tone_s_pitch_is_measured_within_half_a_percent(hertz: float) -> None:
    found = measure(linear(tone(hertz), AUDIO), AUDIO)
    assert bool((found.voiced[:, 2:-2] == 1).all())
    assert torch.allclose(found.cycles[:, 2:-2] * AUDIO.sample_rate / HOP, torch.tensor(hertz), rtol=5e-3)


def test_noise_and_silence_have_no_pitch_and_a_gap_keeps_its_neighbour_s() -> None:
    noise = 0.1 * torch.randn(1, 30 * HOP, generator=torch.Generator().manual_seed(1))
    assert measure(linear(noise, AUDIO), AUDIO).voiced.mean() < 0.1
    empty = measure(linear(torch.zeros(1, 10 * HOP), AUDIO), AUDIO)
    assert empty.voiced.sum() == 0
    assert torch.isfinite(empty.cycles).all()
    gap = torch.cat((tone(120.0), torch.zeros(1, 30 * HOP), tone(200.0)), 1)
    found = measure(linear(gap, AUDIO), AUDIO)
    assert found.voiced[0, 40:50].sum() == 0
    assert torch.allclose(found.cycles[0, 40:50] * AUDIO.sample_rate / HOP, torch.tensor(120.0), rtol=0.02)


@given(hertz=st.floats(75, 420))
def test_what_is_driven_at_a_pitch_is_measured_at_it(hertz: float) -> None:
    latent = carry(torch.zeros(1, 2, 24), still(hertz, 24))
    # Dulled as voices are: between two samples a pulse of all harmonics correlates better with its second successor.
    pulses = F.avg_pool1d(drive(latent[:, 2:], HOP)[:, 0], 9, 1, 4)
    found = measure(linear(pulses, AUDIO), AUDIO)
    assert torch.allclose(found.cycles[0, 3:-3] * AUDIO.sample_rate / HOP, torch.tensor(hertz), rtol=5e-3)


def test_pulses_have_nothing_above_their_highest_harmonic_and_unvoiced_frames_none_at_all() -> None:
    source = drive(carry(torch.zeros(1, 2, 24), still(210.0, 24))[:, 2:], HOP)
    spectrum = linear(source[:, 0], AUDIO)[0, :, 4:-4].mean(1)
    top = round(excitation.TOP * AUDIO.n_fft)
    assert spectrum[top + 4 :].max() < 0.02 * spectrum.max()
    silent = drive(carry(torch.zeros(1, 2, 24), still(210.0, 24, voiced=0.0))[:, 2:], HOP)
    assert silent[:, 0].abs().max() == 0
    assert silent[:, 1].std() > 0.1


@given(begin=st.integers(1, 70), length=st.integers(3, 20), seed=st.integers(0, 99))
def test_a_stretch_is_what_it_is_in_the_whole(begin: int, length: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    pitch = Pitch(1.5 + 4 * torch.rand(1, 100, generator=draw), (torch.rand(1, 100, generator=draw) > 0.3).float())
    carried = carry(torch.zeros(1, 2, 100), pitch)[:, 2:]
    whole = drive(carried, HOP)
    part = drive(carried[:, :, begin : begin + length], HOP)
    inner = slice(HOP, (length - 1) * HOP + HOP // 2)
    apart = (part[..., inner] - whole[..., begin * HOP :][..., inner]).abs()
    # Rounding may count a harmonic more in a sample: pulses are six high.
    assert (apart > 2e-2).float().mean() < 0.01


def test_a_piece_goes_on_where_the_one_before_it_was() -> None:
    pitch = still(133.0, 40)
    whole = carry(torch.zeros(1, 2, 40), pitch)
    phase, number = place(whole, 25)
    again = carry(torch.zeros(1, 2, 15), still(133.0, 15), phase=phase, number=number)
    torch.testing.assert_close(again[:, 2:], whole[:, 2:, 25:], atol=1e-4, rtol=0)


def test_frames_are_numbered_around_the_table() -> None:
    carried = carry(torch.zeros(1, 2, 70), still(100.0, 70), number=excitation.TABLE - 1)
    assert carried[0, -1, :3].tolist() == [excitation.TABLE - 1, 0, 1]
    assert carried.shape == (1, 2 + CARRIED, 70)


def test_a_hum_at_the_frame_rate_is_further_from_a_voice_than_another_voicing_of_it() -> None:
    voice, hum = tone(131.0)[:, None], tone(50.0)[:, None]
    louder = 2.5 * tone(131.0)[:, None]
    assert periodicity_loss(louder, voice, AUDIO) < 0.01
    assert periodicity_loss(hum, voice, AUDIO) > 0.1
    fake = hum.clone().requires_grad_(True)
    periodicity_loss(fake, voice, AUDIO).backward()
    assert fake.grad is not None
    assert torch.isfinite(fake.grad).all()
    assert torch.isfinite(periodicity_loss(torch.zeros_like(hum), torch.zeros_like(hum), AUDIO))


def test_the_head_s_loss_is_least_for_the_truth_and_what_it_says_is_bounded() -> None:
    truth = Pitch(torch.full((1, 8), 4.0), torch.tensor([[1.0] * 6 + [0.0] * 2]))
    mask = torch.ones(1, 1, 8)
    right = torch.stack((torch.full((8,), math.log(4 * AUDIO.sample_rate / HOP / 150)), 20 * truth.voiced[0] - 10))[
        None
    ]
    assert excitation.loss(right, truth, mask, AUDIO) < 1e-3
    for wrong in (right + torch.tensor([0.3, 0.0])[None, :, None], right * torch.tensor([1.0, -1.0])[None, :, None]):
        assert excitation.loss(wrong, truth, mask, AUDIO) > 0.1
    told = excitation.told(torch.full((1, 2, 4), 99.0), AUDIO)
    assert torch.allclose(told.cycles * AUDIO.sample_rate / HOP, torch.tensor(excitation.HIGHEST))


def test_a_voice_with_a_source_sings_the_pitch_it_is_told() -> None:
    """Untrained, but for the ways of the source to the sound: what comes out has the pitch that was carried in."""
    config = starter()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = AcousticModel(config.acoustic, config.audio, posterior=False).eval()
    assert model.dec.source is not None
    with torch.inference_mode():
        latent = carry(torch.zeros(1, config.acoustic.latent, 30), still(180.0, 30))
        wave = model.dec(latent, torch.zeros(1, config.acoustic.style, 1))
        found = measure(linear(wave[:, 0], AUDIO), AUDIO)
    assert torch.allclose(found.cycles[0, 5:-5].median() * AUDIO.sample_rate / HOP, torch.tensor(180.0), rtol=0.02)
