"""The normalising flow of S2: additive couplings (Dinh et al. 2017, mean only) with a channel flip after each.

Volume preserving, so the KL term needs no determinant. B x latent x F, mask B x 1 x F, style B x style x 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.encoders import STACK_KERNEL
from cloning.engine.acoustic.layers import GatedStack
from cloning.engine.config import AcousticConfig


class Coupling(nn.Module):
    """Moves the second half of the channels by an amount computed from the first half. Starts as the identity."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        half = config.latent // 2
        self.pre = nn.Conv1d(half, config.flow_hidden, 1)
        self.enc = GatedStack(config.flow_hidden, STACK_KERNEL, config.flow_layers, config.style)
        self.post = nn.Conv1d(config.flow_hidden, half, 1)
        nn.init.zeros_(self.post.weight)
        assert self.post.bias is not None
        nn.init.zeros_(self.post.bias)

    def forward(self, x: Tensor, mask: Tensor, style: Tensor, reverse: bool) -> Tensor:
        kept, moved = x.chunk(2, dim=1)
        shift = self.post(self.enc(self.pre(kept) * mask, mask, style)) * mask
        moved = (moved - shift) * mask if reverse else shift + moved * mask
        return torch.cat((kept, moved), dim=1)


class Flow(nn.Module):
    """`flow`: posterior latent to prior latent; `reverse` the other way. Couplings sit at the even indices of
    `flows`."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        # The odd places are the parameterless flips; keeping them keeps the official numbering.
        self.flows = nn.ModuleList(part for _ in range(config.flows) for part in (Coupling(config), nn.Identity()))

    def forward(self, x: Tensor, mask: Tensor, style: Tensor, *, reverse: bool = False) -> Tensor:
        couplings = list(self.flows)[::2]
        if reverse:
            for coupling in reversed(couplings):
                x = coupling(x.flip(1), mask, style, True)
            return x
        for coupling in couplings:
            x = coupling(x, mask, style, False).flip(1)
        return x
