"""S1's and S2's losses for several voices in one forward pass: every voice its own items, its own mean, its own noise.

A voice's loss does not depend on who trains beside it. Its items fill a block of the batch; blocks are filled up with
copies that count nothing. Padding is masked everywhere but in the style encoder, whose convolutions reach a few frames
over the end of an item, so every item has at least that much padding whatever its neighbours are. The base runs without
dropout: its masks would depend on the shape of the whole batch, and low rank is the regularisation here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import KL_WEIGHT, kl_loss, mel_loss, multi_resolution_loss, source_loss
from cloning.engine.features.spectrogram import linear
from cloning.engine.semantic.model import IGNORED, Text2Semantic
from cloning.engine.training.acoustic import spoken
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, pick
from cloning.engine.training.early import STRETCHES
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe, SemanticRecipe
from cloning.engine.training.semantic import MOST_PAIRED

R = TypeVar("R")

#: Codes of padding behind every item of S2: more than the reach of the style encoder (4 frames) and of a window.
MARGIN = 4


def key(*parts: object) -> int:
    """A 63-bit number for everything random about these parts."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def widened(rows: Sequence[Tensor], step: int, margin: int = 0) -> Tensor:
    """Rows (N_i,) to B x N, N a multiple of step and at least margin more than the longest."""
    width = -(-(max(len(row) for row in rows) + margin) // step) * step
    padded = pad_sequence(list(rows), batch_first=True)
    return F.pad(padded, (0, width - padded.shape[1]))


@dataclass(frozen=True, slots=True)
class Spoken:
    """One row of an S1 batch: phones X, codes T, prosody features bert_dim x X (None: zeros)."""

    phones: Tensor
    codes: Tensor
    bert: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One row of an S2 batch: an item, the frame its segment starts at, and the draw of its posterior, latent x F."""

    item: Item
    start: int
    noise: Tensor


class SemanticCrowd:
    """S1 of several voices."""

    name = "semantic"

    def __init__(self, model: Text2Semantic, recipe: SemanticRecipe, *, bfloat16: bool, device: str) -> None:
        self.model, self.recipe, self.bfloat16, self.device = model, recipe, bfloat16, device

    def usable(self, items: Sequence[Item]) -> list[Item]:
        return [item for item in items if item.has_text]

    def batch(self, items: Sequence[Item], seed: int, step: int) -> list[Spoken]:
        """One voice's rows of a step. Whether they are pairs (a prompt and its continuation) depends on the step alone,
        so that all voices of a step have rows of like length."""
        paired = np.random.default_rng(key("paired", step)).random() < self.recipe.paired
        rng = np.random.default_rng(key(seed, self.name, step))
        rows = []
        for item in pick(items, max(1, self.recipe.batch // (2 if paired else 1)), rng):
            chain = [item]
            if paired:
                other = items[int(rng.integers(len(items)))]
                if other is not item and len(other.codes) + len(item.codes) <= MOST_PAIRED:
                    chain = [other, item]
            phones, codes = torch.cat([i.phones for i in chain]), torch.cat([i.codes for i in chain])
            rows.append(Spoken(phones, codes, self._bert(chain)))
        return rows

    def held(self, items: Sequence[Item]) -> list[Spoken]:
        """The rows by which a voice is judged."""
        return [Spoken(item.phones, item.codes, self._bert([item])) for item in items]

    def _bert(self, chain: Sequence[Item]) -> Tensor | None:
        """Features of several items in a row; None when none of them has any."""
        dim = self.model.config.bert_dim
        if not dim or all(item.bert is None for item in chain):
            return None
        return torch.cat(
            [torch.zeros(dim, len(item.phones)) if item.bert is None else item.bert for item in chain], dim=1
        )

    def losses(self, blocks: Sequence[Sequence[Spoken]], *, judged: bool = False) -> Tensor:
        """Mean cross entropy of each voice over its real places, V."""
        counts = [len(block) for block in blocks]
        rows = _filled(blocks)
        phones = widened([row.phones for row in rows], PHONE_STEP).to(self.device)
        codes = widened([row.codes for row in rows], CODE_STEP).to(self.device)
        phone_lengths = torch.tensor([len(row.phones) for row in rows], device=self.device)
        code_lengths = torch.tensor([len(row.codes) for row in rows], device=self.device)
        bert = None
        if any(row.bert is not None for row in rows):
            bert = torch.zeros(len(rows), self.model.config.bert_dim, phones.shape[1])
            for place, row in enumerate(rows):
                if row.bert is not None:
                    bert[place, :, : row.bert.shape[1]] = row.bert
            bert = bert.to(self.device)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(phones, phone_lengths, codes, code_lengths, bert=bert).logits
        places = torch.arange(codes.shape[1] + 1, device=self.device)[None]
        targets = F.pad(codes, (0, 1)).masked_fill(places == code_lengths[:, None], self.model.config.eos)
        targets = targets.masked_fill(places > code_lengths[:, None], IGNORED)
        width = max(counts)
        copies = torch.tensor([row >= count for count in counts for row in range(width)], device=self.device)
        targets = targets.masked_fill(copies[:, None], IGNORED)
        each = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(len(blocks), -1)
        return each.sum(1) / (targets != IGNORED).view(len(blocks), -1).sum(1)


class AcousticCrowd:
    """S2 of several voices, with spectral losses; critics are networks of their own for every voice and not shared."""

    name = "acoustic"

    def __init__(self, model: AcousticModel, recipe: AcousticRecipe, *, bfloat16: bool, device: str) -> None:
        self.model, self.recipe, self.bfloat16, self.device = model, recipe, bfloat16, device
        self.span = model.config.frames_per_code
        self.segment = model.config.segment_frames

    def usable(self, items: Sequence[Item]) -> list[Item]:
        return [item for item in items if len(item.codes) * self.span >= self.segment]

    def batch(self, items: Sequence[Item], seed: int, step: int) -> list[Heard]:
        """One voice's rows of a step: items of like length, together at most `batch_frames` frames."""
        number = key(seed, self.name, step)
        chosen = pick(items, self.recipe.batch, np.random.default_rng(number))
        longest = max(len(item.codes) for item in chosen) * self.span
        generator = torch.Generator().manual_seed(number)
        rows = []
        for item in chosen[: max(1, self.recipe.batch_frames // longest)]:
            frames = len(item.codes) * self.span
            start = int(torch.rand((), generator=generator) * (frames - self.segment + 1))
            rows.append(Heard(item, start, torch.randn(self.model.config.latent, frames, generator=generator)))
        return rows

    def held(self, items: Sequence[Item]) -> list[Heard]:
        """The rows by which a voice is judged: fixed segments, fixed noise."""
        rows = []
        for item in items:
            frames = len(item.codes) * self.span
            noise = torch.randn(self.model.config.latent, frames, generator=torch.Generator().manual_seed(0))
            room = frames - self.segment
            rows += [Heard(item, room * part // max(1, STRETCHES - 1), noise) for part in range(STRETCHES)]
        return rows

    def losses(self, blocks: Sequence[Sequence[Heard]], *, judged: bool = False) -> Tensor:
        """The recipe's loss of each voice, V; `judged`: without the multi-resolution part, which is a help for training
        and no measure."""
        rows = _filled(blocks)
        audio = self.model.audio
        codes = widened([row.item.codes for row in rows], CODE_STEP, MARGIN).to(self.device)
        phones = widened([row.item.phones for row in rows], PHONE_STEP).to(self.device)
        frames = codes.shape[1] * self.span
        wave = pad_sequence([row.item.wave for row in rows], batch_first=True)
        wave = F.pad(wave, (0, frames * audio.hop - wave.shape[1])).to(self.device)
        noise = torch.stack([F.pad(row.noise, (0, frames - row.noise.shape[1])) for row in rows]).to(self.device)
        speaker = None
        if self.model.config.speaker_dim:
            speaker = torch.stack([row.item.speaker_vector for row in rows if row.item.speaker_vector is not None])
            speaker = speaker.to(self.device)
        with torch.no_grad():
            spec = linear(wave, audio)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
            out = self.model(
                codes, spec, torch.tensor([len(row.item.codes) * self.span for row in rows], device=self.device),
                phones, torch.tensor([len(row.item.phones) for row in rows], device=self.device),
                noise=noise, speaker=speaker, spoken=[] if judged else _spoken(self.model, blocks),
                starts=torch.tensor([row.start for row in rows], device=self.device),
            )  # fmt: skip
        real = slice_segments(wave[:, None], out.starts * audio.hop, self.segment * audio.hop)
        width = max(len(block) for block in blocks)
        losses = []
        for voice, block in enumerate(blocks):
            own = slice(voice * width, voice * width + len(block))
            mine = dataclasses.replace(
                out, **{part.name: getattr(out, part.name)[own] for part in dataclasses.fields(out)}
            )
            spectral = self.recipe.mel_weight * mel_loss(mine.wave.float(), real[own], audio)
            loss = spectral + KL_WEIGHT * kl_loss(mine)
            if not judged:
                loss = loss + self.recipe.resolution_weight * multi_resolution_loss(mine.wave.float(), real[own])
                if self.model.pitch is not None:
                    loss = loss + source_loss(mine, mine.wave.float(), real[own], audio, self.recipe.periodicity)
            losses.append(loss)
        return torch.stack(losses)


def _spoken(model: AcousticModel, blocks: Sequence[Sequence[Heard]]) -> list[int]:
    """Rows of the filled blocks that sound from the prior, in each block as if it were alone."""
    width = max(len(block) for block in blocks)
    return [voice * width + row for voice, block in enumerate(blocks) for row in spoken(model, len(block))]


def _filled(blocks: Sequence[Sequence[R]]) -> list[R]:
    """The blocks one after the other, each filled up to the longest with copies of its first row."""
    width = max(len(block) for block in blocks)
    return [row for block in blocks for row in [*block, *[block[0]] * (width - len(block))]]
