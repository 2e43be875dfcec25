"""Training the semantic codes themselves: the gradient that a frozen quantizer keeps from its projection.

Straight-through estimation and commitment (van den Oord et al. 2017), entries as moving averages, entries that nothing
is near to replaced by content vectors (Razavi et al. 2019; Zeghidour et al. 2021). Official fine-tunes freeze all of it
(freeze_quantizer), and so does ours: S1, prompts and every other voice of the base speak the same codes. It is for
training a base.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import length_mask

#: Share of the old average that an update keeps, and the average count in a batch below which an entry is replaced
#: (upstream's 2 is for batches of some hundred utterances).
DECAY = 0.99
DEAD = 0.02
#: Added to counts so that an unused entry is not divided by nothing.
SMOOTHING = 1e-5


class CodeTraining:
    """Codes of a batch with a gradient, and the moving averages behind them. Lets the model's `ssl_proj` learn."""

    def __init__(self, model: AcousticModel) -> None:
        self.model = model
        if model.ssl_proj is not None:
            model.ssl_proj.requires_grad_(True)

    def __call__(self, content: Tensor, lengths: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Content frames B x content_dim x F and lengths B in codes -> frames to decode from (the same shape, the
        gradient goes to the projection as if nothing had been rounded) and the mean squared distance to the codes."""
        model = self.model
        vectors = model.code_vectors(content)
        codes = model.quantizer.encode(vectors.detach())
        chosen = model.quantizer.decode(codes)
        real = length_mask(lengths, vectors.shape[2])
        distance = ((vectors - chosen.detach()).square() * real).sum() / (real.sum() * vectors.shape[1])
        rounded = vectors + (chosen - vectors).detach()
        places = real[:, 0].bool()
        self._follow(vectors.detach().transpose(1, 2)[places], codes[places], generator)
        return model.lay_out(rounded), distance

    @torch.no_grad()
    def _follow(self, vectors: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """Move the entries (K x D) towards the mean of the vectors (N x D) that chose them."""
        book = self.model.quantizer.book
        chosen = F.one_hot(codes, len(book.embed)).to(vectors)
        book.cluster_size.lerp_(chosen.sum(0), 1 - DECAY)
        book.embed_avg.lerp_(chosen.T @ vectors, 1 - DECAY)
        dead = book.cluster_size < DEAD
        count = int(dead.sum())
        if count:
            picked = torch.randint(len(vectors), (count,), generator=generator).to(vectors.device)
            book.embed_avg[dead] = vectors[picked]
            book.cluster_size[dead] = 1.0
        total = book.cluster_size.sum()
        counts = (book.cluster_size + SMOOTHING) / (total + len(book.embed) * SMOOTHING) * total
        book.embed.copy_(book.embed_avg / counts[:, None])
