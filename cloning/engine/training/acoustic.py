"""S2's stage: learn to sound like this voice (codes and phones to a wave)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import (
    FEATURE_WEIGHT,
    KL_WEIGHT,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    kl_loss,
    mel_loss,
    multi_resolution_loss,
)
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, pick, stack
from cloning.engine.training.loop import rate_at, step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe

#: Parts that know language rather than a voice; they learn more slowly.
TEXT_PARTS = ("enc_p.text_embedding", "enc_p.encoder_text", "enc_p.mrte", "enc_p.encoder_ssl")
#: Gradient norm bound of the critics.
CRITIC_CLIP = 100.0


class AcousticStage:
    """Trains an AcousticModel; its codebook stays as it is. Items must be at least one segment long to be used."""

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
    ) -> None:
        self.model = model.to(device)
        self.recipe = recipe
        self.steps = recipe.steps
        self.device = device
        self.bfloat16 = bfloat16
        self.span = model.config.frames_per_code
        self.items = [item for item in items if len(item.codes) * self.span >= model.config.segment_frames]
        text = [p for name, p in model.named_parameters() if name.startswith(TEXT_PARTS) and p.requires_grad]
        rest = [p for name, p in model.named_parameters() if not name.startswith(TEXT_PARTS) and p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": rest, "peak": recipe.learning_rate},
                {"params": text, "peak": recipe.learning_rate * recipe.text_rate},
            ],
            lr=recipe.learning_rate, betas=recipe.betas, eps=1e-9, weight_decay=0.01,
        )  # fmt: skip
        self.critics: Discriminators | None = None
        if recipe.adversarial_from is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.critics = Discriminators(model.config).to(device)
            self.critic_optimiser = torch.optim.AdamW(
                [{"params": list(self.critics.parameters()), "peak": recipe.critic_rate}],
                lr=recipe.critic_rate, betas=recipe.betas, eps=1e-9,
            )  # fmt: skip

    def modules(self) -> dict[str, nn.Module]:
        return {"acoustic": self.model} | ({"critics": self.critics} if self.critics else {})

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"acoustic": self.optimiser} | ({"critics": self.critic_optimiser} if self.critics else {})

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
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = self.model(
                codes.to(self.device), spec, (code_lengths * self.span).to(self.device),
                phones.to(self.device), phone_lengths.to(self.device), generator=generator,
            )  # fmt: skip
        fake = out.wave.float()
        real = slice_segments(waves[:, None], out.starts * audio.hop, segment * audio.hop)
        share = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        spectral = mel_loss(fake, real, audio)
        loss = self.recipe.mel_weight * spectral + KL_WEIGHT * kl_loss(out)
        loss = loss + self.recipe.resolution_weight * multi_resolution_loss(fake, real)
        if self.critics is not None and step > (self.recipe.adversarial_from or 0):
            extra = self._adversarial(self.critics, fake, real, share)
            if extra is None:
                return None
            loss = loss + extra
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=self.recipe.clip):
            return None
        return float(spectral.detach())

    def _adversarial(self, critics: Discriminators, fake: Tensor, real: Tensor, share: float) -> Tensor | None:
        """Train the critics on this batch, then ask them. None when their step was not finite."""
        verdict = discriminator_loss(critics(real), critics(fake.detach()))
        if not step_optimiser(verdict, critics, self.critic_optimiser, share=share, clip=CRITIC_CLIP):
            return None
        with torch.no_grad():
            on_real = critics(real)
        on_fake = critics(fake)
        return adversarial_loss(on_fake) + FEATURE_WEIGHT * feature_loss(on_real, on_fake)
