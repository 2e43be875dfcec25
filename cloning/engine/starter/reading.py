"""Teaching S1 to read from speech whose phone times are known: its stage in the making of a starter base.

A small S1 loses its place: it repeats or leaves out what sounds alike. Here it is told where it is. Some of its
attention heads are asked, beside their work, to look at the phone that is being spoken (Tachibana et al. 2018 guide
attention by a prior; here the synthesiser knows the truth, so it is a plain cross entropy). The network does not
change and needs no times to speak.

It also learns to go on after a mistake: some of the codes it continues are exchanged for others. Otherwise its own
first slip in free speech is the first it ever met (exposure bias; Bengio et al. 2015 draw them from the model itself).

Utterances of one speaker are laid end to end into chains, which is what a prompt and its continuation look like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.semantic.model import IGNORED, SelfAttention, Text2Semantic, prefix_mask
from cloning.engine.starter.average import Average
from cloning.engine.starter.items import TimedItem
from cloning.engine.training import quick
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, stack
from cloning.engine.training.loop import rate_at, step_optimiser

#: Longest chain: sixteen seconds.
MOST_CODES = 400
#: Batches are cut from this many times as many chains, sorted by length, so that little of them is padding.
POOL = 6


@dataclass(frozen=True)
class Guide:
    """Head `head` of layer `layer` looks, from the row of code t, at the phone spoken at code t + `ahead`."""

    layer: int
    head: int
    ahead: int = 0


#: Two layers find the place, the one after them what comes next.
GUIDES = (Guide(1, 0), Guide(2, 0), Guide(3, 0, ahead=1))


@dataclass(frozen=True)
class ReadingRecipe:
    steps: int = 6000
    #: Places of one batch, phones and codes and padding together.
    places: int = 3200
    learning_rate: float = 8e-4
    warm_up: int = 100
    final: float = 0.02
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    phone_weight: float = 0.5
    guide_weight: float = 0.3
    guides: tuple[Guide, ...] = GUIDES
    #: Share of chains that get a second utterance, and of those a third.
    chained: float = 0.5
    #: Of each row, up to this share of the codes that are read (not of those to be said) is exchanged.
    slips: float = 0.3
    #: The averaged weights move by one part in this many (at most; faster in the beginning).
    average: int = 400


class ReadingStage:
    """Trains a Text2Semantic on timed items (a `training.loop.Stage`); `average` is what to keep."""

    name = "semantic"

    def __init__(
        self, model: Text2Semantic, items: Sequence[TimedItem], recipe: ReadingRecipe, *, bfloat16: bool, device: str
    ) -> None:
        self.model = model.to(device)
        self.average = Average(self.model, recipe.average)
        for layer in range(model.config.layers):
            # A fifth of a step goes into it, and material that is made on demand is not learnt by heart.
            _attention(model, layer).dropout = 0.0
        if bfloat16 and quick.available(device):
            quick.quicken(self.model)
        self.recipe = recipe
        self.steps = recipe.steps
        self.items = [item for item in items if len(item.codes) <= MOST_CODES]
        self.device = device
        self.bfloat16 = bfloat16
        self.same: dict[str, list[TimedItem]] = {}
        for item in self.items:
            self.same.setdefault(item.speaker, []).append(item)
        #: Latest values of the parts of the loss.
        self.parts: dict[str, float] = {}
        self.optimiser = torch.optim.AdamW(
            [{"params": list(model.parameters()), "peak": recipe.learning_rate}],
            lr=recipe.learning_rate, betas=recipe.betas, weight_decay=0.01,
        )  # fmt: skip

    def modules(self) -> dict[str, nn.Module]:
        return {"semantic": self.model, "average": self.average.network}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"semantic": self.optimiser}

    def chain(self, rng: np.random.Generator) -> list[TimedItem]:
        """One to three utterances of one speaker, at most MOST_CODES together."""
        out = [self.items[int(rng.integers(len(self.items)))]]
        friends = self.same[out[0].speaker]
        while len(out) < 3 and rng.random() < self.recipe.chained:
            other = friends[int(rng.integers(len(friends)))]
            if sum(len(item.codes) for item in out) + len(other.codes) > MOST_CODES:
                break
            out.insert(0, other)
        return out

    def batch(self, rng: np.random.Generator) -> list[list[TimedItem]]:
        """Chains of like length, at most `places` with their padding (always one)."""
        first = self.chain(rng)
        wanted = _places(first)
        count = max(1, self.recipe.places // wanted)
        pool = sorted((self.chain(rng) for _ in range(POOL * count)), key=_places)
        nearest = sorted(pool, key=lambda chain: abs(_places(chain) - wanted))
        chosen = [first]
        for chain in nearest:
            text = _padded(max(sum(len(i.phones) for i in c) for c in [*chosen, chain]), PHONE_STEP)
            code = _padded(max(sum(len(i.codes) for i in c) for c in [*chosen, chain]), CODE_STEP)
            if (text + code) * (len(chosen) + 1) > self.recipe.places:
                break
            chosen.append(chain)
        return chosen

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        chains = self.batch(rng)
        phones, phone_lengths = stack([torch.cat([i.phones for i in c]) for c in chains], PHONE_STEP)
        codes, code_lengths = stack([torch.cat([i.codes for i in c]) for c in chains], CODE_STEP)
        targets, _ = stack([torch.cat([_targets(i) for i in c]) for c in chains], CODE_STEP, IGNORED)
        places, _ = stack([_places_in(c) for c in chains], CODE_STEP, IGNORED)
        phones, codes, targets, places = (x.to(self.device) for x in (phones, codes, targets, places))
        phone_lengths, code_lengths = phone_lengths.to(self.device), code_lengths.to(self.device)
        recipe = self.recipe
        guides = recipe.guides if recipe.guide_weight else ()
        with (
            torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16),
            watched(self.model, guides) as seen,
            slipping(self.model, slipped(codes, code_lengths, recipe.slips, generator)),
        ):
            out = self.model(
                phones, phone_lengths, codes, code_lengths, phone_targets=targets, phone_weight=recipe.phone_weight
            )
            loss = out.loss
            guided = torch.zeros((), device=self.device)
            if guides:
                guided = attention_loss(self.model, guides, seen, places, phone_lengths, phones.shape[1])
                loss = loss + recipe.guide_weight * guided
        share = rate_at(step, steps=self.steps, warm_up=recipe.warm_up, final=recipe.final)
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=recipe.clip):
            return None
        self.average.follow(self.model, step)
        self.parts = {"phone": float(out.phone_loss), "guide": float(guided.detach()), "top-1": float(out.accuracy)}
        return float(out.codes_loss)


@contextmanager
def watched(model: Text2Semantic, guides: Sequence[Guide]) -> Iterator[dict[int, Tensor]]:
    """Within: what the guided layers' attention gets to see in the latest forward, by layer, B x N x D."""
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> object:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[layer] = inputs[0]

        return hook

    layers = {guide.layer for guide in guides}
    handles = [_attention(model, layer).register_forward_pre_hook(keep(layer)) for layer in layers]  # type: ignore[arg-type]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def slipped(codes: Tensor, lengths: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Codes B x T with a share of each row, uniform in 0..most, exchanged for codes from anywhere in the batch."""
    batch, count = codes.shape
    real = (torch.arange(count)[None] < lengths.cpu()[:, None]).to(codes.device)
    pool = codes[real]
    drawn = pool[torch.randint(len(pool), (batch, count), generator=generator).to(codes.device)]
    shares = torch.rand(batch, 1, generator=generator) * most
    hit = torch.rand(batch, count, generator=generator) < shares
    return torch.where(hit.to(codes.device), drawn, codes)


