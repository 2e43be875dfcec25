"""S1, Text2Semantic: phones (and optional BERT features) and earlier codes to the next semantic code.

A post-norm transformer with a prefix mask: text sees all text, codes see all text and earlier codes. The structure and
the names of the parameters are those of the official state dicts (GPT-SoVITS, MIT; keys `model.…`), so that official S1
files load without translation; the code is our own. Shapes: B items, X phones, T codes, D width, V = codes + 1 entries
(last = end mark).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.config import SemanticConfig

if TYPE_CHECKING:
    from cloning.engine.semantic.adapters import BlockPairs

#: Wave lengths of the sine positions grow to this base (Vaswani et al. 2017, section 3.5).
POSITION_BASE = 10000.0
#: Target value of a place that must not count in a loss.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class SemanticOutput:
    """What one training forward gives.

    `loss`: the value to minimise, a mean over real places. `codes_loss`: its code part. `phone_loss`: the auxiliary
    part (0 when no phone targets were given). `accuracy`: share of real places whose best code is right. `logits`: B x
    (T+1) x V.
    """

    loss: Tensor
    codes_loss: Tensor
    phone_loss: Tensor
    accuracy: Tensor
    logits: Tensor


class TokenEmbedding(nn.Module):
    """A table under the official name `word_embeddings`."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(rows, width)

    def forward(self, ids: Tensor) -> Tensor:
        """ids B x N (int64) -> B x N x D."""
        embedded: Tensor = self.word_embeddings(ids)
        return embedded


class SinePosition(nn.Module):
    """x + alpha * sine table; even channels sine, odd cosine, alpha learned. Text and codes each count from 0."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
        self.dropout = dropout
        self.width = width

    def table(self, start: int, count: int, device: torch.device) -> Tensor:
        """Rows start..start+count-1 of the table, count x D, float32. Cheap enough to be computed where it is
        needed."""
        place = torch.arange(start, start + count, dtype=torch.float32, device=device)[:, None]
        even = torch.arange(0, self.width, 2, dtype=torch.float32, device=device)
        rate = torch.exp(even * -(torch.log(torch.tensor(POSITION_BASE, device=device)) / self.width))
        return torch.stack((torch.sin(place * rate), torch.cos(place * rate)), dim=-1).flatten(1)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """x B x N x D -> same shape, its first row at position `start`."""
        moved = x + self.alpha * self.table(start, x.shape[1], x.device).to(x.dtype)
        return F.dropout(moved, self.dropout, self.training)


class KeyValueCache:
    """Keys and values of one utterance for every layer, allocated once: layers x heads x capacity x head width.

    `length` places are filled. Fixed memory keeps every decode step the same size, which is what fast back ends need.
    """

    def __init__(self, config: SemanticConfig, capacity: int, like: Tensor) -> None:
        shape = (config.layers, 1, config.heads, capacity, config.width // config.heads)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros_like(self.keys)
        self.length = 0


class SelfAttention(nn.Module):
    """Multi-head attention with one fused input matrix (order: query, key, value), under torch's parameter names."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        pairs: BlockPairs | None = None,
    ) -> Tensor:
        """x B x N x D; visible broadcasts to B x 1 x N x M, True = may be looked at (None: everything).

        With a cache, x continues the cached places and M = cached + N.
        """
        batch, count, width = x.shape
        fused = self.fused(x, pairs)
        query, key, value = fused.view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            end = cache.length + count
            cache.keys[layer][:, :, cache.length : end] = key
            cache.values[layer][:, :, cache.length : end] = value
            key, value = cache.keys[layer][:, :, :end], cache.values[layer][:, :, :end]
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        return self.output(mixed.transpose(1, 2).reshape(batch, count, width), pairs)

    def fused(self, x: Tensor, pairs: BlockPairs | None) -> Tensor:
        """B x N x D -> query, key and value of every place, B x N x 3D."""
        out = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        return out if pairs is None else out + pairs.fused(x)

    def output(self, mixed: Tensor, pairs: BlockPairs | None) -> Tensor:
        """What the heads found, B x N x D -> B x N x D."""
        out: Tensor = self.out_proj(mixed)
        return out if pairs is None else out + pairs.output(mixed)


class Block(nn.Module):
    """Post-norm: x = norm1(x + attention(x)); x = norm2(x + feed_forward(x))."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config.width, config.heads, config.dropout)
        self.linear1 = nn.Linear(config.width, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, config.width)
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        pairs: BlockPairs | None = None,
    ) -> Tensor:
        """`pairs`: a voice's adapters beside the four linear layers, for inference."""
        # Attention that trains adapters of its own knows no pairs.
        beside = () if pairs is None else (pairs,)
        x = self.norm1(x + self.drop(self.self_attn(x, visible, cache, layer, *beside)))
        out: Tensor = self.norm2(x + self.drop(self.fed(x, pairs)))
        return out

    def fed(self, x: Tensor, pairs: BlockPairs | None) -> Tensor:
        """The feed-forward part, B x N x D -> B x N x D."""
        inner = self.linear1(x) if pairs is None else self.linear1(x) + pairs.widening(x)
        inner = self.drop(F.relu(inner))
        out: Tensor = self.linear2(inner)
        return out if pairs is None else out + pairs.narrowing(inner)


