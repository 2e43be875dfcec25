"""`python -m demo.starter.mandarin_judge --out FILE [--minutes N]`: the Mandarin recogniser that judges voices.

It trains `cloning.engine.evaluate.mandarin_hearing` on speech of eSpeak NG and of nothing else, apart from everything
that voices learn from: other seeds, other front end, other network. The variants JUDGES are never heard in training;
at the end it says how well they are understood. One core; the same command gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import scipy.signal
import soxr
import torch

from cloning.engine.evaluate import tones
from cloning.engine.evaluate.align import align, errors
from cloning.engine.evaluate.mandarin_hearing import Ears, MandarinEars, load, save, token
from cloning.engine.evaluate.mandarin_sound import BANDS, RATE, normalised, seen
from cloning.engine.evaluate.texts import items
from cloning.engine.starter.mandarin_texts import clause
from cloning.engine.text import to_phones
from cloning.engine.text.symbols import PUNCTUATION
from demo.espeak import SPEEDS, speak_pinyin

#: Initial, final, tone 1..5.
Syllable = tuple[str, str, int]
SEED = 909
#: Never heard in training: the variants that judge voices.
JUDGES = ("Alex", "Alicia", "Andrea", "Andy", "Annie")
#: The others, without whispers, croaks, robots, those that fail, and one that is nearly a judge (AnxiousAndy).
_NAMES = """
    Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen RicishayMax RicishayMax2 RicishayMax3
    Storm Tweaky adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward edward2 f1 f2 f3 f4 f5
    fast grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 linda
    m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy robert sandro shelby steph steph2
    steph3 travis victor zac
