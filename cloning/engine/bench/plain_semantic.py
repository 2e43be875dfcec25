"""The plain way to decode S1, to measure against: what the official service does, without its TorchScript.

Eager float32. Keys and values grow by concatenation in every layer at every step; a batch is padded on the left and
carries a boolean mask; the sampler sorts all scores. It computes the same function as the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.semantic.choice import LEAST_TEMPERATURE, Sampling, penalise
from cloning.engine.semantic.model import Block, Text2Semantic


class PlainBatch:
    """B utterances with one prompt length, read on construction. `step` says one code for each, never stopping."""

    @torch.inference_mode()
    def __init__(self, model: Text2Semantic, phones: Sequence[Tensor], prompts: Tensor, sampling: Sampling) -> None:
        """phones: X each; prompts B x P."""
        self.model = model
        self.sampling = sampling
        self.said = prompts
        longest = max(p.shape[0] for p in phones)
        texts = [F.pad(model.embed_text(p[None])[0], (0, 0, longest - p.shape[0], 0)) for p in phones]
        x = torch.cat((torch.stack(texts), model.embed_codes(prompts)), dim=1)
        total = x.shape[1]
        row, column = torch.arange(total)[:, None], torch.arange(total)[None]
        visible = (column < longest) | ((row >= longest) & (column <= row))
        real = torch.arange(total)[None] >= torch.tensor([[longest - p.shape[0]] for p in phones])
        mask = visible[None, None] & real[:, None, None]
        mask = mask | torch.eye(total, dtype=torch.bool)  # a padded row must see something; nobody looks at it
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.mask = real[:, None, None]
        self.scores = self._forward(x, mask)

    @torch.inference_mode()
    def step(self) -> Tensor:
        """Choose a code for each row and read it -> the codes, B."""
        logits = penalise(self.scores, self.said, self.sampling.repetition_penalty)
        ordered, order = logits.sort(dim=-1, descending=True)
        beyond = ordered.softmax(-1).cumsum(-1) > self.sampling.top_p
        beyond[:, 0] = False
        logits = logits.masked_fill(beyond.scatter(1, order, beyond), -float("inf"))
        logits = logits / max(self.sampling.temperature, LEAST_TEMPERATURE)
        least = logits.topk(self.sampling.top_k).values[:, -1:]
        chances = torch.where(logits < least, -float("inf"), logits).softmax(-1)
        codes = (chances / torch.empty_like(chances).exponential_(1.0)).argmax(-1)
        x = self.model.embed_codes(codes[:, None], start=self.said.shape[1])
        self.said = torch.cat((self.said, codes[:, None]), dim=1)
        self.mask = F.pad(self.mask, (0, 1), value=True)
        self.scores = self._forward(x, None if x.shape[0] == 1 else self.mask)
        return codes

    def _forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for number, block in enumerate(self.model.h.layers):
            assert isinstance(block, Block)
            x = self._block(block, number, x, mask)
        return self.model.logits(x[:, -1])

    def _block(self, block: Block, number: int, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, count, width = x.shape
        attention = block.self_attn
        fused = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        query, key, value = fused.chunk(3, dim=-1)
        if number < len(self.keys):
            key = self.keys[number] = torch.cat((self.keys[number], key), dim=1)
            value = self.values[number] = torch.cat((self.values[number], value), dim=1)
        else:
            self.keys.append(key)
            self.values.append(value)
        query, key, value = (
            t.view(batch, -1, attention.heads, width // attention.heads).transpose(1, 2) for t in (query, key, value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(batch, count, width)
        x = block.norm1(x + attention.out_proj(mixed))
        out: Tensor = block.norm2(x + block.linear2(F.relu(block.linear1(x))))
        return out
