"""Doubts about recordings that cheap measurements can raise: texts of something else, and two speakers in one set.

Both look at what the starter's own encoders hear, and both were fitted on synthesised speech; they have heard no
natural recordings. So a set is refused only where the encoders hear clearly, and clearly something else: a set that
they do not understand is a note, never a refusal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from cloning.engine.alignment import fit
from cloning.engine.config import EngineConfig
from cloning.engine.features import audio
from cloning.engine.features.content import ContentEncoder
from cloning.engine.text.classes import ENGLISH, PHONES, classes_of

if TYPE_CHECKING:
    from cloning.engine.training.prepare import Item

#: A transcript is confirmed when its phones fit the sound better than the same phones backwards by this, in nats per
#: 20 ms frame. Measured on 4 synthetic voices: 1.97 to 4.5 for the right words (the lowest is the voice never trained
#: on), -1.0 to 1.1 for other sentences. Texts of fewer phones are not judged: "Three." gave 1.1 to 1.7.
CONFIRMED, FEWEST_PHONES = 1.4, 8
#: A text is contradicted when it fits no better than this while the encoder is so sure of what it hears (mean log
#: probability of the best class of each frame). Measured on the same voices, plain, through a telephone, at 0.7 and
#: 1.4 times their pace, with noise 10 dB below the speech and in a room: other sentences at most 0.81, the right words
#: 0.58 and better, and sureness -0.07 to -0.56; plain recordings -0.07 to -0.39. An encoder that knows nothing: below
#: -1.
CONTRADICTED, SURE = 0.6, -0.45
#: Fewest transcripts that say anything about a set.
FEWEST = 3
#: Two groups of style vectors are two speakers when they are so compact (mean silhouette, Rousseeuw 1987) and so far
#: apart (cosine of their centres). Measured: two microphones of one speaker 0.71 to 0.79 and 0.64 to 0.92, woman and
#: man 0.67 to 0.93 and below -0.1; men of like pitch are not told apart.
COMPACT, APART = 0.65, 0.55
#: Centres farther apart than this are no doubt any more but a finding. With the base of two languages woman and man are
#: -0.04 to 0.26 apart (before: -0.1 to 0.17), two men 0.35 to 0.75.
CLEARLY_APART = 0.3
#: From this share of the utterances on, a second speaker is a refusal; below it those utterances are left out.
MOST_OTHER = 0.2
#: Most utterances that are compared.
MOST_COMPARED = 60


@dataclass(frozen=True, slots=True)
class Texts:
    """`wrong`: places of items whose text is not what is heard; `confirmed`: whether most texts are.

    Unconfirmed with no wrong ones: the encoder does not understand these recordings.
    """

    wrong: tuple[int, ...]
    confirmed: bool


@torch.inference_mode()
def texts(items: Sequence[Item], encoder: ContentEncoder, config: EngineConfig) -> Texts:
    """Whether English items say what their texts say.

    Where most texts are confirmed the others are wrong. Where they are not, those that are contradicted are wrong if
    they are most of all. Fewer than FEWEST texts long enough to be judged are taken as they are.
    """
    judged = [place for place, item in enumerate(items) if len(item.phones) >= FEWEST_PHONES]
    if len(judged) < FEWEST or config.content.phones != len(PHONES):
        return Texts((), True)
    found = {place: agreement(items[place], encoder, config) for place in judged}
    unconfirmed = [place for place, (fits, _) in found.items() if fits < CONFIRMED]
    if 2 * len(unconfirmed) <= len(judged):
        return Texts(tuple(unconfirmed), True)
    contradicted = [place for place, (fits, sure) in found.items() if fits < CONTRADICTED and sure > SURE]
    return Texts(tuple(contradicted) if 2 * len(contradicted) > len(judged) else (), False)


@torch.inference_mode()
def agreement(item: Item, encoder: ContentEncoder, config: EngineConfig) -> tuple[float, float]:
    """How much better the item's phones fit its sound than the same phones backwards, in nats per frame, and how sure
    the encoder is of what it hears, whatever the text: the mean log probability of the best class of each frame.

    (0, -inf) when none of its phones is known to the encoder.
    """
    wave = audio.resample(item.wave.numpy(), config.audio.sample_rate, config.content.sample_rate)
    told = encoder.heads(encoder(torch.from_numpy(wave)[None]))[0][0]
    # Of the language's own classes: what else the encoder knows makes it no less sure.
    heard = told[:, : len(ENGLISH)].log_softmax(-1).double().numpy()
    phones = [phone for phone in classes_of(item.phones.tolist()) if phone < len(ENGLISH)]
    if not phones or not len(heard):
        return 0.0, -math.inf
    sure = float(heard.max(axis=1).mean())
    return (fit(heard, phones) - fit(heard, phones[::-1]) if len(heard) >= len(phones) else 0.0), sure


@dataclass(frozen=True, slots=True)
class Speakers:
    """Two groups of utterances. `other` (N,) bool: those of the smaller one; `cosine` of the groups' centres."""

    other: np.ndarray
    cosine: float

    @property
    def share(self) -> float:
        """Of the smaller group among all."""
        return float(self.other.mean())


def two_speakers(styles: np.ndarray) -> Speakers | None:
    """The groups into which style vectors of utterances, (N, G), fall as two speakers' do; None: one speaker.

    Groups are found among at most MOST_COMPARED of them, evenly spread; the others join the nearer one. Two very
    different microphones can look the same; two men of like pitch are not noticed.
    """
    unit = styles / np.maximum(np.linalg.norm(styles, axis=1, keepdims=True), 1e-12)
    few = unit
    if len(few) > MOST_COMPARED:
        few = few[np.linspace(0, len(few) - 1, MOST_COMPARED).round().astype(int)]
    if len(few) < 2 * FEWEST:
        return None
    distance = np.sqrt(np.maximum(2 - 2 * few @ few.T, 0))
    first, second = np.unravel_index(distance.argmax(), distance.shape)
    group = distance[:, first] > distance[:, second]
    for _ in range(20):
        if group.all() or not group.any():
            return None
        centres = [few[~group].mean(axis=0), few[group].mean(axis=0)]
        moved = _nearer(few, centres)
        if (moved == group).all():
            break
        group = moved
    if min(group.sum(), (~group).sum()) < 2:
        return None
    cosine = float(centres[0] @ centres[1] / (np.linalg.norm(centres[0]) * np.linalg.norm(centres[1])))
    if _silhouette(distance, group) <= COMPACT or cosine >= APART:
        return None
    group = _nearer(unit, centres)
    return Speakers(group if 2 * group.sum() <= len(group) else ~group, cosine)


def _nearer(unit: np.ndarray, centres: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) bool: which rows lie nearer to the second centre."""
    away = [np.linalg.norm(unit - centre, axis=1) for centre in centres]
    nearer: np.ndarray = away[0] > away[1]
    return nearer


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    values = []
    for place in range(len(group)):
        same = group == group[place]
        inside = distance[place, same].sum() / (same.sum() - 1)
        outside = distance[place, ~same].mean()
        values.append((outside - inside) / max(inside, outside, 1e-12))
    return float(np.mean(values))
