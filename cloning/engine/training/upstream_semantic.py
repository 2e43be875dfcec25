"""The official S1 training forward, with its quirks: for parity, and for repeating an upstream training.

Quirks kept here and repaired in `Text2Semantic.forward`: data are padded on the right while the text mask blocks places
on the left, so the first phones of a shorter item are hidden and its padding is visible; end marks in the padding count
in the summed loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.semantic.model import Text2Semantic, prefix_mask

#: A prediction counts as right in the official accuracy when the code is among the best three.
BEST = 3
#: Sharpness of the preference between a sentence and its spoiled copy (DPO, Rafailov et al. 2023, without a reference).
PREFERENCE = 0.2
#: The optimiser's rate: the first step, and every later one; warm-up and cosine are dead code upstream.
FIRST_RATE, LATER_RATE = 0.01, 0.002


@dataclass(frozen=True, slots=True)
class UpstreamPass:
    """`logits` B x (T+1) x V; `targets` B x (T+1), end marks in the padding; `loss` summed over all of them;
    `log_likelihood` B; `accuracy` share of real codes among the best three."""

    logits: Tensor
    targets: Tensor
    loss: Tensor
    log_likelihood: Tensor
    accuracy: Tensor


def upstream_mask(phone_lengths: Tensor, code_lengths: Tensor, phones: int, codes: int) -> Tensor:
    """B x 1 x (phones+codes) square, True = may be looked at, with text padding taken to be on the left."""
    device = phone_lengths.device
    text = torch.arange(phones, device=device)[None] >= phones - phone_lengths[:, None]
    code = torch.arange(codes, device=device)[None] < code_lengths[:, None]
    return prefix_mask(phones, codes, device)[None, None] & torch.cat((text, code), dim=1)[:, None, None]


def upstream_forward(
    model: Text2Semantic,
    phones: Tensor,
    phone_lengths: Tensor,
    codes: Tensor,
    code_lengths: Tensor,
    bert: Tensor | None = None,
) -> UpstreamPass:
    """Teacher-forced pass over a right-padded batch: phones B x X, codes B x T, lengths B, bert B x bert_dim x X."""
    count = codes.shape[1]
    eos = model.config.eos
    padded = codes.masked_fill(torch.arange(count, device=codes.device)[None] >= code_lengths[:, None], eos)
    targets = F.pad(padded, (0, 1), value=eos)
    x = torch.cat((model.embed_text(phones, bert), model.embed_codes(padded)), dim=1)
    hidden = model.h(x, upstream_mask(phone_lengths, code_lengths, phones.shape[1], count))
    logits = model.logits(hidden[:, phones.shape[1] - 1 :]).float()
    each = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    best = (logits.topk(BEST, dim=-1).indices == targets[..., None]).any(-1)
    real = targets != eos
    return UpstreamPass(
        logits=logits,
        targets=targets,
        loss=each.sum(),
        log_likelihood=-each.sum(1),
        accuracy=(best & real).sum() / real.sum().clamp(min=1),
    )


def preference_loss(chosen: UpstreamPass, rejected: UpstreamPass) -> Tensor:
    """How little the sentence is preferred to its spoiled copy, a mean over items; added to the chosen side's loss."""
    return -F.logsigmoid(PREFERENCE * (chosen.log_likelihood - rejected.log_likelihood)).mean()


def spoiled(codes: Tensor, generator: np.random.Generator) -> Tensor:
    """Codes (T,) with a random stretch said twice or left out, as likely the one as the other."""
    if generator.random() < 0.5:
        return repeat_stretch(codes, generator)
    start, end = _stretch(codes, generator)
    return torch.cat((codes[:start], codes[end:]))


def repeat_stretch(codes: Tensor, generator: np.random.Generator) -> Tensor:
    """Codes (T,) with a random stretch said twice. Upstream only ever does this: its choice between repeating and
    leaving out is `randint(0, 1)`, which is always 0."""
    start, end = _stretch(codes, generator)
    return torch.cat((codes[:end], codes[start:end], codes[end:]))


def _stretch(codes: Tensor, generator: np.random.Generator) -> tuple[int, int]:
    start, end = sorted(int(n) for n in generator.integers(0, len(codes), 2))
    return start, end


def upstream_rate(step: int) -> float:
    """Learning rate of the step (counted from 0)."""
    return FIRST_RATE if step == 0 else LATER_RATE
