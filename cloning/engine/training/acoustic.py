"""S2's stage: learn to sound like this voice (codes and phones to a wave)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cloning.engine.acoustic.discriminators import Discriminators, Judgement
from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import (
    FEATURE_WEIGHT,
    KL_WEIGHT,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    kl_loss,
    listening_loss,
    mel_loss,
    multi_resolution_loss,
    source_loss,
)
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, pick, speakers, stack
from cloning.engine.training.codes import CodeTraining
from cloning.engine.training.groups import ACOUSTIC_TEXT, groups
from cloning.engine.training.loop import rate_at, step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe

#: Gradient norm bound of the critics.
CRITIC_CLIP = 100.0


class AcousticStage:
    """Trains an AcousticModel. Items must be at least one segment long to be used.

    Its codebook stays as it is, unless the recipe has a `commitment`: then `content` (waves B x N -> content frames
    B x content_dim x F) says what the codes stand for. With `listening` it needs the base's encoder, `listener`.
    """

    name = "acoustic"

    def __init__(
        self,
        model: AcousticModel,
        items: Sequence[Item],
        recipe: AcousticRecipe,
        *,
        bfloat16: bool,
        device: str,
        seed: int,
        critics: Mapping[str, Tensor] | None = None,
        content: Callable[[Tensor], Tensor] | None = None,
        listener: ContentEncoder | None = None,
    ) -> None:
        if recipe.commitment and content is None:
            raise ValueError("codes can only be trained from content frames")
        if recipe.listening and listener is None:
            raise ValueError("a recipe with listening needs a listener")
        self.model = model.to(device)
        self.recipe = recipe
        self.steps = recipe.steps
        self.device = device
        self.bfloat16 = bfloat16
        self.span = model.config.frames_per_code
        self.items = [item for item in items if len(item.codes) * self.span >= model.config.segment_frames]
        self.content = content
        self.listener = None if listener is None else listener.to(device).eval().requires_grad_(False)
        self.codes = CodeTraining(model) if recipe.commitment else None
        self.optimiser = torch.optim.AdamW(
            groups(model, recipe.learning_rate, {ACOUSTIC_TEXT: recipe.text_rate}, recipe.frozen),
            lr=recipe.learning_rate, betas=recipe.betas, eps=1e-9, weight_decay=0.01, fused=True,
        )  # fmt: skip
        self.critics: Discriminators | None = None
        if recipe.adversarial_from is not None:
            self.critics = build_critics(model, seed, critics).to(device)
            self.critic_optimiser = torch.optim.AdamW(
                [{"params": list(self.critics.parameters()), "peak": recipe.critic_rate}],
                lr=recipe.critic_rate, betas=recipe.betas, eps=1e-9, fused=True,
            )  # fmt: skip

    def modules(self) -> dict[str, nn.Module]:
        return {"acoustic": self.model} | ({"critics": self.critics} if self.critics else {})

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"acoustic": self.optimiser} | ({"critics": self.critic_optimiser} if self.critics else {})

    def halve(self) -> bool:
        batch, frames = self.recipe.batch // 2, max(1, self.recipe.batch_frames // 2)
        if not batch:
            return False
        self.recipe = dataclasses.replace(self.recipe, batch=batch, batch_frames=frames)
        return True

    def batch(self, rng: np.random.Generator) -> list[Item]:
        """Items of like length, together at most `batch_frames` content frames (always at least one item)."""
        chosen = pick(self.items, self.recipe.batch, rng)
        longest = max(len(item.codes) for item in chosen) * self.span
        return chosen[: max(1, self.recipe.batch_frames // longest)]

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        items = self.batch(rng)
        audio, segment = self.model.audio, self.model.config.segment_frames
        codes, code_lengths = stack([item.codes for item in items], CODE_STEP)
        phones, phone_lengths = stack([item.phones for item in items], PHONE_STEP)
        waves, _ = stack([item.wave for item in items], CODE_STEP * self.span * audio.hop)
        waves = waves.to(self.device)
        with torch.no_grad():
            spec = linear(waves, audio)
        lengths = (code_lengths * self.span).to(self.device)
        speaker = speakers(items, dim=self.model.config.speaker_dim)
        frames: Tensor | None = None
        commitment: Tensor | float = 0.0
        if self.codes is not None and self.content is not None:
            with torch.no_grad():
                heard = self.content(waves)
            frames, commitment = self.codes(heard, code_lengths.to(self.device), generator)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = self.model(
                codes.to(self.device), spec, lengths, phones.to(self.device), phone_lengths.to(self.device),
                generator=generator, frames=frames, speaker=None if speaker is None else speaker.to(self.device),
                spoken=spoken(self.model, len(items)),
            )  # fmt: skip
        fake = out.wave.float()
        real = slice_segments(waves[:, None], out.starts * audio.hop, segment * audio.hop)
        share = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        spectral = mel_loss(fake, real, audio)
        loss = self.recipe.mel_weight * spectral + KL_WEIGHT * kl_loss(out)
        loss = (
            loss
            + self.recipe.commitment * commitment
            + self.recipe.resolution_weight * multi_resolution_loss(fake, real)
        )
        if self.model.pitch is not None:
            loss = loss + source_loss(out, fake, real, audio, self.recipe.periodicity)
        if self.listener is not None and self.recipe.listening:
            loss = loss + self.recipe.listening * listening_loss(self.listener, fake, real)
        if self.critics is not None and step > (self.recipe.adversarial_from or 0):
            for group in self.critic_optimiser.param_groups:
                group["lr"] = group["peak"] * share
            extra = adversarial_losses(
                self.critics, self.critic_optimiser, fake, real, clip=CRITIC_CLIP, bfloat16=self.bfloat16
            )
            if extra is None:
                return None
            loss = loss + extra
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=self.recipe.clip):
            return None
        return float(spectral.detach())


def spoken(model: AcousticModel, count: int) -> range:
    """Which of `count` items sound from the prior's mean in a step: every second one of a model with a source.

    The posterior knows what the codes do not say, and what it alone makes good is missing in use (bidirectional
    training: Tan et al. 2022, NaturalSpeech). Official models are trained as upstream trains them.
    """
    return range(0, count if model.pitch is not None else 0, 2)


def build_critics(model: AcousticModel, seed: int, weights: Mapping[str, Tensor] | None) -> Discriminators:
    """The critics of a model, from a base's weights or from random ones that depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critics = Discriminators(model.config)
    if weights is not None:
        critics.load_state_dict({name: value.float() for name, value in weights.items()})
    return critics.train()


