"""Decoding S1: how the next code is chosen, and when to stop.

The order of the steps is the one users of GPT-SoVITS know: repetition penalty over everything said so far (prompt
included), top-p on the untempered distribution, temperature, top-k, then a draw. The draw uses the Gumbel trick in its
exponential form (argmax of p / Exp(1)), with the caller's own `torch.Generator`: no global random state is read or
changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.semantic.model import KeyValueCache, Text2Semantic, prefix_mask

#: The end mark cannot be chosen in the first steps: nothing shorter than 0.44 s is speech (official rule, idx 0..10).
STEPS_WITHOUT_END = 11
#: Absolute limit on codes for one fragment, one minute at 25 Hz (the official limit of 1500 steps).
MOST_CODES = 1500
#: Slowest speech that counts as speech: training data below 3 phones a second are dropped, 25 / 3 codes for a phone.
MOST_CODES_PER_PHONE = 25 / 3
#: Pauses at both ends, added to every bound: one second.
SLACK_CODES = 25
#: How much slower than its own reference recording a voice may speak before it counts as babble.
PACE_TOLERANCE = 2.5
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


@dataclass(frozen=True, slots=True)
class Decoded:
    """`codes`: N int64, without prompt and end mark. `ended`: True when the model stopped by itself, False at the
    bound."""

    codes: Tensor
    ended: bool


def penalise(logits: Tensor, previous: Tensor, penalty: float) -> Tensor:
    """Make codes already said less likely: positive scores are divided, negative ones multiplied (Keskar et al. 2019).

    logits B x V, previous B x N int64 -> new B x V.
    """
    if penalty == 1.0 or previous.shape[1] == 0:
        return logits
    score = logits.gather(1, previous)
    return logits.scatter(1, previous, torch.where(score < 0, score * penalty, score / penalty))


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


def code_bound(target_phones: int, prompt_phones: int = 0, prompt_codes: int = 0) -> int:
    """Most codes that `target_phones` phones may take; the reason why babble cannot be endless.

    With a prompt its own pace counts (times a tolerance), never more than the slowest speech that training admits.
    """
    pace = MOST_CODES_PER_PHONE
    if prompt_phones > 0 and prompt_codes > 0:
        pace = min(pace, PACE_TOLERANCE * prompt_codes / prompt_phones)
    return min(MOST_CODES, SLACK_CODES + math.ceil(pace * target_phones))


@torch.inference_mode()
def decode(
    model: Text2Semantic,
    phones: Tensor,
    *,
    generator: torch.Generator,
    sampling: Sampling,
    most: int,
    prompt: Tensor | None = None,
    bert: Tensor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Decoded:
    """Say `phones` (1 x X: the prompt's phones, then the target's) as codes that continue `prompt` (1 x P or None).

    At most `most` codes. Stops when the end mark is drawn or is the best score after the penalty, even undrawn.
    Every predicted code is kept (the official result drops one when a limit ends the decoding).
    progress(n) is called after every code.
    """
    config = model.config
    if phones.shape[0] != 1 or phones.shape[1] == 0:
        raise ValueError("decode takes one non-empty row of phones")
    said = torch.empty(1, 0, dtype=torch.long, device=phones.device) if prompt is None else prompt
    before = said.shape[1]
    x = model.embed_text(phones, bert)
    if before:
        x = torch.cat((x, model.embed_codes(said)), dim=1)
    cache = KeyValueCache(config, x.shape[1] + most, x)
    visible = prefix_mask(phones.shape[1], before, x.device)[None, None]
    logits = model.logits(model.h(x, visible, cache)[:, -1]).float()
    ended = False
    for step in range(most):
        if step < STEPS_WITHOUT_END:
            logits = logits[:, : config.eos]
        logits = penalise(logits, said, sampling.repetition_penalty)
        choice = draw(probabilities(logits, sampling), generator)
        if int(choice) == config.eos or int(logits.argmax(-1)) == config.eos:
            ended = True
            break
        said = torch.cat((said, choice[:, None]), dim=1)
        if progress is not None:
            progress(said.shape[1] - before)
        if step + 1 < most:
            x = model.embed_codes(choice[:, None], start=said.shape[1] - 1)
            logits = model.logits(model.h(x, None, cache)[:, -1]).float()
    return Decoded(codes=said[0, before:].clone(), ended=ended)
