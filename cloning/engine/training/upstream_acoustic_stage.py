"""S2's stage as upstream trains it: VITS losses with critics from the first step, AdamW, a rate that falls by epochs.

The codebook and its projection stay frozen (freeze_quantizer), gradients are not clipped, the spectrogram of each item
is computed alone and padded with zeros. A step of this stage is one batch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import KL_WEIGHT, MEL_WEIGHT, kl_loss
from cloning.engine.features.spectrogram import linear, log_mel
from cloning.engine.training.acoustic import adversarial_losses, build_critics
from cloning.engine.training.batches import speakers, stack
from cloning.engine.training.groups import groups
from cloning.engine.training.loop import step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import OfficialRecipe
from cloning.engine.training.upstream_batches import acoustic_batches, acoustic_items

RATE = 1e-4
#: Factor of the rate after each epoch; it has been applied once before the first [as upstream].
DECAY = 0.999875
BETAS, EPSILON, WEIGHT_DECAY = (0.8, 0.99), 1e-9, 0.01
#: The parts that learn with OfficialRecipe.text_low_rate.
SLOW = ("enc_p.text_embedding.", "enc_p.encoder_text.", "enc_p.mrte.")


def acoustic_rate(epoch: int) -> float:
    """Learning rate in an epoch (from 1)."""
    return RATE * DECAY**epoch


def _optimiser(params: list[dict[str, Any]]) -> torch.optim.AdamW:
    return torch.optim.AdamW(params, lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY, fused=True)


class UpstreamAcousticStage:
    """Trains an AcousticModel and critics, which start from `critics` or from random weights (seed).

    Raises TrainingRefused `no_items`.
    """

    name = "acoustic"

    def __init__(
        self,
        model: AcousticModel,
        items: Sequence[Item],
        recipe: OfficialRecipe,
        *,
        bfloat16: bool,
        device: str,
        seed: int,
        critics: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.model = model.to(device)
        self.critics = build_critics(model, seed, critics).to(device)
        self.device = device
        self.bfloat16 = bfloat16
        self.span = model.config.frames_per_code
        self.items = acoustic_items(items, sample_rate=model.audio.sample_rate, hop=model.audio.hop)
        frames = [len(item.wave) // model.audio.hop for item in self.items]
        self.epoch = functools.lru_cache(maxsize=2)(functools.partial(acoustic_batches, frames, recipe.acoustic_batch))
        self.batches = len(self.epoch(1))
        #: Every so many items of a batch are taken, in another epoch others: 1 unless memory ran out.
        self.parts = 1
        self.size = recipe.acoustic_batch
        self.steps = self.batches * recipe.acoustic_epochs
        self.optimiser = _optimiser(groups(model, RATE, {SLOW: recipe.text_low_rate}))
        self.critic_optimiser = _optimiser(groups(self.critics, RATE, {}))

    def modules(self) -> dict[str, nn.Module]:
        return {"acoustic": self.model, "critics": self.critics}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"acoustic": self.optimiser, "critics": self.critic_optimiser}

    def halve(self) -> bool:
        """Epochs keep their number of steps, so each sees half as much of the material."""
        if 2 * self.parts > self.size:
            return False
        self.parts *= 2
        return True

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        epoch, index = divmod(step - 1, self.batches)
        items = [self.items[place] for place in self.epoch(epoch + 1)[index][epoch % self.parts :: self.parts]]
        share = acoustic_rate(epoch + 1) / RATE
        for group in self.critic_optimiser.param_groups:
            group["lr"] = group["peak"] * share
        audio, segment = self.model.audio, self.model.config.segment_frames
        codes, phones, spec, waves = (value.to(self.device) for value in self._padded(items))
        lengths = torch.tensor([len(item.codes) * self.span for item in items], device=self.device)
        phone_lengths = torch.tensor([len(item.phones) for item in items], device=self.device)
        speaker = speakers(items, dim=self.model.config.speaker_dim)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = self.model(
                codes, spec, lengths, phones, phone_lengths, generator=generator,
                speaker=None if speaker is None else speaker.to(self.device),
            )  # fmt: skip
        fake = out.wave.float()
        real = slice_segments(waves[:, None], out.starts * audio.hop, segment * audio.hop)
        extra = adversarial_losses(
            self.critics, self.critic_optimiser, fake, real, clip=math.inf, bfloat16=self.bfloat16
        )
        if extra is None:
            return None
        # The target mel is cut from the whole utterance's, so only the generated one is reflected at its ends.
        theirs = slice_segments(log_mel(spec, audio), out.starts, segment)
        spectral = F.l1_loss(log_mel(linear(fake[:, 0], audio), audio), theirs)
        loss = extra + MEL_WEIGHT * spectral + KL_WEIGHT * kl_loss(out)
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=math.inf):
            return None
        return float(spectral.detach())

    def _padded(self, items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Codes B x T, phones B x X, spectrograms B x bins x F and waves B x N, one code longer than the longest item
        as upstream's collation has it."""
        longest = max(len(item.codes) for item in items) + 1
        codes = torch.stack([F.pad(item.codes, (0, longest - len(item.codes))) for item in items])
        phones, _ = stack([item.phones for item in items], 1)
        specs = [linear(item.wave[None], self.model.audio)[0] for item in items]
        spec = torch.stack([F.pad(s, (0, longest * self.span - s.shape[1])) for s in specs])
        waves, _ = stack([item.wave for item in items], 1)
        return codes, phones, spec, waves
