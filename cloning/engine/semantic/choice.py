"""How the next code is chosen from its scores.

The order of the steps is the one users of GPT-SoVITS know: repetition penalty over everything said so far (prompt
included), top-p on the untempered distribution, temperature, top-k, then a draw. The draw uses the Gumbel trick in its
exponential form (argmax of p / Exp(1)), with the caller's own `torch.Generator`: no global random state is read or
changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Smallest temperature, so that 0 means "greedy" and not a division by zero.
LEAST_TEMPERATURE = 1e-5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose. top_k 0 = off, top_p in (0, 1], temperature >= 0, repetition_penalty > 0 (1 = off)."""

    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    repetition_penalty: float = 1.35

    def __post_init__(self) -> None:
        finite = all(math.isfinite(v) for v in (self.top_p, self.temperature, self.repetition_penalty))
        if not (finite and self.top_k >= 0 and 0 < self.top_p <= 1 and 0 <= self.temperature <= 10):
            raise ValueError("sampling parameters out of range")
        if not 0.1 <= self.repetition_penalty <= 10:
            raise ValueError("repetition_penalty must be between 0.1 and 10")


def penalise(logits: Tensor, previous: Tensor, penalty: float) -> Tensor:
    """Make codes already said less likely: positive scores are divided, negative ones multiplied (Keskar et al. 2019).

    logits B x V, previous B x N int64 -> new B x V.
    """
    if penalty == 1.0 or previous.shape[1] == 0:
        return logits
    score = logits.gather(1, previous)
    return logits.scatter(1, previous, torch.where(score < 0, score * penalty, score / penalty))


def penalise_seen(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """The same with what was said as marks: seen B x V bool. Costs the same however long the speech is."""
    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """B x V scores (penalty already applied) -> B x V probabilities after top-p, temperature and top-k."""
    if sampling.top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True)
        beyond = ordered.softmax(-1).cumsum(-1) > sampling.top_p
        beyond[:, 0] = False
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -math.inf)
    logits = logits / max(sampling.temperature, LEAST_TEMPERATURE)
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return logits.softmax(-1)


def draw(chances: Tensor, generator: torch.Generator) -> Tensor:
    """One index a row by the exponential race: B x V -> B int64. `generator` lives on the CPU whatever the device, so
    that a seed means the same race everywhere."""
    race = torch.empty(chances.shape).exponential_(1.0, generator=generator).to(chances)
    return (chances / race).argmax(-1)
