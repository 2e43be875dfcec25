"""A Mandarin recogniser that had no part in the training of any voice: which syllables, with which tones?

It was trained apart, by `python -m demo.starter.mandarin_judge`, on speech of eSpeak NG (formulas, nobody's recording),
with its own front end, network and augmentation. A small convolutional network with connectionist temporal
classification (Graves et al. 2006) sees 0.4 s before and behind a frame: it hears sounds, and cannot guess a syllable
from the sentence. A syllable is an initial and a final that the language has, by the best path through all frames.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.mandarin_sound import CHANNELS, HOP, normalised, seen
from cloning.engine.weights import first_difference, not_finite, outline

WEIGHTS = "mandarin.safetensors"
TONES = 5
#: Of the network: channels, what each block's filter spans, and how far apart its taps are.
WIDTH, TAPS, DILATIONS = 112, 5, (1, 1, 2, 2, 4)
#: Sound with an RMS below this is silence: -80 dB.
SILENT = 1e-4
_SYLLABLE = re.compile(r"(.+?)([1-5])")


@functools.cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Every initial and final (without tone) that make a syllable, in the engine's own symbols, sorted."""
    text = resources.files("cloning.engine.text").joinpath("data/pinyin_symbols.txt").read_text("utf-8")
    return tuple(sorted({(initial, final) for _, initial, final in map(str.split, text.splitlines())}))