def adversarial_losses(
    critics: Discriminators,
    optimiser: torch.optim.Optimizer,
    fake: Tensor,
    real: Tensor,
    *,
    clip: float,
    bfloat16: bool,
) -> Tensor | None:
    """Train the critics on this batch of waves (B x 1 x N each), then ask them: the generator's adversarial and feature
    losses. None when the critics' step was not finite. Their rates are the optimiser's `lr` as set by the caller."""
    narrow = functools.partial(torch.autocast, fake.device.type, torch.bfloat16, enabled=bfloat16)
    critics.requires_grad_(True)
    with narrow():
        judged = both(critics, real, fake.detach())
    if not step_optimiser(discriminator_loss(*judged), critics, optimiser, share=None, clip=clip):
        return None
    # The generator's loss needs gradients through the critics, not of them. They stay so until the next call: the
    # generator's backward pass may compute their insides again (memory.recompute).
    critics.requires_grad_(False)
    with narrow():
        with torch.no_grad():
            on_real = critics(real)
        on_fake = critics(fake)
    return adversarial_loss(on_fake) + FEATURE_WEIGHT * feature_loss(on_real, on_fake)


def both(critics: Discriminators, real: Tensor, fake: Tensor) -> tuple[Judgement, Judgement]:
    """Judge real and generated waves (B x 1 x N each) in one pass: weights are normed and read once."""
    whole = critics(torch.cat((real, fake)))
    first, second = slice(None, len(real)), slice(len(real), None)
    return _part(whole, first), _part(whole, second)


def _part(whole: Judgement, rows: slice) -> Judgement:
    return Judgement([s[rows] for s in whole.scores], [[f[rows] for f in each] for each in whole.features])
