"""Early stopping: a share of the utterances is not trained on, and training ends when they stop getting better.

Which utterances are held out depends on their sound alone, so two trainings on one set hold out the same ones. All
state lies in buffers of a module: a checkpoint of the stage keeps it, and a resumed training stops where an undisturbed
one would have.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import KL_WEIGHT, kl_loss, mel_loss
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, speakers, stack
from cloning.engine.training.loop import Stage
from cloning.engine.training.prepare import Item

#: Of each held-out utterance so many stretches of one training segment are judged, evenly spread.
STRETCHES = 2


@dataclass(frozen=True)
class EarlyStop:
    """`share` of the utterances is held out (at least one). Every `every` steps they are looked at; after `patience`
    looks without an improvement by the share `least` of the best loss, training stops and the best state is kept."""

    share: float = 0.1
    every: int = 10
    patience: int = 3
    least: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 0.5 or self.every < 1 or self.patience < 1 or not 0 <= self.least < 1:
            raise ValueError("share must be in 0..0.5, every and patience at least 1, least in 0..1")


def divide(items: Sequence[Item], rule: EarlyStop) -> tuple[list[Item], list[Item]]:
    """(trained on, held out), both in the given order; nothing is held out of fewer than two readable items.

    The items with the lowest hash are held out, one for every 1/share of them. One readable item at least stays in
    either part, so that both stages can train and be judged.
    """
    readable = [index for index, item in enumerate(items) if item.has_text]
    if len(readable) < 2:
        return list(items), []
    wanted = min(len(items) - 1, max(1, round(rule.share * len(items))))
    order = sorted(range(len(items)), key=lambda index: (_hash(items[index]), index))
    reading = [index for index in order if items[index].has_text]
    stays, first = reading[-1], reading[0]
    rest = [index for index in order if index not in (stays, first)]
    held = {first, *rest[: wanted - 1]}
    return (
        [item for index, item in enumerate(items) if index not in held],
        [item for index, item in enumerate(items) if index in held],
    )


class Watch(nn.Module):
    """What early stopping remembers. `best` holds copies of the watched tensors at the best look."""

    loss: Tensor
    best_step: Tensor
    stale: Tensor
    stopped: Tensor

    def __init__(self, rule: EarlyStop, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.rule = rule
        self.register_buffer("loss", torch.tensor(math.inf, dtype=torch.float64))
        self.register_buffer("best_step", torch.tensor(0))
        self.register_buffer("stale", torch.tensor(0))
        #: The step at which training stopped; 0: it has not.
        self.register_buffer("stopped", torch.tensor(0))
        self.names = list(tensors)
        for index, value in enumerate(tensors.values()):
            self.register_buffer(f"best_{index}", value.detach().clone())

    def due(self, step: int, steps: int) -> bool:
        """Whether to look after this step: every so often, and at the end."""
        return not int(self.stopped) and (step % self.rule.every == 0 or step == steps)

    @torch.no_grad()
    def look(self, step: int, loss: float, tensors: Mapping[str, Tensor]) -> bool:
        """Note the held-out loss after a step; True: training has stopped. A loss that is not finite is no better."""
        if math.isfinite(loss) and loss < float(self.loss) * (1 - self.rule.least):
            self.loss.fill_(loss)
            self.best_step.fill_(step)
            self.stale.zero_()
            for index, name in enumerate(self.names):
                self.get_buffer(f"best_{index}").copy_(tensors[name])
        else:
            self.stale.add_(1)
            if int(self.stale) >= self.rule.patience:
                self.stopped.fill_(step)
        return bool(self.stopped)

    @torch.no_grad()
    def give_back(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the best state into the tensors; they stay as they are if no look was ever finite."""
        if int(self.best_step):
            for index, name in enumerate(self.names):
                tensors[name].copy_(self.get_buffer(f"best_{index}"))


class Watched:
    """A stage that stops early: the same stage to the loop, whose steps after the stop do nothing.

    `measure` gives the held-out loss of the model as it is; `model` is what is kept and put back, of which only the
    parameters that train are copied. After the last step the model is in its best state.
    """

    def __init__(self, stage: Stage, model: nn.Module, rule: EarlyStop, measure: Callable[[], float]) -> None:
        self.stage = stage
        self.name = stage.name
        self.steps = stage.steps
        self.model = model
        self.measure = measure
        self.watch = Watch(rule, self._tensors()).to(next(model.parameters()).device)
        self._last = math.nan

    def modules(self) -> dict[str, nn.Module]:
        return self.stage.modules() | {f"{self.name}_watch": self.watch}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return self.stage.optimisers()

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        loss: float | None = self._last
        if not int(self.watch.stopped):
            loss = self.stage.advance(step, rng, generator)
            self._last = self._last if loss is None else loss
        if self.watch.due(step, self.steps):
            self.watch.look(step, self.measure(), self._tensors())
        if step == self.steps:
            self.watch.give_back(self._tensors())
        return loss

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value.data for name, value in self.model.named_parameters() if value.requires_grad}


@torch.no_grad()
def acoustic_loss(model: AcousticModel, items: Sequence[Item], *, mel_weight: float) -> float:
    """Mean held-out loss of S2 (mel_weight * log-mel L1 + KL), one item at a time, without dropout.

    Noise and segments are fixed, so two looks differ by the weights alone. Items shorter than a segment are left out;
    inf if none is left.
    """
    was, device = model.training, next(model.parameters()).device
    segment, span, hop = model.config.segment_frames, model.config.frames_per_code, model.audio.hop
    model.eval()
    losses = []
    for item in (item for item in items if len(item.codes) * span >= segment):
        codes, code_lengths = stack([item.codes], CODE_STEP)
        phones, phone_lengths = stack([item.phones], PHONE_STEP)
        wave = stack([item.wave], CODE_STEP * span * hop)[0].to(device)
        spec = linear(wave, model.audio)
        room = len(item.codes) * span - segment
        vectors = speakers([item], dim=model.config.speaker_dim)
        speaker = None if vectors is None else vectors.to(device)
        noise = torch.randn(1, model.config.latent, spec.shape[2], generator=torch.Generator().manual_seed(0))
        for start in sorted({room * part // max(1, STRETCHES - 1) for part in range(STRETCHES)}):
            out = model(
                codes.to(device), spec, (code_lengths * span).to(device), phones.to(device), phone_lengths.to(device),
                noise=noise.to(device), starts=torch.tensor([start], device=device), speaker=speaker,
            )  # fmt: skip
            real = slice_segments(wave[:, None], out.starts * hop, segment * hop)
            losses.append(float(mel_weight * mel_loss(out.wave.float(), real, model.audio) + KL_WEIGHT * kl_loss(out)))
    model.train(was)
    return sum(losses) / len(losses) if losses else math.inf


def _hash(item: Item) -> bytes:
    return hashlib.sha256(item.wave.numpy().tobytes()).digest()
