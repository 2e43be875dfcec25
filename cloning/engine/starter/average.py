"""The mean of a network's latest weights, which does better than those of any single step (Polyak and Juditsky
1992)."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Follows a network while it is trained: `network` moves by one part in `steps` towards it (faster in the
    beginning). Made before the network is changed to quicker forms."""

    def __init__(self, network: nn.Module, steps: int) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.steps = steps

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """After step `step` (1 is the first)."""
        ours = dict(self.network.named_parameters())
        theirs = dict(network.named_parameters())
        share = max(1 / self.steps, 1 / (step + 1))
        torch._foreach_lerp_(list(ours.values()), [theirs[name].detach() for name in ours], share)