"""
VARIANTS = tuple(_NAMES.split())
#: Clips to train on, and for each judge to be measured on; the first number of the latter's seeds.
CLIPS, MEASURED, MEASURED_FROM = 6_000, 40, 1_000_000
#: Training: clips in a batch, steps that one core does in a minute, and the highest learning rate.
BATCH, STEPS_A_MINUTE, RATE_OF_LEARNING = 12, 420, 2.5e-3
#: The first share of the steps sees clips of at most so many syllables: where few can stand, places are soon found.
EASY_SHARE, EASY = 0.1, 6
#: Seconds of a syllable.
PACE = (0.14, 0.36)
_PROBE = "ta1 lai2 wo3 qu4 ma5 ye3 yan2 jiu1"


@dataclass(frozen=True)
class Clip:
    """`sound`: what `seen` gives, half precision. `said`: (initial, final, tone) of every syllable."""

    sound: np.ndarray
    said: tuple[Syllable, ...]


@functools.cache
def _pinyin() -> dict[tuple[str, str], str]:
    """Initial and final to pinyin without tone: the spelling of the standard, ju and not jv."""
    text = resources.files("cloning.engine.text").joinpath("data/pinyin_symbols.txt").read_text("utf-8")
    rows = [line.split() for line in text.splitlines()]
    rows.sort(key=lambda row: "v" in row[0])
    found: dict[tuple[str, str], str] = {}
    for syllable, initial, final in rows:
        found.setdefault((initial, final), syllable)
    del found["y", "o"]  # the engine reads 哟 without its glide
    return found


def clauses(text: str) -> list[tuple[Syllable, ...]]:
    """What the engine's front end reads in a Mandarin text, clause by clause. Left out are clauses that the program
    would say otherwise: with anything but syllables, or with a third tone before another (it makes a second of it)."""
    found: list[list[str]] = [[]]
    for symbol in to_phones(text, "zh").symbols:
        if symbol in PUNCTUATION:
            found.append([])
        else:
            found[-1].append(symbol)
    said = []
    for row in found:
        one = tuple((a, b[:-1], int(b[-1])) for a, b in zip(row[::2], row[1::2], strict=False) if b[-1] in "12345")
        known = all((a, b) in _pinyin() for a, b, _ in one)
        if one and 2 * len(one) == len(row) and known and not _third_before_third(one):
            said.append(one)
    return said


def _third_before_third(clause: Sequence[Syllable]) -> bool:
    return any(one[2] == other[2] == 3 for one, other in itertools.pairwise(clause))


def _drawn(rng: np.random.Generator) -> tuple[Syllable, ...]:
    """One clause; one in four is any syllables at all, so that rare ones are learnt and sense does not help."""
    while True:
        if rng.random() < 0.25:
            known = sorted(_pinyin())
            picked = rng.integers(len(known), size=rng.integers(1, 9))
            said = [tuple((*known[int(i)], int(rng.integers(1, 6))) for i in picked)]
            said = [one for one in said if not _third_before_third(one)]
        else:
            said = clauses(clause(rng))
        if len(said) == 1:
            return said[0]


@functools.cache
def _ordinary_seconds(variant: str) -> float:
    """Seconds of a syllable at 130 words a minute: some variants are twice as fast as others."""
    wave, rate = speak_pinyin(_PROBE, variant=variant)
    return len(wave) / rate / len(_PROBE.split())


def speech(
    rng: np.random.Generator,
    variants: Sequence[str],
    stretch: float = 1.0,
    given: Sequence[tuple[Syllable, ...]] | None = None,
) -> tuple[np.ndarray, tuple[Syllable, ...]]:
    """Clauses by one variant at RATE, and what is said. `stretch`: slower and deeper by this factor; `given`: the
    clauses, else one or two are drawn."""
    variant, pitch = str(rng.choice(variants)), int(rng.integers(20, 81))
    speed = int(np.clip(130 * _ordinary_seconds(variant) / rng.uniform(*PACE) * stretch, *SPEEDS))
    parts: list[np.ndarray] = []
    said: list[Syllable] = []
    for number in range(int(rng.integers(1, 3)) if given is None else len(given)):
        one = _drawn(rng) if given is None else given[number]
        text = " ".join(f"{_pinyin()[initial, final]}{tone}" for initial, final, tone in one)
        wave, rate = speak_pinyin(
            text + str(rng.choice([".", ",", "?", ""])), variant=variant, pitch=pitch, speed=speed
        )
        parts += [soxr.resample(wave, rate, RATE * stretch), np.zeros(int(rng.uniform(0.1, 0.3) * RATE), np.float32)]
        said += one
    return np.concatenate([np.zeros(int(rng.uniform(0, 0.3) * RATE), np.float32), *parts]), tuple(said)


def disturbed(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The wave (samples,) as another throat, room, microphone and codec would give it; about as long."""
    wave = wave / (np.abs(wave).max() + 1e-6)
    if rng.random() < 0.5:  # pitch and pace waver
        points = np.cumsum(rng.normal(0, 0.012, len(wave) // 1600 + 2)) + rng.normal(0, 0.01, len(wave) // 1600 + 2)
        pace = np.exp(np.interp(np.arange(len(wave)) / 1600, np.arange(len(points)), points - points.mean()))
        wave = np.interp(np.cumsum(pace), np.arange(len(wave)), wave)
    if rng.random() < 0.4:  # phases and loudness of partials as a vocoder smears them
        _, _, bins = scipy.signal.stft(wave, nperseg=512, noverlap=384)
        smear = rng.normal(0, rng.uniform(0.1, 1.2), bins.shape) * np.linspace(0.2, 1, len(bins))[:, None]
        bins = bins * np.exp(1j * smear + rng.normal(0, rng.uniform(0.0, 0.5), bins.shape))
        wave = scipy.signal.istft(bins, nperseg=512, noverlap=384)[1][: len(wave)]
    if rng.random() < 0.6:  # an equaliser
        gains = np.exp(rng.normal(0, 0.7, 8))
        wave = np.convolve(wave, scipy.signal.firwin2(129, np.linspace(0, 1, 8), gains), "same")
    if rng.random() < 0.5:  # a room
        decay = rng.uniform(0.05, 0.5)
        times = np.arange(int(decay * RATE)) / RATE
        echo = rng.normal(0, 1, len(times)) * np.exp(-6.9 * times / decay)
        echo *= rng.uniform(0.1, 0.7) / np.sqrt(np.square(echo).sum())
        echo[0] = 1.0
        wave = scipy.signal.fftconvolve(wave, echo)[: len(wave)]
    if rng.random() < 0.3:  # a narrow channel
        wave = scipy.signal.sosfilt(scipy.signal.butter(4, rng.uniform(2800, 7000), fs=RATE, output="sos"), wave)
    if rng.random() < 0.6:  # noise, white to brown
        noise = scipy.signal.lfilter([1], [1, -rng.uniform(0, 0.97)], rng.normal(0, 1, len(wave)))
        wave = wave + noise * wave.std() / (noise.std() + 1e-9) * 10 ** (-rng.uniform(8, 45) / 20)
    return np.asarray(wave * rng.uniform(0.02, 0.9) / (np.abs(wave).max() + 1e-6), np.float32)


def clip(number: int) -> Clip:
    """The training clip of this number; one in 40 holds no speech."""
    rng = np.random.default_rng((SEED, number))
    if rng.random() < 0.025:
        wave = np.zeros(int(rng.uniform(0.3, 4) * RATE), np.float32)
        if rng.random() < 0.8:
            wave += rng.normal(0, 1, len(wave)) * np.repeat(rng.uniform(0, 1, len(wave) // 800 + 1), 800)[: len(wave)]
        if rng.random() < 0.5:
            wave += np.sin(np.arange(len(wave)) * rng.uniform(0.02, 0.4)) * rng.uniform(0, 3)
        return Clip(seen(disturbed(wave, rng)).astype(np.float16), ())
    wave, said = speech(rng, VARIANTS, stretch=math.exp(rng.uniform(math.log(0.8), math.log(1.25))))
    return Clip(seen(disturbed(wave, rng)).astype(np.float16), said)


def varied(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What `seen` gives, with another throat, sharpness, floor, pace and melody: (CHANNELS, about T)."""
    sound = np.array(sound, np.float32)
    bands = np.arange(BANDS, dtype=np.float32)
    position = np.clip(bands * math.exp(rng.uniform(-0.1, 0.1)) + rng.uniform(-1.5, 1.5), 0, BANDS - 1.001)
    mels = _between(sound[:BANDS], position)
    if rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 4))):
            wide = np.concatenate([mels[:1], mels, mels[-1:]])
            mels = 0.5 * mels + 0.25 * (wide[:-2] + wide[2:])
    if rng.random() < 0.4:
        floor = mels.max() - rng.uniform(4.5, 13) + np.cumsum(rng.normal(0, 0.2, BANDS))[:, None]
        mels = np.logaddexp(mels, floor + rng.normal(0, 0.5, mels.shape))
    if rng.random() < 0.3:
        mels = mels * rng.uniform(0.8, 1.2)
    mels = mels + rng.normal(0, rng.uniform(0, 0.25), mels.shape)
    pitch = sound[BANDS] * math.exp(rng.uniform(-0.5, 0.3))
    frames = sound.shape[1]
    pitch = pitch + np.linspace(-1, 1, frames) * rng.normal(0, 0.15) + rng.normal(0, rng.uniform(0, 0.06), frames)
    fit = np.clip(sound[BANDS + 1] * rng.uniform(0.7, 1.05) + rng.normal(0, 0.05, frames), 0, 1)
    out = np.concatenate([mels, pitch[None], fit[None]]).astype(np.float32)
    pace = math.exp(rng.uniform(-0.15, 0.2))
    out = _between(out.T, np.linspace(0, frames - 1.001, max(2, int(frames * pace)))).T if frames > 2 else out
    width, start = int(rng.integers(0, 6)), int(rng.integers(BANDS))
    out[start : min(start + width, BANDS)] = out[:BANDS].mean()
    return out


def _between(rows: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Rows at places between them, linearly."""
    low = position.astype(int)
    share = (position - low).astype(np.float32)[:, None]
    return np.asarray(rows[low] * (1 - share) + rows[low + 1] * share)


def _batches(clips: Sequence[Clip], steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Numbers of the clips of every step: all as often, and of about the same length together."""
    easy = np.array([number for number, one in enumerate(clips) if 0 < len(one.said) <= EASY])
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        order = rng.permutation(easy if len(batches) < EASY_SHARE * steps and len(easy) >= BATCH else len(clips))
        for start in range(0, len(order) - BATCH + 1, 16 * BATCH):
            some = sorted(order[start : start + 16 * BATCH], key=lambda one: clips[one].sound.shape[1])
            several = [np.array(some[place : place + BATCH]) for place in range(0, len(some), BATCH)]
            batches += [several[int(one)] for one in rng.permutation(len(several))]
    return batches[:steps]


def train(clips: Sequence[Clip], steps: int, bfloat16: bool = True) -> Ears:
    """A trained network in eval mode. `bfloat16`: products of half precision, twice as fast on processors with them."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng((SEED, 2 * MEASURED_FROM))
    model = Ears()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE_OF_LEARNING, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE_OF_LEARNING, total_steps=steps, pct_start=0.08)
    started, running = time.monotonic(), 0.0
    for step, numbers in enumerate(_batches(clips, steps, rng), 1):
        inputs = [normalised(varied(clips[one].sound, rng)) for one in numbers]
        targets = [[t for a, b, tone in clips[one].said for t in (token(a), token(None, b, tone))] for one in numbers]
        longest = max(one.shape[1] for one in inputs)
        padded = np.stack([np.pad(one, ((0, 0), (0, longest - one.shape[1]))) for one in inputs])
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            scores = model(torch.from_numpy(padded), dropout=0.05)
        loss = torch.nn.functional.ctc_loss(
            scores.transpose(0, 1),
            torch.tensor([number for row in targets for number in row]),
            torch.tensor([(one.shape[1] + 1) // 2 for one in inputs]),
            torch.tensor([len(row) for row in targets]),
            reduction="sum",
            zero_infinity=True,
        ) / sum(len(row) + 1 for row in targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running += loss.item()
        if step % 50 == 0:
            _tell(f"step {step} of {steps}: loss {running / 50:.3f}, {time.monotonic() - started:.0f} s")
            running = 0.0
    return model.eval()


@dataclass
class Count:
    """Syllables given; errors with tones and without; tones right, of syllables with the right sounds."""

    given: int = 0
    wrong: int = 0
    wrong_sounds: int = 0
    right_tones: int = 0
    right_sounds: int = 0

    def hear(self, ears: MandarinEars, wave: np.ndarray, said: Sequence[Syllable]) -> None:
        steps = align([f"{initial}{final}{tone}" for initial, final, tone in said], ears.words(wave, "mandarin"))
        right, of = tones.right(steps)
        self.given += len(said)
        self.wrong += errors(steps)
        self.wrong_sounds += tones.errors_without(steps)
        self.right_tones += right
        self.right_sounds += of

    def line(self) -> str:
        right, sounds = (1 - wrong / self.given for wrong in (self.wrong, self.wrong_sounds))
        tone = self.right_tones / max(1, self.right_sounds)
        return f"{self.given} syllables: {right:.3f} right, {sounds:.3f} without tones, tones {tone:.3f}"


def measure(ears: MandarinEars, variants: Sequence[str] = JUDGES, count: int = MEASURED) -> list[str]:
    """How well variants are understood, each as it speaks, all of them disturbed, and all of them with the sentences
    that judge voices; one line each."""
    lines, rough, whole, sentences = [], Count(), Count(), Count()
    texts = [found for item in items("mandarin") if (found := clauses(item.spoken))]
    for place, variant in enumerate(variants):
        clean = Count()
        for number in range(count):
            rng = np.random.default_rng((SEED, MEASURED_FROM + 1000 * place + number))
            wave, said = speech(rng, [variant])
            for one in (clean, whole):
                one.hear(ears, wave, said)
            rough.hear(ears, disturbed(wave, rng), said)
        lines.append(f"{variant}: {clean.line()}")
        for number, text in enumerate(texts):
            rng = np.random.default_rng((SEED, 3 * MEASURED_FROM + 1000 * place + number))
            sentences.hear(ears, *speech(rng, [variant], given=text))
    lines += [f"all: {whole.line()}", f"all, disturbed: {rough.line()}", f"all, sentences: {sentences.line()}"]
    return lines


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="demo.starter.mandarin_judge", description="Train the Mandarin recogniser.")
    parser.add_argument("--out", type=Path, required=True, help="the weights, safetensors")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training on one core, after the data's making")
    parser.add_argument("--clips", type=int, default=CLIPS, help="fewer for a trial")
    parser.add_argument("--float32", action="store_true", help="for processors without bfloat16 products")
    parser.add_argument("--measure", action="store_true", help="train nothing: measure the weights that --out names")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not options.measure:
        _make(options)
    for line in measure(load(options.out.read_bytes())):
        _tell(line)
    return 0


def _make(options: argparse.Namespace) -> None:
    started = time.monotonic()
    clips = []
    for number in range(options.clips):
        clips.append(clip(number))
        if number % 500 == 499:
            _tell(f"clip {number + 1} of {options.clips}, {time.monotonic() - started:.0f} s")
    steps = max(20, int(options.minutes * STEPS_A_MINUTE))
    options.out.write_bytes(save(train(clips, steps, not options.float32)))


if __name__ == "__main__":
    sys.exit(main())