class Stack(nn.Module):
    """The blocks in order; no final norm."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None,
        cache: KeyValueCache | None = None,
        pairs: Sequence[BlockPairs] | None = None,
    ) -> Tensor:
        """With a cache: reads and extends it by x's places. `pairs`: a voice's adapters, block by block."""
        for index, block in enumerate(self.layers):
            x = block(x, visible, cache, index, None if pairs is None else pairs[index])
        if cache is not None:
            cache.length += x.shape[1]
        return x


def prefix_mask(text: int, codes: int, device: torch.device | None = None) -> Tensor:
    """(text+codes) square, True = may be looked at. Text rows see text only; code rows see text and codes up to
    themselves."""
    total = text + codes
    row = torch.arange(total, device=device)[:, None]
    column = torch.arange(total, device=device)[None, :]
    return (column < text) | ((row >= text) & (column <= row))


class Text2Semantic(nn.Module):
    """The whole S1 model. `forward` for the loss; `embed_*`, `h` and `logits` are what decoding uses."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.bert_proj = nn.Linear(config.bert_dim, config.width) if config.bert_dim else None
        self.ar_text_embedding = TokenEmbedding(config.phonemes, config.width)
        self.ar_text_position = SinePosition(config.width, config.dropout)
        self.ar_audio_embedding = TokenEmbedding(config.vocabulary, config.width)
        self.ar_audio_position = SinePosition(config.width, config.dropout)
        self.h = Stack(config)
        self.ar_predict_layer = nn.Linear(config.width, config.vocabulary, bias=False)
        # Not in official files: a teacher for training from little data (which phone is being spoken at this place).
        self.phone_head = nn.Linear(config.width, config.phone_classes) if config.phone_classes else None

    def embed_text(self, phones: Tensor, bert: Tensor | None = None) -> Tensor:
        """phones B x X, bert B x bert_dim x X (None: zeros, as for every language but Chinese) -> B x X x D."""
        x = self.ar_text_embedding(phones)
        if self.bert_proj is not None:
            # A missing BERT feature is a zero vector, of which only the projection's bias is left.
            x = x + (self.bert_proj.bias if bert is None else self.bert_proj(bert.transpose(1, 2)))
        elif bert is not None:
            raise ValueError("this model has no BERT input")
        out: Tensor = self.ar_text_position(x)
        return out

    def embed_codes(self, codes: Tensor, start: int = 0) -> Tensor:
        """codes B x T -> B x T x D; the first code stands at position `start` of the code sequence."""
        out: Tensor = self.ar_audio_position(self.ar_audio_embedding(codes), start)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """B x N x D -> B x N x V."""
        out: Tensor = self.ar_predict_layer(hidden)
        return out

    def forward(
        self,
        phones: Tensor,
        phone_lengths: Tensor,
        codes: Tensor,
        code_lengths: Tensor,
        *,
        bert: Tensor | None = None,
        phone_targets: Tensor | None = None,
        phone_weight: float = 0.5,
        reduction: str = "mean",
    ) -> SemanticOutput:
        """Teacher-forced loss of a right-padded batch; padding is never looked at and never counted.

        phones B x X, codes B x T (values of padded places are free but must be valid ids), lengths B (>= 1).
        The place of the last phone predicts the first code, the place of the last code predicts the end mark: T+1
        predictions. phone_targets B x T: the class being spoken during each code, -100 where unknown; read from the
        place of that code. reduction "mean" over real places, or "sum" as in the official recipe.
        Differs on purpose from the official batch code, which blocks the first phones of shorter items and counts
        padding.
        """
        batch, width_text = phones.shape
        count = codes.shape[1]
        device = phones.device
        x = torch.cat((self.embed_text(phones, bert), self.embed_codes(codes)), dim=1)
        text_real = torch.arange(width_text, device=device)[None] < phone_lengths[:, None]
        code_real = torch.arange(count, device=device)[None] < code_lengths[:, None]
        columns = torch.cat((text_real, torch.ones_like(code_real)), dim=1)  # later codes are hidden by causality
        visible = prefix_mask(width_text, count, device)[None, None] & columns[:, None, None, :]
        hidden = self.h(x, visible)
        last_phone = hidden[torch.arange(batch, device=device), phone_lengths - 1][:, None]
        spoken = hidden[:, width_text:]
        logits = self.logits(torch.cat((last_phone, spoken), dim=1))

        targets = torch.full((batch, count + 1), IGNORED, dtype=torch.long, device=device)
        targets[:, :count] = codes.masked_fill(~code_real, IGNORED)
        targets[torch.arange(batch, device=device), code_lengths] = self.config.eos
        codes_loss = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
        )
        counted = targets != IGNORED
        accuracy = ((logits.argmax(-1) == targets) & counted).sum() / counted.sum()
        phone_loss = torch.zeros((), device=device)
        if phone_targets is not None:
            if self.phone_head is None:
                raise ValueError("this model has no phone head")
            known = phone_targets.masked_fill(~code_real, IGNORED)
            guesses = self.phone_head(spoken).float().flatten(0, 1)
            summed = F.cross_entropy(guesses, known.flatten(), ignore_index=IGNORED, reduction="sum")
            phone_loss = summed / (known != IGNORED).sum().clamp(min=1) if reduction == "mean" else summed
        return SemanticOutput(
            loss=codes_loss + phone_weight * phone_loss,
            codes_loss=codes_loss.detach(),
            phone_loss=phone_loss.detach(),
            accuracy=accuracy.detach(),
            logits=logits,
        )
