"""Losses of S2. All of them are computed in float32, whatever precision the model ran in.

LSGAN (Mao et al. 2017), feature matching (Larsen et al. 2016), KL between posterior sample and prior (Kim et al. 2021,
VITS), log-mel L1 (HiFi-GAN), multi-resolution STFT (Yamamoto et al. 2020) for training without critics, and what a
frozen content encoder hears (a deep feature loss, Johnson et al. 2016). Waves B x 1 x N.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cloning.engine.acoustic.discriminators import Judgement
from cloning.engine.acoustic.excitation import periodicity_loss
from cloning.engine.acoustic.generator import TrainingPass
from cloning.engine.config import AudioConfig
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear, log_mel, magnitude, mel_filters

#: Weights of the official recipe.
MEL_WEIGHT = 45.0
KL_WEIGHT = 1.0
FEATURE_WEIGHT = 2.0
#: Of `excitation.loss`: ours, official models have no pitch head.
PITCH_WEIGHT = 2.0
#: Of `envelope_loss`, likewise.
ENVELOPE_WEIGHT = 40.0
#: FFT sizes of the multi-resolution loss; each hop is a quarter.
RESOLUTIONS = (256, 512, 1024, 2048)
#: The ear's view of `envelope_loss`, as recognisers have it: windows of 32 ms every 10 ms, and few broad bands in Hz.
ENVELOPE_SECONDS, ENVELOPE_HOP_SECONDS = 0.032, 0.010
ENVELOPE_BANDS, ENVELOPE_RANGE = 28, (100.0, 7000.0)
#: Power below which bands do not differ: about 50 dB under a vowel.
ENVELOPE_FLOOR = 1e-3


def discriminator_loss(real: Judgement, fake: Judgement) -> Tensor:
    """Critics: real towards 1, fake towards 0, summed over the critics."""
    terms = [
        (1 - r.float()).square().mean() + f.float().square().mean()
        for r, f in zip(real.scores, fake.scores, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(fake: Judgement) -> Tensor:
    """Generator: its waves should be scored 1."""
    return torch.stack([(1 - f.float()).square().mean() for f in fake.scores]).sum()


def feature_loss(real: Judgement, fake: Judgement) -> Tensor:
    """L1 between the critics' activations (the real side gets no gradient). Unweighted: FEATURE_WEIGHT is the
    caller's."""
    terms = [
        (r.detach().float() - f.float()).abs().mean()
        for theirs, ours in zip(real.features, fake.features, strict=True)
        for r, f in zip(theirs, ours, strict=True)
    ]
    return torch.stack(terms).sum()


def kl_loss(out: TrainingPass) -> Tensor:
    """log q(z) - log p(z) of the drawn latent, summed over channels, a mean over real frames."""
    difference = out.z_prior.float() - out.prior_mean.float()
    kl = out.prior_log.float() - out.posterior_log.float() - 0.5
    kl = kl + 0.5 * difference.square() * torch.exp(-2 * out.prior_log.float())
    return (kl * out.mask).sum() / out.mask.sum()


def source_loss(out: TrainingPass, fake: Tensor, real: Tensor, audio: AudioConfig, periodicity: float) -> Tensor:
    """What a model with a source is asked beside the rest: to tell the pitch, to follow the one it is given (weight
    `periodicity`), and the envelope."""
    told = PITCH_WEIGHT * out.pitch_loss.mean() + periodicity * periodicity_loss(fake, real, audio)
    return told + ENVELOPE_WEIGHT * envelope_loss(fake, real, audio)


def mel_loss(fake: Tensor, real: Tensor, audio: AudioConfig) -> Tensor:
    """Mean absolute difference of log-mels, with the frames of `audio`."""
    with torch.autocast(fake.device.type, enabled=False):
        ours, theirs = (log_mel(linear(wave[:, 0], audio), audio) for wave in (fake, real))
        return (ours - theirs).abs().mean()


def envelope_loss(fake: Tensor, real: Tensor, audio: AudioConfig) -> Tensor:
    """Mean absolute difference of log powers in a few broad bands, in nats: formants and noises without the harmonics.

    It is what words are told by. The finer distances spend themselves on harmonics and on noise nobody can predict.
    """
    size, hop = round(ENVELOPE_SECONDS * audio.sample_rate), round(ENVELOPE_HOP_SECONDS * audio.sample_rate)
    with torch.autocast(fake.device.type, enabled=False):
        filters = mel_filters(audio.sample_rate, size, ENVELOPE_BANDS, *ENVELOPE_RANGE).to(fake.device)
        filters = filters / filters.sum(1, keepdim=True)
        ours, theirs = (
            (filters @ magnitude(wave[:, 0], n_fft=size, win=size, hop=hop).square() + ENVELOPE_FLOOR).log()
            for wave in (fake, real)
        )
        return (ours - theirs).abs().mean()


def listening_loss(listener: ContentEncoder, fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of content frames of waves at the encoder's rate; only `fake` gets a gradient.

    It asks for intelligible speech where spectral distances ask for a mean.
    """
    with torch.autocast(fake.device.type, enabled=False):
        with torch.no_grad():
            theirs = listener(real[:, 0])
        return (listener(fake[:, 0]) - theirs).abs().mean()


def multi_resolution_loss(fake: Tensor, real: Tensor, resolutions: Sequence[int] = RESOLUTIONS) -> Tensor:
    """Mean over resolutions of log-magnitude L1 plus spectral convergence. N must exceed half the largest
    resolution."""
    terms = []
    with torch.autocast(fake.device.type, enabled=False):
        for size in resolutions:
            ours = magnitude(fake[:, 0], n_fft=size, win=size, hop=size // 4)
            theirs = magnitude(real[:, 0], n_fft=size, win=size, hop=size // 4)
            logarithmic = (ours.log() - theirs.log()).abs().mean()
            convergence = torch.linalg.vector_norm(theirs - ours) / torch.linalg.vector_norm(theirs).clamp(min=1e-6)
            terms.append(logarithmic + convergence)
    return torch.stack(terms).mean()
