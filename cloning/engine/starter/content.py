"""Training of the built-in content encoder and its codebook: supervised by the synthesiser's own phone times.

Loss: cross entropy over phones (label smoothing) + PITCH_WEIGHT * (smooth L1 of the normalised pitch on voiced frames +
VOICING_WEIGHT * binary cross entropy of voicing). Afterwards k-means over pairs of frames gives the codebook.

A second language is taught to an encoder that has a codebook already (`teacher`): of the first one its frames shall
stay what they were, so that the old codes keep their meaning, and codes for the new sounds are added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.config import ContentConfig
from cloning.engine.features.content import LOG_OFFSET, MEL_TOP, ContentEncoder, nearest_codes, pair
from cloning.engine.features.spectrogram import magnitude, mel_filters
from cloning.engine.starter.corpus import Utterance
from cloning.engine.starter.pitch import normalised_pitch
from cloning.engine.text.classes import PAUSE
from cloning.engine.training.loop import rate_at, step_optimiser

PITCH_WEIGHT = 0.5
VOICING_WEIGHT = 0.3
LABEL_SMOOTHING = 0.05
#: Weight of the mean absolute difference from the teacher's frames, of the teacher's language.
KEEP_WEIGHT = 10.0
#: Where the classes begin that a teacher lacks: improbable.
NEW_CLASS_BIAS = -4.0
#: Frequency axis stretched by up to this (log scale): other vocal tracts.
MEL_WARP = 0.18
#: Spread of the random equaliser in nats, drawn at EQ_POINTS frequencies: other microphones.
EQ_SPREAD, EQ_POINTS = 0.7, 6
#: Share of items that get a noise floor, and its range in nats below the item's loudest mel.
NOISE_SHARE, NOISE_RANGE = 0.5, (-9.0, -4.5)


@dataclass(frozen=True)
class ContentRecipe:
    steps: int = 1400
    batch: int = 16
    #: Content frames a crop has (120 = 2.4 s).
    crop: int = 120
    learning_rate: float = 1e-3
    warm_up: int = 50
    clip: float = 1.0
    #: bfloat16 matrix products; worth it only on processors that have them.
    bfloat16: bool = False


@dataclass(frozen=True)
class Labelled:
    """One utterance ready for training: mels (n_mels, 2T) before normalisation, phones, pitch, voiced (T,)."""

    language: str
    mels: Tensor
    phones: Tensor
    pitch: Tensor
    voiced: Tensor


def label(utterance: Utterance, encoder: ContentEncoder) -> Labelled:
    """Raw log-mels and frame labels of an utterance."""
    c = encoder.config
    frames = len(utterance.wave) // (2 * c.hop)
    wave = utterance.wave[: frames * 2 * c.hop].astype(np.float32) / 32768
    spectrum = magnitude(torch.from_numpy(wave)[None], n_fft=c.n_fft, win=c.win, hop=c.hop)[0]
    mels = mel_filters(c.sample_rate, c.n_fft, c.n_mels, 0.0, MEL_TOP) @ spectrum
    pitch, voiced = normalised_pitch(wave)
    return Labelled(
        language=utterance.speaker.language,
        mels=mels.half(),
        phones=torch.from_numpy(utterance.frame_phones(frames)),
        pitch=torch.from_numpy(pitch),
        voiced=torch.from_numpy(voiced),
    )


def augment(mels: Tensor, rng: np.random.Generator) -> Tensor:
    """Linear mels (n_mels, T) with another vocal tract, microphone and noise floor; the same shape."""
    bands = mels.shape[0]
    position = torch.arange(bands) * math.exp(rng.uniform(-MEL_WARP, MEL_WARP))
    low = position.floor().long().clamp(max=bands - 1)
    share = (position - low).clamp(0, 1)[:, None]
    out = mels[low] * (1 - share) + mels[(low + 1).clamp(max=bands - 1)] * share
    points = torch.from_numpy(rng.normal(0, EQ_SPREAD, EQ_POINTS).astype(np.float32))
    curve = F.interpolate(points[None, None], size=bands, mode="linear", align_corners=True)[0, 0]
    out = out * curve.exp()[:, None]
    if rng.random() < NOISE_SHARE:
        floor = float(out.max()) * math.exp(rng.uniform(*NOISE_RANGE))
        out = out + floor * torch.from_numpy(rng.rayleigh(1.0, out.shape).astype(np.float32))
    return out


def _batch(groups: Sequence[Sequence[Labelled]], recipe: ContentRecipe, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Crops from the groups in turn: mels, phones, pitch, voiced."""
    mels, phones, pitch, voiced = [], [], [], []
    for number in range(recipe.batch):
        group = groups[number % len(groups)]
        item = group[int(rng.integers(len(group)))]
        frames = len(item.phones)
        start = int(rng.integers(max(1, frames - recipe.crop + 1)))
        stop = start + recipe.crop
        missing = max(0, stop - frames)
        mels.append(F.pad(augment(item.mels[:, 2 * start : 2 * stop].float(), rng), (0, 2 * missing)))
        phones.append(F.pad(item.phones[start:stop], (0, missing), value=PAUSE))
        pitch.append(F.pad(item.pitch[start:stop], (0, missing)))
        voiced.append(F.pad(item.voiced[start:stop], (0, missing)))
    return torch.stack(mels), torch.stack(phones), torch.stack(pitch), torch.stack(voiced)


