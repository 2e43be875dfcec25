"""S2 as a whole: semantic codes, phones and a voice's style to sound (a conditional VAE with a flow and a HiFi-GAN
decoder).

Structure and parameter names are those of the official v1, v2 and Pro state dicts (GPT-SoVITS, MIT), so official files
load without translation; the code is our own. Every random draw comes from the caller's `torch.Generator` or is handed
in. Shapes: B items, X phones, T codes, F = T * frames_per_code frames, N = F * hop samples, G = config.style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic import excitation
from cloning.engine.acoustic.encoders import PosteriorEncoder, PriorEncoder
from cloning.engine.acoustic.flow import Flow
from cloning.engine.acoustic.hifigan import Decoder
from cloning.engine.acoustic.layers import length_mask
from cloning.engine.acoustic.quantizer import Quantizer
from cloning.engine.acoustic.style import StyleEncoder
from cloning.engine.acoustic.words import AlignedWords
from cloning.engine.config import AcousticConfig, AudioConfig

#: Slowest and fastest speech that `decode` accepts; the official interface offers 0.6 to 1.65.
LEAST_SPEED, MOST_SPEED = 0.5, 2.0
#: Largest noise scale; 1 is the prior's full spread.
MOST_NOISE = 2.0
#: What a noise scale counts in models with a source: the starter learnt to speak from its prior's mean
#: (`training.acoustic.spoken`), and what is drawn beside it costs words.
SUNG_NOISE = 0.2


@dataclass(frozen=True, slots=True)
class TrainingPass:
    """What the losses of one training step need.

    `wave` B x 1 x (segment * hop); `starts` B, the first frame of each segment; `mask` B x 1 x F;
    the rest B x latent x F: posterior sample `z` and its image `z_prior` under the flow, means and log deviations of
    both sides; `pitch_loss` B of a model with a source (`excitation.loss`), else 0.
    """

    wave: Tensor
    starts: Tensor
    mask: Tensor
    z: Tensor
    z_prior: Tensor
    prior_mean: Tensor
    prior_log: Tensor
    posterior_mean: Tensor
    posterior_log: Tensor
    pitch_loss: Tensor


class AcousticModel(nn.Module):
    """The S2 generator. Without `posterior` it is the inference form (official files omit `enc_q`) and cannot be
    trained."""

    def __init__(self, config: AcousticConfig, audio: AudioConfig, *, posterior: bool = True) -> None:
        super().__init__()
        self.config = config
        self.audio = audio
        self.enc_p = PriorEncoder(config)
        self.dec = Decoder(config)
        self.enc_q = PosteriorEncoder(config, audio.bins) if posterior else None
        self.flow = Flow(config)
        self.words = AlignedWords(config) if config.phone_classes else None
        self.pitch = excitation.PitchHead(config) if config.pitch_hidden else None
        self.ref_enc = StyleEncoder(config, audio)
        if config.code_layout == "repeat":
            span = config.frames_per_code
            self.ssl_proj: nn.Conv1d | None = nn.Conv1d(config.content_dim, config.content_dim, span, span)
        else:
            self.ssl_proj = None
        self.quantizer = Quantizer(config.codes, config.code_dim)
        if config.speaker_dim:
            self.sv_emb = nn.Linear(config.speaker_dim, config.style)
            self.ge_to512 = nn.Linear(config.style, config.mrte_width)
            self.prelu = nn.PReLU(config.style)
        # The codebook and its projection define what a code means; voices never move them.
        if self.ssl_proj is not None:
            self.ssl_proj.requires_grad_(False)

    # -- codes ---------------------------------------------------------------------------------------------------------
    def code_vectors(self, content: Tensor) -> Tensor:
        """Content frames B x content_dim x F -> vectors to quantise, B x code_dim x T (left-over frames are
        dropped)."""
        if self.ssl_proj is not None:
            projected: Tensor = self.ssl_proj(content)
            return projected
        span = self.config.frames_per_code
        count = content.shape[2] // span
        batch, dim = content.shape[:2]
        kept = content[:, :, : count * span].reshape(batch, dim, count, span)
        return kept.permute(0, 3, 1, 2).reshape(batch, span * dim, count)

    @torch.no_grad()
    def encode_content(self, content: Tensor) -> Tensor:
        """Content frames B x content_dim x F at 50 Hz -> codes B x T int64 at 25 Hz."""
        return self.quantizer.encode(self.code_vectors(content))

    def code_frames(self, codes: Tensor) -> Tensor:
        """Codes B x T -> B x content_dim x F."""
        return self.lay_out(self.quantizer.decode(codes))

    def lay_out(self, vectors: Tensor) -> Tensor:
        """Codebook entries, one for each code, B x code_dim x T -> content frames B x content_dim x F."""
        span = self.config.frames_per_code
        if self.config.code_layout == "repeat":
            return vectors.repeat_interleave(span, dim=2)
        batch, _, count = vectors.shape
        laid_out = vectors.reshape(batch, span, -1, count).permute(0, 2, 3, 1)
        return laid_out.reshape(batch, -1, count * span)

    # -- style ---------------------------------------------------------------------------------------------------------
    def style(self, spec: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Linear magnitudes B x bins x F, mask B x 1 x F, speaker B x speaker_dim (Pro only) -> style B x G x 1."""
        vector: Tensor = self.ref_enc(spec, mask) * self.config.style_gain
        if not self.config.speaker_dim:
            return vector
        if speaker is None:
            raise ValueError("this model needs a speaker vector for every reference")
        merged: Tensor = self.prelu(vector + self.sv_emb(speaker).unsqueeze(-1))
        return merged

    def reference_style(self, specs: Sequence[Tensor], speakers: Sequence[Tensor] | None = None) -> Tensor:
        """Mean style of one or more references (each 1 x bins x F, with its own speaker vector for Pro) -> 1 x G x
        1."""
        if not specs or (speakers is not None and len(speakers) != len(specs)):
            raise ValueError("at least one reference, and one speaker vector for each")
        return torch.stack(
            [
                self.style(spec, torch.ones_like(spec[:, :1]), None if speakers is None else speakers[index])
                for index, spec in enumerate(specs)
            ]
        ).mean(0)

    def prior_style(self, style: Tensor) -> Tensor:
        """The style as the prior encoder takes it: B x mrte_width x 1."""
        if not self.config.speaker_dim:
            return style
        narrowed: Tensor = self.ge_to512(style.transpose(1, 2)).transpose(1, 2)
        return narrowed

    # -- training ------------------------------------------------------------------------------------------------------
    def forward(
        self,
        codes: Tensor,
        spec: Tensor,
        spec_lengths: Tensor,
        phones: Tensor,
        phone_lengths: Tensor,
        *,
        generator: torch.Generator | None = None,
        speaker: Tensor | None = None,
        noise: Tensor | None = None,
        starts: Tensor | None = None,
        frames: Tensor | None = None,
        style: Tensor | None = None,
        segment: int | None = None,
        spoken: Sequence[int] = (),
    ) -> TrainingPass:
        """One training pass over a right-padded batch.

        codes B x T, spec B x bins x F with F = T * frames_per_code, lengths B in frames and phones, phones B x X.
        A segment (`config.segment_frames` frames unless `segment` says otherwise) is decoded to sound for each item, at
        random from `generator` (CPU) unless `starts` B is given; `noise` B x latent x F replaces the posterior's draw.
        F must be at least one segment. The utterance is its own style reference, as in the official recipe, unless
        `style` B x G x 1 is given. `frames` B x content_dim x F stands for the codes' own (training of the codes, which
        needs a gradient). The sound of the items `spoken` is made from the prior's mean, as in use.
        """
        if self.enc_q is None:
            raise ValueError("this model was built without a posterior encoder and cannot be trained")
        frames = self.code_frames(codes) if frames is None else frames
        if frames.shape[2] != spec.shape[2]:
            raise ValueError(f"{codes.shape[1]} codes do not cover {spec.shape[2]} frames")
        mask = length_mask(spec_lengths, spec.shape[2])
        style = self.style(spec * mask, mask, speaker) if style is None else style
        _, prior_mean, prior_log, _ = self.enc_p(frames, spec_lengths, phones, phone_lengths, self.prior_style(style))
        posterior_mean, posterior_log = self.enc_q(spec, mask, style)
        if noise is None:
            noise = torch.randn(posterior_mean.shape, generator=generator).to(posterior_mean.device)
        z = (posterior_mean + noise * torch.exp(posterior_log)) * mask
        z_prior = self.flow(z, mask, style)
        segment = segment or self.config.segment_frames
        if starts is None:
            room = (spec_lengths.cpu() - segment + 1).clamp(min=1)
            starts = (torch.rand(room.shape, generator=generator) * room).long().to(spec_lengths.device)
        sounding = z
        if spoken:
            rows = torch.tensor(spoken, device=z.device)
            said = self.flow(prior_mean[rows], mask[rows], style[rows], reverse=True)
            sounding = z.index_copy(0, rows, said.to(z.dtype))
        told = torch.cat((prior_log, *self.said(frames, spec_lengths, phones, phone_lengths)), 1)
        inner, pitch_loss = self.sung(sounding, spec, prior_mean, told, mask, style)
        return TrainingPass(
            wave=self.dec(slice_segments(inner, starts, segment), style),
            starts=starts,
            mask=mask,
            z=z,
            z_prior=z_prior,
            prior_mean=prior_mean,
            prior_log=prior_log,
            posterior_mean=posterior_mean,
            posterior_log=posterior_log,
            pitch_loss=pitch_loss,
        )

    def sung(
        self, z: Tensor, spec: Tensor, prior_mean: Tensor, prior_log: Tensor, mask: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A posterior's latent with the pitch that was measured in `spec`, as the decoder takes it, and how far the
        prior's own idea of that pitch is from it, B; the latent itself and zeros without a source."""
        if self.pitch is None:
            return z, z.new_zeros(len(z))
        truth = excitation.measure(spec, self.audio)
        head = self.pitch(prior_mean, prior_log, mask, style)
        return excitation.carry(z, truth), excitation.loss(head, truth, mask, self.audio)

    def as_measured(self, z: Tensor, spec: Tensor) -> Tensor:
        """A posterior's latent B x latent x F as the decoder takes it: with the pitch of `spec` where there is a
        source."""
        return z if self.pitch is None else excitation.carry(z, excitation.measure(spec, self.audio))

    # -- inference -----------------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def decode(
        self,
        codes: Tensor,
        phones: Tensor,
        style: Tensor,
        *,
        generator: torch.Generator | None = None,
        noise_scale: float = 0.5,
        speed: float = 1.0,
        noise: Tensor | None = None,
    ) -> Tensor:
        """codes 1 x T, phones 1 x X (of the same words), style 1 x G x 1 -> wave 1 x 1 x N', -1..1, float32.

        noise_scale 0 is the most probable latent, 1 the full spread (SUNG_NOISE of it with a source). speed 1 gives
        N' = F * hop, otherwise (int(F / speed) + 1) * hop. The latent noise comes from `generator` (CPU, so that one
        seed is one result on every device) unless `noise` is given. Raises ValueError outside the bounds.
        """
        check_settings(speed, noise_scale)
        if noise is None and generator is None and noise_scale > 0:
            raise ValueError("a generator is needed: there is no hidden random state")
        hidden, mask = self.prior_hidden(codes, phones, style)
        mean, log_deviation, mask = self.prior(hidden, mask, speed)
        if noise_scale > 0 and noise is None:
            noise = torch.randn(mean.shape, generator=generator).to(mean)
        return self.render(mean, log_deviation, mask, style, noise=noise, noise_scale=noise_scale)

    def prior_hidden(self, codes: Tensor, phones: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """codes 1 x T, phones 1 x X, style 1 x G x 1 -> hidden frames 1 x hidden x F, what `said` says behind them, and
        their mask 1 x 1 x F."""
        frames = self.code_frames(codes)
        lengths = torch.tensor([frames.shape[2]], device=codes.device)
        phone_lengths = torch.tensor([phones.shape[1]], device=codes.device)
        hidden, mask = self.enc_p.hidden(frames, lengths, phones, phone_lengths, self.prior_style(style))
        return torch.cat((hidden, *self.said(frames, lengths, phones, phone_lengths)), 1), mask

    def said(self, frames: Tensor, lengths: Tensor, phones: Tensor, phone_lengths: Tensor) -> list[Tensor]:
        """Which phone each content frame says, B x width x F (`AlignedWords`); nothing in models that do not ask."""
        if self.words is None:
            return []
        return [self.words(frames, lengths, phones, phone_lengths, self.enc_p.text_embedding(phones))]

    def prior(self, hidden: Tensor, mask: Tensor, speed: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden frames -> mean and log deviation 1 x latent x F' of the latent at `speed`, mask 1 x 1 x F'. What is
        said stays behind the log deviation: the pitch head wants it."""
        _, mean, log_deviation, mask = self.enc_p.distribution(hidden, mask, speed)
        return mean, log_deviation, mask

    def render(
        self,
        mean: Tensor,
        log_deviation: Tensor,
        mask: Tensor,
        style: Tensor,
        *,
        noise: Tensor | None = None,
        noise_scale: float = 0.5,
    ) -> Tensor:
        """The latent that `noise` (1 x latent x F', standard normal) picks from the prior -> wave 1 x 1 x F' * hop."""
        wave: Tensor = self.dec(
            self.latent(mean, log_deviation, mask, style, noise=noise, noise_scale=noise_scale), style
        )
        return wave

    def latent(
        self,
        mean: Tensor,
        log_deviation: Tensor,
        mask: Tensor,
        style: Tensor,
        *,
        noise: Tensor | None = None,
        noise_scale: float = 0.5,
        phase: float = 0.0,
        number: int = 0,
    ) -> Tensor:
        """The same, before the vocoder: 1 x latent x F', with a source 1 x (latent + CARRIED) x F' that begins at
        `phase` in its frame `number` (see `excitation.carry`)."""
        z_prior = mean
        if noise_scale > 0 and noise is not None:
            share = noise_scale if self.pitch is None else noise_scale * SUNG_NOISE
            z_prior = mean + noise * torch.exp(log_deviation[:, : self.config.latent]) * share
        z: Tensor = self.flow(z_prior, mask, style, reverse=True)
        if self.pitch is None:
            return z * mask
        pitch = excitation.told(self.pitch(mean, log_deviation, mask, style), self.audio)
        return excitation.carry(z * mask, pitch, phase=phase, number=number)


def check_settings(speed: float, noise_scale: float) -> None:
    """Raises ValueError for a speed or noise scale that no decode accepts."""
    if not (LEAST_SPEED <= speed <= MOST_SPEED and 0.0 <= noise_scale <= MOST_NOISE):
        raise ValueError("speed or noise_scale out of range")


def slice_segments(x: Tensor, starts: Tensor, length: int) -> Tensor:
    """Cut `length` places from each item of B x C x N, item b from starts[b]; N must be at least `length`."""
    places = starts[:, None, None] + torch.arange(length, device=x.device)[None, None]
    return x.gather(2, places.expand(-1, x.shape[1], -1))


def pad_to_segment(x: Tensor, length: int) -> Tensor:
    """Right-pad B x C x N with zeros to at least `length` places, for material shorter than one segment."""
    return F.pad(x, (0, max(0, length - x.shape[2])))
