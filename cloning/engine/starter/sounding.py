"""Teaching S2 to sound: its stage in the making of a starter base.

Beside the losses of `training.acoustic`:

- The style comes from another utterance of the speaker, as in use, so that it cannot carry what is being said.
- The frozen content encoder listens: what it hears in the generated sound shall be what it hears in the real one.
- Longer segments than a fine-tune takes: the decoder is what lacks practice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.layers import length_mask
from cloning.engine.acoustic.losses import (
    KL_WEIGHT,
    kl_loss,
    listening_loss,
    mel_loss,
    multi_resolution_loss,
    source_loss,
)
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.starter.average import Average
from cloning.engine.training import quick
from cloning.engine.training.acoustic import CRITIC_CLIP, AcousticStage, adversarial_losses, spoken
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, stack
from cloning.engine.training.loop import rate_at, step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe


@dataclass(frozen=True)
class SoundingRecipe:
    acoustic: AcousticRecipe
    #: Frames of 20 ms that are generated of each utterance in a batch.
    segment: int = 64
    #: Frames of the other utterance that the style is taken from.
    style_frames: int = 128
    #: See `average.Average`.
    average: int = 300


class SoundingStage(AcousticStage):
    """Trains an AcousticModel (a `training.loop.Stage`); `average` is what to keep. Waves may be int16."""

    def __init__(
        self,
        model: AcousticModel,
        items: Sequence[Item],
        recipe: SoundingRecipe,
        listener: ContentEncoder,
        *,
        bfloat16: bool,
        device: str,
        seed: int,
    ) -> None:
        long = [item for item in items if len(item.codes) * model.config.frames_per_code >= recipe.segment]
        super().__init__(model, long, recipe.acoustic, bfloat16=bfloat16, device=device, seed=seed, listener=listener)
        self.whole = recipe
        self.average = Average(self.model, recipe.average)
        if bfloat16 and quick.available(device):
            for module in (self.model, self.critics):
                if module is not None:
                    quick.quicken(module)
        self.same: dict[str, list[Item]] = {}
        for item in self.items:
            self.same.setdefault(item.speaker, []).append(item)
        #: Latest values of the parts of the loss.
        self.parts: dict[str, float] = {}

    def modules(self) -> dict[str, nn.Module]:
        return {**super().modules(), "average": self.average.network}

    def style(self, items: Sequence[Item], rng: np.random.Generator) -> Tensor:
        """Styles B x G x 1 from other utterances of the items' speakers (a lonely one from itself)."""
        audio, longest = self.model.audio, self.whole.style_frames
        waves = []
        for item in items:
            friends = [other for other in self.same[item.speaker] if other is not item] or [item]
            waves.append(_sound(friends[int(rng.integers(len(friends)))])[: longest * audio.hop])
        lengths = torch.tensor([len(wave) // audio.hop for wave in waves])
        padded = torch.stack([F.pad(wave, (0, longest * audio.hop - len(wave))) for wave in waves]).to(self.device)
        with torch.no_grad():
            spec = linear(padded, audio)
        mask = length_mask(lengths.to(self.device), spec.shape[2])
        return self.model.style(spec * mask, mask)

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        items = self.batch(rng)
        recipe, model, audio, segment = self.recipe, self.model, self.model.audio, self.whole.segment
        codes, code_lengths = stack([item.codes for item in items], CODE_STEP)
        phones, phone_lengths = stack([item.phones for item in items], PHONE_STEP)
        waves, _ = stack([_sound(item) for item in items], CODE_STEP * self.span * audio.hop)
        waves = waves.to(self.device)
        with torch.no_grad():
            spec = linear(waves, audio)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = model(
                codes.to(self.device), spec, (code_lengths * self.span).to(self.device), phones.to(self.device),
                phone_lengths.to(self.device), style=self.style(items, rng), segment=segment, generator=generator,
                spoken=spoken(model, len(items)),
            )  # fmt: skip
        fake = out.wave.float()
        real = slice_segments(waves[:, None], out.starts * audio.hop, segment * audio.hop)
        share = rate_at(step, steps=self.steps, warm_up=recipe.warm_up, final=recipe.final)
        spectral, kl = mel_loss(fake, real, audio), kl_loss(out)
        assert self.listener is not None
        heard = listening_loss(self.listener, fake, real)
        loss = recipe.mel_weight * spectral + recipe.resolution_weight * multi_resolution_loss(fake, real)
        loss = loss + KL_WEIGHT * kl + recipe.listening * heard
        if model.pitch is not None:
            loss = loss + source_loss(out, fake, real, audio, recipe.periodicity)
        if self.critics is not None and step > (recipe.adversarial_from or 0):
            for group in self.critic_optimiser.param_groups:
                group["lr"] = group["peak"] * share
            extra = adversarial_losses(
                self.critics, self.critic_optimiser, fake, real, clip=CRITIC_CLIP, bfloat16=self.bfloat16
            )
            if extra is None:
                return None
            loss = loss + extra
            self.parts["critics"] = float(extra.detach())
        if not step_optimiser(loss, model, self.optimiser, share=share, clip=recipe.clip):
            return None
        self.average.follow(model, step)
        told = {"pitch": out.pitch_loss.mean(), "kl": kl, "heard": heard}
        self.parts |= {name: float(value.detach()) for name, value in told.items()}
        return float(spectral.detach())


def _sound(item: Item) -> Tensor:
    """The item's wave as float32 in -1..1."""
    return item.wave if item.wave.dtype == torch.float32 else item.wave.float() / 32767