class ContentStage:
    """Trains a new content encoder (a `training.loop.Stage`); every language has an equal share of a batch.

    `teacher`: an encoder of the same sizes but for its phone classes, which are the first of these; training begins
    from it and keeps its frames of English.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        config: ContentConfig,
        recipe: ContentRecipe,
        *,
        seed: int,
        device: str = "cpu",
        teacher: ContentEncoder | None = None,
        name: str = "content",
    ) -> None:
        self.name = name
        self.recipe = recipe
        self.steps = recipe.steps
        self.device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = ContentEncoder(config)
        items = [label(utterance, self.encoder) for utterance in utterances]
        # English first: `_kept` counts on it.
        languages = sorted({item.language for item in items})
        self.groups = [[item for item in items if item.language == one] for one in languages]
        self.teacher = teacher
        if teacher is not None:
            _begin_from(self.encoder, teacher)
            teacher.to(device)
        self.encoder.to(device)
        self.optimiser = torch.optim.AdamW(
            [{"params": list(self.encoder.parameters()), "peak": recipe.learning_rate}],
            lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01,
        )  # fmt: skip
        #: Latest values of the parts of the loss.
        self.parts: dict[str, float] = {}

    def modules(self) -> dict[str, nn.Module]:
        return {"content": self.encoder}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"content": self.optimiser}

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        recipe = self.recipe
        mels, phones, pitch, voiced = (value.to(self.device) for value in _batch(self.groups, recipe, rng))
        inputs = self.encoder.normalise(torch.log(mels + LOG_OFFSET))
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=recipe.bfloat16):
            frames = self.encoder.encode(inputs)
            logits, tone = self.encoder.heads(frames)
        logits, tone = logits.float(), tone.float()
        loss = F.cross_entropy(logits.flatten(0, 1), phones.flatten(), label_smoothing=LABEL_SMOOTHING)
        voicing = F.binary_cross_entropy_with_logits(tone[..., 1], voiced.float())
        heard = F.smooth_l1_loss(tone[..., 0], pitch, reduction="none")[voiced]
        loss = loss + PITCH_WEIGHT * (heard.sum() / max(1, heard.numel()) + VOICING_WEIGHT * voicing)
        if self.teacher is not None:
            kept = self._kept(self.teacher, inputs, frames)
            loss = loss + KEEP_WEIGHT * kept
            self.parts["kept"] = float(kept.detach())
        share = rate_at(step, steps=self.steps, warm_up=recipe.warm_up, final=0.0)
        if not step_optimiser(loss, self.encoder, self.optimiser, share=share, clip=recipe.clip):
            return None
        return float(loss.detach())

    def _kept(self, teacher: ContentEncoder, inputs: Tensor, frames: Tensor) -> Tensor:
        """How far a batch's frames of English are from the teacher's."""
        every = len(self.groups)
        with torch.no_grad():
            theirs = teacher.encode(inputs[::every])
        return (frames[::every].float() - theirs).abs().mean()


def _begin_from(encoder: ContentEncoder, teacher: ContentEncoder) -> None:
    """Take the teacher's weights; phone classes that it lacks begin as improbable everywhere."""
    theirs = dict(teacher.state_dict())
    own = encoder.phone_head
    with torch.no_grad():
        own.bias.fill_(NEW_CLASS_BIAS)
        for name in ("weight", "bias"):
            value = theirs.pop(f"phone_head.{name}")
            getattr(own, name)[: len(value)] = value
    encoder.load_state_dict(theirs, strict=False)


@torch.no_grad()
def phone_accuracy(encoder: ContentEncoder, utterances: Sequence[Utterance]) -> float:
    """Share of non-pause frames whose phone is told rightly, 0..1."""
    right = total = 0
    for utterance in utterances:
        wave = torch.from_numpy(utterance.wave.astype(np.float32) / 32768)[None]
        told = encoder.heads(encoder(wave))[0][0].argmax(-1)
        truth = torch.from_numpy(utterance.frame_phones(len(told)))
        speech = truth != PAUSE
        right += int((told[speech] == truth[speech]).sum())
        total += int(speech.sum())
    return right / max(1, total)


@torch.no_grad()
def learn_codebook(
    encoder: ContentEncoder,
    utterances: Sequence[Utterance],
    *,
    codes: int,
    frames_per_code: int,
    vectors: int = 60_000,
    rounds: int = 20,
    seed: int,
    fixed: Tensor | None = None,
) -> Tensor:
    """K-means centroids over pairs of content frames, (codes, frames_per_code * dim) float32.

    `fixed`: the first of them, which stay where they are. A centroid that loses all its vectors is set on a random
    vector again. Raises ValueError for too few vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    gathered = [
        pair(encoder(torch.from_numpy(u.wave.astype(np.float32) / 32768)[None]), frames_per_code)[0] for u in utterances
    ]
    points = torch.cat(gathered)
    points = points[torch.randperm(len(points), generator=generator)[:vectors]]
    old = points[:0] if fixed is None else fixed.float()
    free = codes - len(old)
    if len(points) < free:
        raise ValueError(f"{len(points)} vectors are too few for {free} codes")
    centroids = torch.cat((old, points[torch.randperm(len(points), generator=generator)[:free]]))
    for _ in range(rounds):
        nearest = nearest_codes(points, centroids)
        counts = torch.bincount(nearest, minlength=codes).float()
        sums = torch.zeros_like(centroids).index_add_(0, nearest, points)
        used = counts > 0
        used[: len(old)] = False
        centroids[used] = sums[used] / counts[used, None]
        lost = counts == 0
        lost[: len(old)] = False
        if lost.any():
            centroids[lost] = points[torch.randint(len(points), (int(lost.sum()),), generator=generator)]
    return centroids
