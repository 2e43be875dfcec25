"""Doubts about recordings that cheap measurements can raise: texts of something else, and two speakers in one set.

Both look at what the starter's own encoders hear. They were fitted on synthesised speech and have heard no natural
recordings, so a doubt about a whole set is told and refuses nothing; single transcripts are left out only where most of
the others in the set are confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from cloning.engine.config import EngineConfig
from cloning.engine.features import audio
from cloning.engine.features.content import ContentEncoder
from cloning.engine.starter.corpus import PHONE_INDEX
from cloning.engine.text.symbols import SYMBOLS

if TYPE_CHECKING:
    from cloning.engine.training.prepare import Item

#: A transcript is confirmed when its phones fit the sound better than the same phones backwards by this, in nats per
#: 20 ms frame. Measured on 4 synthetic voices: 1.97 to 4.5 for the right words (the lowest is the voice never trained
#: on), -1.0 to 1.1 for other sentences. Texts of fewer phones are not judged: "Three." gave 1.1 to 1.7.
CONFIRMED, FEWEST_PHONES = 1.4, 8
#: Fewest transcripts that say anything about a set.
FEWEST = 3
#: Two groups of style vectors are two speakers when they are so compact (mean silhouette, Rousseeuw 1987) and so far
#: apart (cosine of their centres). Measured: two microphones of one speaker 0.71 to 0.79 and 0.64 to 0.92, woman and
#: man 0.67 to 0.93 and below -0.1; men of like pitch are not told apart.
COMPACT, APART = 0.65, 0.55
#: Most utterances that are compared.
MOST_COMPARED = 60
_IMPOSSIBLE = -1e9


@torch.inference_mode()
def disagreeing(items: Sequence[Item], encoder: ContentEncoder, config: EngineConfig) -> tuple[list[int], bool]:
    """Places of English items whose text is not what is heard, and whether the texts could be confirmed on the whole.

    When fewer than half of at least FEWEST texts are confirmed, the encoder does not understand these recordings or all
    texts are wrong: nothing is left out and the second value is False.
    """
    judged = [place for place, item in enumerate(items) if len(item.phones) >= FEWEST_PHONES]
    if len(judged) < FEWEST or config.content.phones != len(PHONE_INDEX):
        return [], True
    unconfirmed = [place for place in judged if agreement(items[place], encoder, config) < CONFIRMED]
    if 2 * len(unconfirmed) > len(judged):
        return [], False
    return unconfirmed, True


@torch.inference_mode()
def agreement(item: Item, encoder: ContentEncoder, config: EngineConfig) -> float:
    """How much better the item's phones fit its sound than the same phones backwards, in nats per frame.

    0 when none of its phones is known to the encoder.
    """
    wave = audio.resample(item.wave.numpy(), config.audio.sample_rate, config.content.sample_rate)
    heard = encoder.heads(encoder(torch.from_numpy(wave)[None]))[0][0].log_softmax(-1).double().numpy()
    names = (SYMBOLS[row].rstrip("012").lower() for row in item.phones.tolist())
    phones = [PHONE_INDEX[name] for name in names if name in PHONE_INDEX]
    if not phones or not len(heard):
        return 0.0
    return fit(heard, phones) - fit(heard, phones[::-1])


def fit(heard: np.ndarray, phones: Sequence[int]) -> float:
    """Mean log probability of the best path through the phones in order, with optional pauses (class 0) between them.

    `heard` (frames, classes) log probabilities (Viterbi 1967).
    """
    states = np.zeros(2 * len(phones) + 1, dtype=np.int64)
    states[1::2] = phones
    gained = heard[:, states]
    best = np.full(len(states), _IMPOSSIBLE)
    best[:2] = gained[0, :2]
    is_phone = np.arange(len(states)) % 2 == 1
    for row in gained[1:]:
        moved = best.copy()
        moved[1:] = np.maximum(moved[1:], best[:-1])
        moved[2:] = np.where(is_phone[2:], np.maximum(moved[2:], best[:-2]), moved[2:])
        best = moved + row
    return float(max(best[-1], best[-2])) / len(heard)


def two_speakers(styles: np.ndarray) -> bool:
    """Whether style vectors of utterances, (N, G), fall into two groups as two speakers' do.

    Two very different microphones can look the same; two men of like pitch are not noticed.
    """
    if len(styles) > MOST_COMPARED:
        styles = styles[np.linspace(0, len(styles) - 1, MOST_COMPARED).round().astype(int)]
    if len(styles) < 2 * FEWEST:
        return False
    unit = styles / np.maximum(np.linalg.norm(styles, axis=1, keepdims=True), 1e-12)
    distance = np.sqrt(np.maximum(2 - 2 * unit @ unit.T, 0))
    first, second = np.unravel_index(distance.argmax(), distance.shape)
    group = distance[:, first] > distance[:, second]
    for _ in range(20):
        if group.all() or not group.any():
            return False
        centres = [unit[~group].mean(axis=0), unit[group].mean(axis=0)]
        away = [np.linalg.norm(unit - centre, axis=1) for centre in centres]
        moved = away[0] > away[1]
        if (moved == group).all():
            break
        group = moved
    if min(group.sum(), (~group).sum()) < 2:
        return False
    cosine = float(centres[0] @ centres[1] / (np.linalg.norm(centres[0]) * np.linalg.norm(centres[1])))
    return _silhouette(distance, group) > COMPACT and cosine < APART


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    values = []
    for place in range(len(group)):
        same = group == group[place]
        inside = distance[place, same].sum() / (same.sum() - 1)
        outside = distance[place, ~same].mean()
        values.append((outside - inside) / max(inside, outside, 1e-12))
    return float(np.mean(values))
