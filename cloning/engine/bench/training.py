"""Speed and memory of one training step at full v2 size, beside a plain eager float32 step of the same recipe.

S1: four items of 60 phones and 125 codes, forward, backward, clipping, AdamW. S2: two items of 5 s, generator and
critics, a segment of 0.64 s, both optimisers. The plain step runs the models as they stand, in float32, at the lengths
given; critics judge real and generated waves apart, and gradients of the critics are computed for the generator's loss
too, as the official code does. The engine's step takes `training.quick` forms under bfloat16 autocast, padded to the
bucket shapes of training, with fused AdamW. Weights and batches are the same, from a seed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import (
    FEATURE_WEIGHT,
    KL_WEIGHT,
    MEL_WEIGHT,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    kl_loss,
    mel_loss,
)
from cloning.engine.bench.timing import MEGABYTE, added_memory, interleaved
from cloning.engine.config import EngineConfig, official
from cloning.engine.features.spectrogram import linear
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.acoustic import both
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP
from cloning.engine.training.quick import available, quicken

SEED = 6001
PHONES, CODES = 60, 125
SEMANTIC_BATCH, ACOUSTIC_BATCH = 4, 2
ROUNDS, QUICK_ROUNDS = 3, 1
RATE = 1e-5

M = TypeVar("M", bound=nn.Module)
Step = Callable[[], dict[str, float]]


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Two rows for each stage: the plain step and the engine's.

    `seconds` is CPU time of the best of interleaved rounds, `ratio` plain over this, `loss` the first step's (drawn
    with its own dropout), `peak_memory_mb` parameters, gradients, optimiser state and the most that resident memory
    rose during one step (Linux only, else None).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        config = official("v2")
        rounds = QUICK_ROUNDS if quick else ROUNDS
        rows = measure("training semantic", semantic_steps(config), SEMANTIC_BATCH, rounds)
        gc.collect()
        return rows + measure("training acoustic", acoustic_steps(config), ACOUSTIC_BATCH, rounds)
    finally:
        torch.set_num_threads(before)


def measure(part: str, steps: dict[str, Step], batch: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of one stage; `steps` holds "plain" and "engine", each with weights and an optimiser of its own."""
    memory: dict[str, float | None] = {}
    losses = {}
    for name, step in steps.items():
        first: dict[str, float] = {}
        rise = added_memory(lambda step=step, first=first: first.update(step()))  # type: ignore[misc]
        losses[name] = first["loss"]
        memory[name] = None if rise is None else rise + first["weights_mb"]
    times = interleaved(steps, rounds=rounds)
    return [
        {
            "part": part,
            "variant": "reference" if name == "plain" else "engine",
            "precision": "float32" if name == "plain" else "bfloat16",
            "batch": batch,
            "seconds": times[name].cpu,
            "wall_seconds": times[name].wall,
            "reference_seconds": times["plain"].cpu,
            "ratio": times["plain"].cpu / times[name].cpu,
            "loss": losses[name],
            "peak_memory_mb": memory[name],
        }
        for name in steps
    ]


def semantic_steps(config: EngineConfig) -> dict[str, Step]:
    """One S1 step, plain and the engine's, each on a model of its own with the same weights."""
    drawn = torch.Generator().manual_seed(SEED)
    semantic = config.semantic
    phones = torch.randint(0, semantic.phonemes, (SEMANTIC_BATCH, PHONES), generator=drawn)
    codes = torch.randint(0, semantic.codes, (SEMANTIC_BATCH, CODES), generator=drawn)
    lengths = torch.full((SEMANTIC_BATCH,), PHONES), torch.full((SEMANTIC_BATCH,), CODES)

    def make(engine: bool) -> Step:
        model = seeded(lambda: Text2Semantic(semantic))
        optimiser = _optimiser(model, engine)
        if engine:
            quicken(model)
        text, spoken = (_padded(phones, PHONE_STEP), _padded(codes, CODE_STEP)) if engine else (phones, codes)

        def step() -> dict[str, float]:
            with _precision(engine):
                loss = model(text, lengths[0], spoken, lengths[1]).loss
            _update(loss, model, optimiser)
            return {"loss": float(loss.detach()), "weights_mb": _megabytes(model)}

        return step

    return {"plain": make(False), "engine": make(True)}


def acoustic_steps(config: EngineConfig) -> dict[str, Step]:
    """One S2 step of generator and critics, plain and the engine's."""
    drawn = torch.Generator().manual_seed(SEED)
    acoustic, audio = config.acoustic, config.audio
    frames = CODES * acoustic.frames_per_code
    phones = torch.randint(0, acoustic.phonemes, (ACOUSTIC_BATCH, PHONES), generator=drawn)
    codes = torch.randint(0, acoustic.codes, (ACOUSTIC_BATCH, CODES), generator=drawn)
    wave = 0.1 * torch.randn(ACOUSTIC_BATCH, frames * audio.hop, generator=drawn)
    phone_lengths, lengths = torch.full((ACOUSTIC_BATCH,), PHONES), torch.full((ACOUSTIC_BATCH,), frames)

    def make(engine: bool) -> Step:
        model = seeded(lambda: AcousticModel(acoustic, audio))
        critics = seeded(lambda: Discriminators(acoustic))
        optimisers = _optimiser(model, engine), _optimiser(critics, engine)
        text, spoken, sound = phones, codes, wave
        if engine:
            quicken(model)
            quicken(critics)
            text, spoken = _padded(phones, PHONE_STEP), _padded(codes, CODE_STEP)
            sound = _padded(wave, CODE_STEP * acoustic.frames_per_code * audio.hop)

        def step() -> dict[str, float]:
            spec = linear(sound, audio)
            with _precision(engine):
                generator = torch.Generator().manual_seed(SEED)
                out = model(spoken, spec, lengths, text, phone_lengths, generator=generator)
            fake = out.wave.float()
            real = slice_segments(sound[:, None], out.starts * audio.hop, acoustic.segment_frames * audio.hop)
            with _precision(engine):
                asked = both(critics, real, fake.detach()) if engine else (critics(real), critics(fake.detach()))
            _update(discriminator_loss(*asked), critics, optimisers[1])
            critics.requires_grad_(not engine)
            with _precision(engine):
                with torch.set_grad_enabled(not engine):
                    on_real = critics(real)
                on_fake = critics(fake)
            loss = adversarial_loss(on_fake) + FEATURE_WEIGHT * feature_loss(on_real, on_fake)
            loss = loss + MEL_WEIGHT * mel_loss(fake, real, audio) + KL_WEIGHT * kl_loss(out)
            _update(loss, model, optimisers[0])
            critics.requires_grad_(True)
            return {"loss": float(loss.detach()), "weights_mb": _megabytes(model) + _megabytes(critics)}

        return step

    return {"plain": make(False), "engine": make(True)}


def seeded(build: Callable[[], M]) -> M:
    """A model as it is built, in training mode, from one seed: official weights would take the same time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build().train()


def _optimiser(model: nn.Module, fused: bool) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, lr=RATE, fused=True if fused else None)


def _update(loss: Tensor, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 100.0)
    optimiser.step()


def _precision(engine: bool) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=engine and available())


def _padded(rows: Tensor, step: int) -> Tensor:
    return F.pad(rows, (0, -rows.shape[1] % step))


def _megabytes(model: nn.Module) -> float:
    """Weights, and for those that are trained a gradient and two averages."""
    return sum(p.numel() * p.element_size() * (4 if p.requires_grad else 1) for p in model.parameters()) / MEGABYTE
