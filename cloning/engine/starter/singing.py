"""Teaching S2's pitch head its melody, alone: the last training of a starter base.

Beside everything else that S2 learns, the head stays behind: tones of Mandarin were then right by chance. What it is
given (the prior's mean, which phone each frame says, and the style) is worked out once, everything but the head held
still, so that a step costs next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic import excitation
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.words import Way
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.prepare import Item

#: Steps between two reports.
REPORT_EVERY = 100


@dataclass(frozen=True)
class SingingRecipe:
    steps: int = 6000
    batch: int = 12
    learning_rate: float = 2e-3
    #: Share of the utterances that are sung without the words: a recording may come without its text.
    wordless: float = 0.1


@dataclass(frozen=True)
class Sung:
    """One utterance: mean and deviation latent x F, the way through its text, the text X x hidden as S2's vectors,
    style G x 1, pitch as `excitation.measure` finds it, F each."""

    mean: Tensor
    deviation: Tensor
    way: Way | None
    text: Tensor
    style: Tensor
    cycles: Tensor
    voiced: Tensor


def train_pitch(
    model: AcousticModel,
    items: Sequence[Item],
    recipe: SingingRecipe,
    *,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    """Teach the model's pitch head, and how it is told the words, in place, on the CPU; items' waves may be int16.
    report(step, mean loss).

    The style is another utterance's of the speaker, as in use. Raises ValueError for a model without a pitch head.
    """
    head, words = model.pitch, model.words
    if head is None:
        raise ValueError("this model has no pitch head")
    rng = np.random.default_rng(seed)
    model.eval()
    material = sung(model, items, rng)
    learning = [*head.parameters(), *(words.narrow.parameters() if words is not None else ())]
    optimiser = torch.optim.AdamW(learning, lr=recipe.learning_rate)
    recent = []
    for step in range(1, recipe.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / (recipe.steps + 1)))
        rows = [material[int(i)] for i in rng.integers(len(material), size=recipe.batch)]
        mean, deviation, style, truth, mask = _batch(rows)
        if words is not None:
            ways = [None if rng.random() < recipe.wordless else row.way for row in rows]
            counts = torch.tensor([len(row.text) for row in rows])
            text = nn.utils.rnn.pad_sequence([row.text for row in rows], batch_first=True)
            deviation = torch.cat((deviation, words.spelled(ways, counts, text, deviation.shape[2])), 1)
        loss = excitation.loss(head(mean, deviation, mask, style), truth, mask, model.audio).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        recent.append(float(loss.detach()))
        if step % REPORT_EVERY == 0:
            report(step, float(np.mean(recent[-REPORT_EVERY:])))


@torch.no_grad()
def sung(model: AcousticModel, items: Sequence[Item], rng: np.random.Generator) -> list[Sung]:
    """What the head is given and what it shall tell, for each item."""
    same: dict[str, list[Item]] = {}
    for item in items:
        same.setdefault(item.speaker, []).append(item)
    out = []
    for item in items:
        friends = [other for other in same[item.speaker] if other is not item] or [item]
        style = model.reference_style([linear(_wave(friends[int(rng.integers(len(friends)))])[None], model.audio)])
        spec = linear(_wave(item)[None], model.audio)
        codes, phones = item.codes[None], item.phones[None]
        mean, deviation, _ = model.prior(*model.prior_hidden(codes, phones, style))
        frames = min(spec.shape[2], mean.shape[2])
        truth = excitation.measure(spec[:, :, :frames], model.audio)
        out.append(
            Sung(
                mean[0, :, :frames],
                deviation[0, : model.config.latent, :frames],
                _way(model, codes, phones, frames),
                model.enc_p.text_embedding(item.phones),
                style[0],
                truth.cycles[0, :frames],
                truth.voiced[0, :frames],
            )
        )
    return out


def _way(model: AcousticModel, codes: Tensor, phones: Tensor, frames: int) -> Way | None:
    """Of one item, in its first frames."""
    if model.words is None:
        return None
    spoken = model.code_frames(codes)[:, :, :frames]
    return model.words.ways(spoken, torch.tensor([frames]), phones, torch.tensor([phones.shape[1]]))[0]


def _batch(rows: Sequence[Sung]) -> tuple[Tensor, Tensor, Tensor, excitation.Pitch, Tensor]:
    """Mean, deviation, style, true pitch and mask of utterances, padded at their ends."""
    longest = max(len(row.cycles) for row in rows)

    def stacked(values: Sequence[Tensor], filling: float = 0.0) -> Tensor:
        return torch.stack([F.pad(value, (0, longest - value.shape[-1]), value=filling) for value in values])

    # Cycles must stay positive: their logarithm is taken everywhere.
    truth = excitation.Pitch(
        stacked([row.cycles for row in rows], filling=1.0), stacked([row.voiced.float() for row in rows])
    )
    mask = stacked([torch.ones(1, len(row.cycles)) for row in rows])
    style = torch.stack([row.style for row in rows])
    return stacked([row.mean for row in rows]), stacked([row.deviation for row in rows]), style, truth, mask


def _wave(item: Item) -> Tensor:
    """As float32 in -1..1."""
    return item.wave if item.wave.dtype == torch.float32 else item.wave.float() / 32767
