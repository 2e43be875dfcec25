"""The semantic codebook: nearest entry, and back. Frozen while voices are trained.

Buffers are laid out like the official one-layer residual quantizer (`quantizer.vq.layers.0._codebook.*`);
`cluster_size` and `embed_avg` are the moving averages with which the official base was trained, kept so that files
round-trip.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Codebook(nn.Module):
    """Entries as buffers: `embed` codes x dim."""

    inited: Tensor
    cluster_size: Tensor
    embed: Tensor
    embed_avg: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("inited", torch.ones(1))
        self.register_buffer("cluster_size", torch.ones(codes))
        self.register_buffer("embed", nn.init.normal_(torch.empty(codes, dim), 0.0, dim**-0.5))
        self.register_buffer("embed_avg", self.embed.clone())


class Quantizer(nn.Module):
    """`encode`: B x dim x N -> codes B x N. `decode`: codes B x N -> B x dim x N."""

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        layer = nn.Module()
        layer._codebook = Codebook(codes, dim)
        self.vq = nn.Module()
        self.vq.layers = nn.ModuleList([layer])
        self.codes = codes

    @property
    def book(self) -> Codebook:
        book: Codebook = self.vq.layers[0]._codebook  # type: ignore[index,union-attr]
        return book

    @torch.no_grad()
    def set_entries(self, entries: Tensor) -> None:
        """Take over the codes x dim entries of a finished clustering. Raises ValueError for another shape."""
        if entries.shape != self.book.embed.shape:
            raise ValueError(f"codebook is {tuple(self.book.embed.shape)}, not {tuple(entries.shape)}")
        self.book.embed.copy_(entries)
        self.book.embed_avg.copy_(entries)

    @torch.no_grad()
    def encode(self, vectors: Tensor) -> Tensor:
        """Index of the nearest entry (Euclidean). The vector's own square is the same for all entries, so it is left
        out."""
        flat = vectors.transpose(1, 2)
        entries = self.book.embed
        distance = entries.square().sum(1) - 2 * flat @ entries.T
        return distance.argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        return nn.functional.embedding(codes, self.book.embed).transpose(1, 2)