@contextmanager
def slipping(model: Text2Semantic, codes: Tensor) -> Iterator[None]:
    """Within: the model reads these codes instead of those it is given; what it shall say stays as given."""
    handle = model.ar_audio_embedding.register_forward_pre_hook(lambda _module, _inputs: (codes,))
    try:
        yield
    finally:
        handle.remove()


def attention_loss(
    model: Text2Semantic,
    guides: Sequence[Guide],
    seen: Mapping[int, Tensor],
    places: Tensor,
    phone_lengths: Tensor,
    width_text: int,
) -> Tensor:
    """Mean over guides of the mean cross entropy between a head's attention and the phone it should look at.

    `seen`: inputs of the guided layers' attention, B x (X + T) x D; `places` B x T: row of the phone spoken at each
    code, IGNORED where unknown. The head's whole attention counts, so looking at codes instead of text costs too.
    """
    count = places.shape[1]
    device = places.device
    text_real = torch.arange(width_text, device=device)[None] < phone_lengths[:, None]
    columns = F.pad(text_real, (0, count), value=True)
    visible = prefix_mask(width_text, count, device)[width_text:] & columns[:, None]
    losses = []
    for guide in guides:
        attention = _attention(model, guide.layer)
        x = seen[guide.layer]
        width = x.shape[2]
        size = width // attention.heads
        rows = slice(guide.head * size, (guide.head + 1) * size)
        weight = attention.in_proj_weight.view(3, width, width)[:, rows]
        bias = attention.in_proj_bias.view(3, width)[:, rows]
        query = F.linear(x[:, width_text:], weight[0], bias[0])
        key = F.linear(x, weight[1], bias[1])
        scores = (query @ key.transpose(1, 2)).float() * size**-0.5
        scores = scores.masked_fill(~visible, -torch.inf)
        wanted = F.pad(places, (0, guide.ahead), value=IGNORED)[:, guide.ahead :]
        known = int((wanted != IGNORED).sum())
        summed = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum")
        losses.append(summed / max(1, known))
    return torch.stack(losses).mean()


def _attention(model: Text2Semantic, layer: int) -> SelfAttention:
    block = model.h.layers[layer]
    assert isinstance(block.self_attn, SelfAttention)
    return block.self_attn


def _targets(item: TimedItem) -> Tensor:
    return torch.full_like(item.codes, IGNORED) if item.phone_targets is None else item.phone_targets


def _places_in(chain: Sequence[TimedItem]) -> Tensor:
    """Rows of the chain's phones laid end to end, for each of its codes."""
    out, start = [], 0
    for item in chain:
        out.append(torch.where(item.places == IGNORED, IGNORED, item.places + start))
        start += len(item.phones)
    return torch.cat(out)


def _places(chain: Sequence[TimedItem]) -> int:
    return sum(len(item.phones) + len(item.codes) for item in chain)


def _padded(length: int, step: int) -> int:
    return -(-length // step) * step
