"""Synthesised utterances as training items: the text's own phones, aligned with what the synthesiser said.

The two dictionaries do not always agree. An utterance whose phones differ too much would teach wrong reading and is
left out; in the others every spoken phone is matched with a phone of the text, which gives S1's phone head its targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from cloning.engine.config import EngineConfig
from cloning.engine.features.content import ContentEncoder
from cloning.engine.semantic.model import IGNORED
from cloning.engine.starter.corpus import Utterance
from cloning.engine.text import Phones, to_phones
from cloning.engine.text.classes import PAUSE, PHONES, phone_class
from cloning.engine.text.symbols import PUNCTUATION
from cloning.engine.training.prepare import Item, encode

#: Cost of pairing two different vowels (stress and reduction vary), of any other wrong pair, and of a gap.
VOWEL_COST, WRONG_COST, GAP_COST = 0.5, 1.0, 1.0
#: Utterances above this mean cost per phone are left out.
MOST_DISAGREEMENT = 0.12
_VOWELS = frozenset(str.split("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw"))


@dataclass(frozen=True)
class TimedItem(Item):
    """An item that also knows where in its text each code is.

    `places` (T,): the row of `phones` that is spoken at each code, IGNORED where unknown.
    The synthesiser's phone times give this exactly; no real recording has it.
    """

    places: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


def item(utterance: Utterance, *, config: EngineConfig, encoder: ContentEncoder, codebook: Tensor) -> TimedItem | None:
    """The utterance as a training item; None when the dictionaries disagree about it."""
    read = to_phones(utterance.text, utterance.speaker.language)
    matched = align(read, utterance)
    if matched is None:
        return None
    span = config.audio.hop * config.acoustic.frames_per_code
    places = np.append(matched, IGNORED)[utterance.positions(len(utterance.wave) // span, span)]
    rows = np.append(np.array(read.ids), IGNORED)
    targets = torch.from_numpy(np.where(places == IGNORED, IGNORED, rows[np.maximum(places, -1)]))
    coded = encode(
        utterance.wave.astype(np.float32) / 32768, read.ids, config=config, encoder=encoder, codebook=codebook,
        speaker=utterance.speaker.name, phone_targets=targets,
    )  # fmt: skip
    known = {f.name: getattr(coded, f.name) for f in fields(coded)}
    return TimedItem(**known, places=torch.from_numpy(places)[: len(coded.codes)])


def align(read: Phones, utterance: Utterance) -> np.ndarray | None:
    """For each spoken phone its place in the text's symbols, IGNORED for extra sounds; (phones,) int64.

    A pause belongs to the first mark between its neighbours, where there is one. Least-cost alignment (Wagner and
    Fischer 1974). None above MOST_DISAGREEMENT.
    """
    classes = [(phone_class(symbol), place) for place, symbol in enumerate(read.symbols)]
    text = [(PHONES[phone], place) for phone, place in classes if phone is not None]
    spoken = [(PHONES[p], place) for place, p in enumerate(utterance.phones) if p != PAUSE]
    cost = np.zeros((len(text) + 1, len(spoken) + 1))
    cost[:, 0] = np.arange(len(text) + 1) * GAP_COST
    cost[0] = np.arange(len(spoken) + 1) * GAP_COST
    for i, (wanted, _) in enumerate(text, 1):
        for j, (heard, _) in enumerate(spoken, 1):
            pair = cost[i - 1, j - 1] + _difference(wanted, heard)
            cost[i, j] = min(pair, cost[i - 1, j] + GAP_COST, cost[i, j - 1] + GAP_COST)
    if cost[-1, -1] > MOST_DISAGREEMENT * max(1, len(text)):
        return None
    out = np.full(len(utterance.phones), IGNORED, dtype=np.int64)
    i, j = len(text), len(spoken)
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + _difference(text[i - 1][0], spoken[j - 1][0]):
            out[spoken[j - 1][1]] = text[i - 1][1]
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + GAP_COST:
            i -= 1
        else:
            j -= 1
    for place in np.flatnonzero(utterance.phones == PAUSE):
        before = out[:place].max(initial=-1)
        after = min((int(x) for x in out[place + 1 :] if x != IGNORED), default=len(read.symbols))
        marks = [k for k in range(before + 1, after) if read.symbols[k] in PUNCTUATION]
        if before >= 0 and marks:
            out[place] = marks[0]
    return out


def _difference(wanted: str, heard: str) -> float:
    if wanted == heard or (wanted == "ah" and heard == "ax"):
        return 0.0
    return VOWEL_COST if wanted in _VOWELS and heard in _VOWELS else WRONG_COST
