"""S1 practises: it reads texts aloud in codes, its own ears tell a good reading from a bad one, and it learns to prefer
the good one (direct preference optimisation, Rafailov et al. 2023, on its own readings).

What it learns from speech it continues what a synthesiser said; here it meets its own slips. No sound is needed, so
texts are endless. The ears are those of `starter.ears`, so a judge of `evaluate` has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.semantic.choice import Sampling
from cloning.engine.semantic.model import IGNORED, Text2Semantic
from cloning.engine.semantic.sampling import Utterance, code_bound, decode_batch, prepare
from cloning.engine.starter.average import Average
from cloning.engine.starter.ears import PATIENCE, Ears
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, stack
from cloning.engine.training.loop import rate_at, run, step_optimiser

#: Warmer than voices are drawn, so that there is something to tell apart.
WARM = Sampling(top_k=15, top_p=1.0, temperature=0.9, repetition_penalty=1.0)


@dataclass(frozen=True)
class PractisingRecipe:
    """`readings` are drawn of each text; two of them are a pair when the ears' scores (nats a frame) are `margin` apart
    and their lengths at most `stretch` of the shorter: what sounds clear because it is slow shall not be preferred."""

    readings: int = 8
    sampling: Sampling = WARM
    margin: float = 0.08
    stretch: float = 0.06
    steps: int = 120
    #: Places of one batch, phones and codes and padding of both readings of each pair together.
    places: int = 4000
    learning_rate: float = 5e-5
    warm_up: int = 20
    final: float = 0.1
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    #: Sharpness of the preference, and weight of the better reading's own cross entropy, which keeps it likely.
    sharpness: float = 0.1
    anchor: float = 1.0
    average: int = 30


@dataclass(frozen=True)
class Pair:
    """Two readings of the phones X, codes without the end mark; `before`: how much likelier the model found the better
    one before it practised, in nats."""

    phones: Tensor
    better: Tensor
    worse: Tensor
    before: float = 0.0


def practise(
    model: Text2Semantic,
    ears: Ears,
    texts: Sequence[Sequence[int]],
    recipe: PractisingRecipe,
    *,
    seed: int,
    report: Callable[[int], None],
) -> list[Pair]:
    """The pairs that the model's readings of the texts (phone ids) give; report(texts read)."""
    runner = prepare(model)
    pairs = []
    for number, ids in enumerate(texts):
        phones = torch.tensor(ids)
        readings = [
            Utterance(phones, torch.Generator().manual_seed(key), recipe.sampling, code_bound(len(ids)))
            for key in np.random.default_rng((seed, number)).integers(2**62, size=recipe.readings).tolist()
        ]
        said = [one.codes for one in decode_batch(runner, readings, patience=PATIENCE) if one.ended]
        chosen = chosen_pair(said, [ears.score(codes, ids) for codes in said], recipe)
        if chosen is not None:
            pairs.append(Pair(phones, *chosen))
        report(number + 1)
    return pairs


def chosen_pair(
    said: Sequence[Tensor], scores: Sequence[float], recipe: PractisingRecipe
) -> tuple[Tensor, Tensor] | None:
    """The best reading and the worst of about its length, the better one first; None where none is `margin` worse."""
    if not said:
        return None
    best = int(np.argmax(scores))
    length = len(said[best])
    near = [n for n in range(len(said)) if abs(len(said[n]) - length) <= recipe.stretch * min(length, len(said[n]))]
    worst = min(near, key=lambda n: scores[n])
    return (said[best], said[worst]) if scores[best] - scores[worst] >= recipe.margin else None


class PractisingStage:
    """Trains a Text2Semantic on pairs (a `training.loop.Stage`); `average` is what to keep."""

    name = "practice"

    def __init__(self, model: Text2Semantic, pairs: Sequence[Pair], recipe: PractisingRecipe, *, device: str) -> None:
        # Without dropout: the preference compares likelihoods.
        self.model = model.to(device).eval()
        self.average = Average(self.model, recipe.average)
        self.recipe = recipe
        self.steps = recipe.steps
        self.device = device
        self.pairs = sorted(self._known(pairs), key=lambda pair: len(pair.better))
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

    @torch.no_grad()
    def _known(self, pairs: Sequence[Pair]) -> list[Pair]:
        return [replace(pair, before=float(self._likelier([pair])[0])) for pair in pairs]

    def _likelier(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        """How much likelier the better readings are now (B, nats), and their mean cross entropy a code."""
        both = [pair.better for pair in pairs] + [pair.worse for pair in pairs]
        told, counts = likelihoods(self.model, [pair.phones for pair in pairs] * 2, both, self.device)
        better, worse = told.chunk(2)
        return better - worse, -better.sum() / counts.chunk(2)[0].sum()

    def batch(self, rng: np.random.Generator) -> list[Pair]:
        """Neighbours by length from a random one on, as many as `places` allow (always one)."""
        start = int(rng.integers(len(self.pairs)))
        chosen: list[Pair] = []
        for pair in self.pairs[start:]:
            width = len(pair.phones) + max(len(pair.better), len(pair.worse))
            if chosen and 2 * (len(chosen) + 1) * (width + PHONE_STEP + CODE_STEP) > self.recipe.places:
                break
            chosen.append(pair)
        return chosen

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        pairs = self.batch(rng)
        likelier, entropy = self._likelier(pairs)
        gained = likelier - torch.tensor([pair.before for pair in pairs], device=self.device)
        preference = -F.logsigmoid(self.recipe.sharpness * gained).mean()
        loss = preference + self.recipe.anchor * entropy
        share = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=self.recipe.clip):
            return None
        self.average.follow(self.model, step)
        self.parts = {"gained": float(gained.detach().mean()), "entropy": float(entropy.detach())}
        return float(preference.detach())


def prefer(
    model: Text2Semantic,
    pairs: Sequence[Pair],
    recipe: PractisingRecipe,
    *,
    seed: int,
    device: str,
    report: Callable[[int, float], None],
) -> Text2Semantic:
    """The model after it has learnt from the pairs (the mean of its latest weights); report(step, loss). `model` itself
    is changed as well."""
    stage = PractisingStage(model, pairs, recipe, device=device)
    run(
        stage, seed=seed, start=0, progress=lambda now: report(now.step, now.loss), most_skipped=0,
        checkpoint_every=recipe.steps, save_at=None, should_stop=None,
    )  # fmt: skip
    learnt = stage.average.network.cpu()
    assert isinstance(learnt, Text2Semantic)
    return learnt


def likelihoods(
    model: Text2Semantic, phones: Sequence[Tensor], codes: Sequence[Tensor], device: str
) -> tuple[Tensor, Tensor]:
    """Log likelihood B of readings, their end mark included, and how many codes and marks each has, B."""
    text, text_lengths = (x.to(device) for x in stack(phones, PHONE_STEP))
    said, lengths = (x.to(device) for x in stack(codes, CODE_STEP))
    logits = model(text, text_lengths, said, lengths).logits.float()
    rows, count = torch.arange(len(codes), device=device), said.shape[1]
    targets = F.pad(said.masked_fill(torch.arange(count, device=device)[None] >= lengths[:, None], IGNORED), (0, 1))
    targets[:, -1] = IGNORED
    targets[rows, lengths] = model.config.eos
    each = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return -each.sum(1), lengths + 1
