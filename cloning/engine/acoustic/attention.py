"""The attention layers of S2: windowed relative self-attention with a convolutional feed-forward, and text
cross-attention.

Self-attention follows Shaw et al. 2018 with a window of four places on either side, embeddings shared by the heads.
Shapes: B x C x T throughout, masks B x 1 x T of 0 and 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.layers import ChannelNorm

#: Places on either side that have their own relative embedding.
WINDOW = 4
#: Score of a place that must not be looked at. Finite on purpose: a row with no visible place stays finite.
BLOCKED = -1e4


class Attention(nn.Module):
    """Multi-head attention with 1x1 convolutions as projections; `window` None = no relative positions."""

    def __init__(self, channels: int, heads: int, dropout: float, window: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.window = window
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        for part in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(part.weight)
        if window is not None:
            width = channels // heads
            deviation = width**-0.5
            self.emb_rel_k = nn.Parameter(nn.init.normal_(torch.empty(1, 2 * window + 1, width), 0.0, deviation))
            self.emb_rel_v = nn.Parameter(nn.init.normal_(torch.empty(1, 2 * window + 1, width), 0.0, deviation))

    def forward(self, x: Tensor, source: Tensor, visible: Tensor) -> Tensor:
        """x B x C x T asks, source B x C x S answers; visible B x 1 x T x S of 0 and 1."""
        batch, channels, count = x.shape
        width = channels // self.heads
        query, key, value = (
            conv(part).view(batch, self.heads, width, -1).transpose(2, 3)
            for conv, part in ((self.conv_q, x), (self.conv_k, source), (self.conv_v, source))
        )
        query = query / math.sqrt(width)
        scores = query @ key.transpose(2, 3)
        if self.window is not None:
            near, offset = self._offsets(count, x.device)
            relative = query @ self.emb_rel_k.transpose(1, 2)
            scores = scores + relative.gather(3, offset.expand_as(scores)) * near
        share = scores.masked_fill(visible == 0, BLOCKED).softmax(-1)
        share = F.dropout(share, self.dropout, self.training)
        mixed = share @ value
        if self.window is not None:
            mixed = mixed + self._near_shares(share) @ self.emb_rel_v
        out: Tensor = self.conv_o(mixed.transpose(2, 3).reshape(batch, channels, count))
        return out

    def _offsets(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which pairs lie within the window (0/1), and the row of the embedding each pair uses."""
        assert self.window is not None
        places = torch.arange(count, device=device)
        distance = places[None, :] - places[:, None]
        return (distance.abs() <= self.window).float(), distance.clamp(-self.window, self.window) + self.window

    def _near_shares(self, share: Tensor) -> Tensor:
        """B x H x T x T -> B x H x T x (2 window + 1): the share each place gives to its neighbours, 0 beyond the
        ends."""
        assert self.window is not None
        count = share.shape[-1]
        places = torch.arange(count, device=share.device)[:, None]
        columns = places + torch.arange(2 * self.window + 1, device=share.device)  # in the padded row
        padded = F.pad(share, (self.window, self.window))
        return padded.gather(3, columns.expand(*share.shape[:3], -1))


class FeedForward(nn.Module):
    """Two same-length convolutions with a ReLU between them."""

    def __init__(self, channels: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, inner, kernel, padding=kernel // 2)
        self.conv_2 = nn.Conv1d(inner, channels, kernel, padding=kernel // 2)
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = F.dropout(F.relu(self.conv_1(x * mask)), self.dropout, self.training)
        out: Tensor = self.conv_2(inner * mask) * mask
        return out


class RelativeEncoder(nn.Module):
    """Layers of relative self-attention and feed-forward, post-norm: B x C x T, mask -> B x C x T."""

    def __init__(self, channels: int, inner: int, heads: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attn_layers = nn.ModuleList(Attention(channels, heads, dropout, WINDOW) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, inner, kernel, dropout) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        visible = mask.unsqueeze(2) * mask.unsqueeze(-1)
        x = x * mask
        for attend, norm_1, feed, norm_2 in zip(
            self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True
        ):
            x = norm_1(x + F.dropout(attend(x, x, visible), self.dropout, self.training))
            x = norm_2(x + F.dropout(feed(x, mask), self.dropout, self.training))
        return x * mask
