"""Which parameters move, and how fast relative to the rest: frozen and low-rate parts of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

#: S1: what knows text rather than a voice.
SEMANTIC_TEXT = ("ar_text_embedding", "ar_text_position", "bert_proj")
#: S2: the same; the code encoder knows its job from the base as well.
ACOUSTIC_TEXT = ("enc_p.text_embedding", "enc_p.encoder_text", "enc_p.mrte", "enc_p.encoder_ssl")


def groups(
    model: nn.Module, rate: float, shares: Mapping[Sequence[str], float], frozen: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Optimiser groups with `peak` rates: all that is in no share first, then one group for each share.

    `shares` maps beginnings of names to the share of `rate` they learn with; a share of 0, and every name that begins
    with one of `frozen`, is frozen (`requires_grad` False) and in no group. Parameters frozen before stay so.
    """
    if rate <= 0 or any(share < 0 for share in shares.values()):
        raise ValueError("the rate must be positive and no share negative")
    still = (*frozen, *(start for starts, share in shares.items() if share == 0 for start in starts))
    made: list[dict[str, Any]] = [{"params": [], "peak": rate * share} for share in (1.0, *shares.values())]
    for name, value in model.named_parameters():
        if still and name.startswith(tuple(still)):
            value.requires_grad_(False)
        if not value.requires_grad:
            continue
        place = next((i for i, starts in enumerate(shares, 1) if name.startswith(tuple(starts))), 0)
        made[place]["params"].append(value)
    kept = [group for group in made if group["params"]]
    if not kept:
        raise ValueError("every parameter is frozen")
    return kept