@functools.cache
def sounds() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Initials and finals, sorted."""
    return tuple(sorted({one for one, _ in pairs()})), tuple(sorted({one for _, one in pairs()}))


def token(initial: str | None = None, final: str | None = None, tone: int = 0) -> int:
    """The number of an initial, or of a final with its tone 1..5; 0 is nothing. Raises ValueError."""
    initials, finals = sounds()
    if final is None:
        return 0 if initial is None else 1 + initials.index(initial)
    return 1 + len(initials) + finals.index(final) * TONES + tone - 1


class Block(nn.Module):
    """Gated convolution over time (Dauphin et al. 2017), added to its input. (B, WIDTH, T)."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH)
        self.filter = nn.Conv1d(WIDTH, 2 * WIDTH, TAPS, padding=TAPS // 2 * dilation, dilation=dilation)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        y = F.glu(self.filter(self.norm(x)), dim=1)
        return x + F.dropout(y, dropout, self.training)


class Ears(nn.Module):
    """Normalised sound (B, CHANNELS + 1, T) to log probabilities of tokens, 50 a second: (B, ceil(T / 2), tokens).

    A final with a tone scores the sum of both, so that a tone is learnt from all finals together.
    """

    def __init__(self) -> None:
        super().__init__()
        initials, finals = sounds()
        self.stem = nn.Conv1d(CHANNELS + 1, WIDTH, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(Block(dilation) for dilation in DILATIONS)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.plain = nn.Conv1d(WIDTH, 1 + len(initials) + len(finals), 1)
        self.tone = nn.Conv1d(WIDTH, TONES, 1)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        x = F.gelu(self.stem(x))
        for block in self.blocks:
            x = block(x, dropout)
        x = F.gelu(self.norm(x))
        plain, tone = self.plain(x).float().transpose(1, 2), self.tone(x).float().transpose(1, 2)
        count = 1 + len(sounds()[0])
        finals = (plain[..., count:, None] + tone[..., None, :]).flatten(-2)
        return torch.log_softmax(torch.cat([plain[..., :count], finals], dim=-1), dim=-1)


@functools.cache
def _states() -> tuple[np.ndarray, np.ndarray]:
    """For every syllable with tone, pairs() x TONES in order: the place of its initial, and the token of its final."""
    starts = [token(initial) - 1 for initial, _ in pairs() for _ in range(TONES)]
    ends = [token(None, final, tone) for _, final in pairs() for tone in range(1, TONES + 1)]
    return np.array(starts), np.array(ends)


def best_syllables(scores: np.ndarray) -> list[tuple[str, str, int]]:
    """Log probabilities (T, tokens) to (initial, final, tone) by the best path that holds nothing but syllables.

    Viterbi over: nothing; an initial; nothing behind an initial; a final of it.
    """
    starts, ends = _states()
    count = len(sounds()[0])
    initial, waiting = np.full(count, -np.inf), np.full(count, -np.inf)
    final, nothing = np.full(len(starts), -np.inf), 0.0
    #: For each frame: was the final left, which one; initial begun; waiting begun; final begun, from a wait.
    left: list[tuple[bool, int]] = []
    begun: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for row in scores:
        last = int(final.argmax())
        free = max(nothing, float(final[last]))
        left.append((float(final[last]) > nothing, last))
        before = np.maximum(initial, waiting)
        begun.append((free > initial, initial > waiting, before[starts] > final, waiting > initial))
        final = row[ends] + np.maximum(final, before[starts])
        waiting = row[0] + before
        initial = row[1 : 1 + count] + np.maximum(initial, free)
        nothing = float(row[0]) + free
    heard: list[tuple[str, str, int]] = []
    where, at = ("final", int(final.argmax())) if final.max() > nothing else ("nothing", 0)
    for (was_final, last), (new_initial, new_wait, new_final, from_wait) in zip(
        reversed(left), reversed(begun), strict=True
    ):
        if where == "final" and new_final[at]:
            heard.append((*pairs()[at // TONES], at % TONES + 1))
            at = int(starts[at])
            where = "waiting" if from_wait[at] else "initial"
        elif where == "waiting" and new_wait[at]:
            where = "initial"
        elif where == "nothing" or (where == "initial" and new_initial[at]):
            where, at = ("final", last) if was_final else ("nothing", 0)
    return heard[::-1]


@dataclass(frozen=True, slots=True)
class MandarinEars:
    """Mandarin; not for use by several threads. `name` tells the weights apart."""

    name: str
    model: Ears

    def words(self, wave: np.ndarray, how: str) -> tuple[str, ...]:
        """Syllables with tones, spelled as `texts.Item.words`; `how` changes nothing."""
        return tuple(f"{initial}{final}{tone}" for initial, final, tone in self.syllables(wave))

    def phones(self, wave: np.ndarray) -> tuple[str, ...]:
        """Initials and finals without tones."""
        return tuple(phone for initial, final, _ in self.syllables(wave) for phone in (initial, final))

    def pronunciations(self, word: str) -> tuple[tuple[str, ...], ...]:
        match = _SYLLABLE.fullmatch(word)
        pair = _spelled().get(match[1]) if match else None
        return (pair,) if pair else ()

    def same(self, one: str, other: str) -> bool:
        return one == other

    def durations(self, wave: np.ndarray, words: Sequence[str]) -> tuple[float, ...] | None:
        """Always None: the network says that a syllable was there, not how long it was."""
        return None

    def followed(self, wave: np.ndarray, words: Sequence[str]) -> tuple[str, ...] | None:
        """Always None: it hears syllables one by one and follows no text."""
        return None

    @torch.inference_mode()
    def syllables(self, wave: np.ndarray) -> list[tuple[str, str, int]]:
        """(initial, final, tone) of each syllable in float32 (samples,) at RATE."""
        if len(wave) < 2 * HOP or not float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) >= SILENT:
            return []
        scores = self.model(torch.from_numpy(normalised(seen(wave)))[None])[0]
        return best_syllables(scores.numpy())


@functools.cache
def _spelled() -> dict[str, tuple[str, str]]:
    return {initial + final: (initial, final) for initial, final in pairs()}


def load(data: bytes) -> MandarinEars:
    """Weights of this network, safetensors in half precision. Raises EngineError `bad_weights`."""
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise EngineError("bad_weights", f"the recogniser's weights cannot be read: {error}") from error
    expected = {name: shape for name, shape in outline(Ears).items() if not name.endswith("num_batches_tracked")}
    if wrong := first_difference(expected, tensors):
        raise EngineError("bad_weights", f"the recogniser's weights: {wrong}")
    if wrong := not_finite(tensors):
        raise EngineError("bad_weights", f"the recogniser's weights: {wrong} is not finite")
    model = Ears()
    model.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
    return MandarinEars(f"vouch-mandarin-{hashlib.sha256(data).hexdigest()[:8]}", model.eval())


def save(model: Ears) -> bytes:
    """What `load` reads."""
    return safetensors.torch.save(
        {
            name: value.half().contiguous()
            for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
    )


@functools.cache
def mandarin_ears() -> MandarinEars:
    """The shipped recogniser, kept for the process."""
    return load(resources.files(__package__).joinpath("data", WEIGHTS).read_bytes())
