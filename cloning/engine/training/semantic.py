"""S1's stage: learn to read in this voice (phones to codes)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.semantic.model import IGNORED, SemanticOutput, Text2Semantic
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, pick, prosody, stack
from cloning.engine.training.groups import SEMANTIC_TEXT, groups
from cloning.engine.training.loop import rate_at, step_optimiser
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import SemanticRecipe
from cloning.engine.training.upstream_semantic import PREFERENCE, spoiled

#: Longest pair of utterances in codes (12 s): longer ones are left single.
MOST_PAIRED = 300


class SemanticStage:
    """Trains a Text2Semantic on items that have text; pairs of one speaker stand for a prompt and its continuation."""

    name = "semantic"

    def __init__(
        self, model: Text2Semantic, items: Sequence[Item], recipe: SemanticRecipe, *, bfloat16: bool, device: str
    ) -> None:
        self.model = model.to(device)
        self.recipe = recipe
        self.steps = recipe.steps
        self.items = [item for item in items if item.has_text]
        self.device = device
        self.bfloat16 = bfloat16
        self.same: dict[str, list[Item]] = {}
        for item in self.items:
            self.same.setdefault(item.speaker, []).append(item)
        self.optimiser = torch.optim.AdamW(
            groups(model, recipe.learning_rate, {SEMANTIC_TEXT: recipe.text_rate}, recipe.frozen),
            lr=recipe.learning_rate, betas=recipe.betas, weight_decay=0.01, fused=True,
        )  # fmt: skip

    def modules(self) -> dict[str, nn.Module]:
        return {"semantic": self.model}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"semantic": self.optimiser}

    def halve(self) -> bool:
        if self.recipe.batch == 1:
            return False
        self.recipe = dataclasses.replace(self.recipe, batch=self.recipe.batch // 2)
        return True

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        phones, codes, targets, chains = [], [], [], []
        # A whole batch is paired or none of it: mixed lengths would mostly be padding.
        paired = rng.random() < self.recipe.paired
        parts = (2 if paired else 1) * (2 if self.recipe.preference else 1)
        for item in pick(self.items, max(1, self.recipe.batch // parts), rng):
            chain = [item]
            if paired:
                friends = self.same[item.speaker]
                other = friends[int(rng.integers(len(friends)))]
                if other is not item and len(other.codes) + len(item.codes) <= MOST_PAIRED:
                    chain = [other, item]
            chains.append(chain)
            phones.append(torch.cat([part.phones for part in chain]))
            codes.append(torch.cat([part.codes for part in chain]))
            targets.append(
                torch.cat(
                    [
                        torch.full_like(part.codes, IGNORED) if part.phone_targets is None else part.phone_targets
                        for part in chain
                    ]
                )
            )
        has_targets = any(bool((row != IGNORED).any()) for row in targets)
        phone_rows, phone_lengths = stack(phones, PHONE_STEP)
        code_rows, code_lengths = stack(codes, CODE_STEP)
        target_rows, _ = stack(targets, CODE_STEP, IGNORED)
        bert = prosody(chains, dim=self.model.config.bert_dim, width=phone_rows.shape[1])
        bert = None if bert is None else bert.to(self.device)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = self.model(
                phone_rows.to(self.device), phone_lengths.to(self.device),
                code_rows.to(self.device), code_lengths.to(self.device),
                phone_targets=target_rows.to(self.device) if has_targets and self.model.phone_head else None,
                bert=bert,
            )  # fmt: skip
            loss = out.loss
            if self.recipe.preference:
                worse, worse_lengths = stack([spoiled(row, rng) for row in codes], CODE_STEP)
                rejected = self.model(
                    phone_rows.to(self.device), phone_lengths.to(self.device),
                    worse.to(self.device), worse_lengths.to(self.device), bert=bert,
                )  # fmt: skip
                margin = log_likelihood(out, code_rows, code_lengths, self.model.config.eos)
                margin = margin - log_likelihood(rejected, worse, worse_lengths, self.model.config.eos)
                loss = loss - self.recipe.preference * F.logsigmoid(PREFERENCE * margin).mean()
        share = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        if not step_optimiser(loss, self.model, self.optimiser, share=share, clip=self.recipe.clip):
            return None
        return float(out.codes_loss)


def log_likelihood(out: SemanticOutput, codes: Tensor, code_lengths: Tensor, eos: int) -> Tensor:
    """Of each item (B,): its codes (B x T, with their lengths) and the end mark, padding left out, summed."""
    place = torch.arange(codes.shape[1] + 1)[None]
    targets = F.pad(codes, (0, 1)).masked_fill(place == code_lengths[:, None], eos)
    targets = targets.masked_fill(place > code_lengths[:, None], IGNORED).to(out.logits.device)
    each = F.cross_entropy(out.logits.float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return -each.sum(1)


@torch.inference_mode()
def semantic_loss(model: Text2Semantic, items: Sequence[Item], batch: int = 8) -> tuple[float, float]:
    """Mean cross entropy and top-1 accuracy over single items, for held-out measurement."""
    was, losses, accuracies = model.training, [], []
    device = next(model.parameters()).device
    model.eval()
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        phones, phone_lengths = stack([item.phones for item in part], PHONE_STEP)
        codes, code_lengths = stack([item.codes for item in part], CODE_STEP)
        bert = prosody([[item] for item in part], dim=model.config.bert_dim, width=phones.shape[1])
        out = model(
            phones.to(device), phone_lengths.to(device), codes.to(device), code_lengths.to(device),
            bert=None if bert is None else bert.to(device),
        )  # fmt: skip
        losses.append(float(out.codes_loss) * len(part))
        accuracies.append(float(out.accuracy) * len(part))
    model.train(was)
    return sum(losses) / len(items), sum(accuracies) / len(items)
