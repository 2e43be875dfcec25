"""v3 and v4: speed and error of the fast transformer at full size beside the plain one, and what integrators give for
the same number of evaluations. A step's time is that of a whole integration over its steps, because the fast path makes
some of the work once for all of them; the plain path keeps text and step size between steps, as upstream does.

Weights of the first part are by the recipe, so its differences are those of random weights. The second part trains a
reduced transformer for some seconds on vowels made here, because integrators can only be told apart on a flow that was
learned.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cloning.engine.acoustic.cfm import EVALUATIONS, FlowMatching, Integrator
from cloning.engine.acoustic.dit_fast import prepare
from cloning.engine.bench.acoustic import SEED, snr_db
from cloning.engine.bench.timing import interleaved
from cloning.engine.bench.vocoders import V4_INITIAL, v4
from cloning.engine.diffusion_config import DitConfig
from cloning.engine.features.spectrogram import V4_MEL, from_unit, linear, log_mel, to_unit
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.weights import fill, outline

#: Mel frames of one call: a full prompt and two seconds behind it; and of the wave that is compared.
FRAMES, QUICK_FRAMES = 700, 120
PROMPT_SHARE = 5 / 7
STEPS, QUICK_STEPS = 8, 2
WAVE_FRAMES, WAVE_PROMPT, WAVE_STEPS = 160, 60, 4
ROUNDS, QUICK_ROUNDS = 2, 1
#: Of the flow that is trained here.
TRAINED = DitConfig(width=96, depth=3, heads=3, head_width=32, text=32, text_layers=1, dropout=0.0)
LEARNING_STEPS, QUICK_LEARNING_STEPS = 400, 20
BATCH, LENGTH, PROMPT = 8, 48, 12
RATE_OF_LEARNING = 2e-3
#: Evaluations at which integrators are compared, and steps that count as exact.
BUDGETS, EXACT_STEPS = (4, 8, 16, 32), 64
#: Resonances in Hz of the vowels that the trained flow learns (Peterson and Barney 1952, men).
VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of both parts. `seconds` is CPU time of the best round."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        frames, rounds, steps = (QUICK_FRAMES, QUICK_ROUNDS, QUICK_STEPS) if quick else (FRAMES, ROUNDS, STEPS)
        return [
            *measure(DitConfig(), V4_INITIAL, frames, rounds, steps),
            *integrators(QUICK_LEARNING_STEPS if quick else LEARNING_STEPS),
        ]
    finally:
        torch.set_num_threads(before)


def by_recipe(config: DitConfig) -> FlowMatching:
    """A flow with weights by the recipe."""

    def build() -> FlowMatching:
        return FlowMatching(config)

    shapes = {f"cfm.{name}": shape for name, shape in outline(build).items()}
    state = recipe_state(shapes, SEED)
    return fill(build, {name.removeprefix("cfm."): value for name, value in state.items()}).requires_grad_(False)


@torch.inference_mode()
def measure(
    config: DitConfig, vocoder_width: int, frames: int, rounds: int, steps: int = STEPS
) -> list[dict[str, Any]]:
    """A step of an integration of `steps` steps over `frames` frames, PROMPT_SHARE of them prompt: plain in float32 and
    bfloat16, the engine's in both. `ratio` to plain float32, `ratio_same` to the plain path in the same precision; with
    the difference of the mel and of the wave that WAVE_STEPS steps make."""
    plain = by_recipe(config)
    half, fast, exact = (copy.deepcopy(plain) for _ in range(3))
    half.estimator.to(torch.bfloat16)
    prepare(fast.estimator, "bfloat16")
    prepare(exact.estimator, "float32")
    flows = {
        ("reference", "float32"): plain,
        ("reference", "bfloat16"): half,
        ("engine", "float32"): exact,
        ("engine", "bfloat16"): fast,
    }
    draw = torch.Generator().manual_seed(SEED)
    text = torch.randn(1, config.text, frames, generator=draw)
    prompt = torch.randn(1, config.mel, round(frames * PROMPT_SHARE), generator=draw) * 0.3
    noise = torch.randn(1, config.mel, frames, generator=draw)
    lengths = torch.tensor([frames])

    def integration(flow: FlowMatching) -> Callable[[], Tensor]:
        return lambda: flow.sample(text, lengths, prompt, steps, noise=noise)

    times = interleaved({" ".join(key): integration(flow) for key, flow in flows.items()}, rounds=rounds)
    mels = {key: _mel(flow, config) for key, flow in flows.items()}
    vocoder = v4(vocoder_width)
    waves = {key: vocoder(from_unit(made.clamp(-1, 1))) for key, made in mels.items()}
    first = ("reference", "float32")
    rows = []
    for key in flows:
        row: dict[str, Any] = {
            "part": "dit step",
            "variant": key[0],
            "precision": key[1],
            "seconds": times[" ".join(key)].cpu / steps,
            "frames": frames,
            "steps": steps,
            "ratio": times[" ".join(first)].cpu / times[" ".join(key)].cpu,
            "ratio_same": times[f"reference {key[1]}"].cpu / times[" ".join(key)].cpu,
        }
        if key != first:
            row |= {"mel_snr_db": snr_db(mels[first], mels[key]), "wave_snr_db": snr_db(waves[first], waves[key])}
        rows.append(row)
    return rows


def _mel(flow: FlowMatching, config: DitConfig) -> Tensor:
    draw = torch.Generator().manual_seed(SEED + 1)
    text = torch.randn(1, config.text, WAVE_FRAMES, generator=draw)
    prompt = torch.randn(1, config.mel, WAVE_PROMPT, generator=draw) * 0.3
    noise = torch.randn(1, config.mel, WAVE_FRAMES, generator=draw)
    made = flow.sample(text, torch.tensor([WAVE_FRAMES]), prompt, WAVE_STEPS, noise=noise)
    return made[..., WAVE_PROMPT:]


def integrators(steps: int, budgets: tuple[int, ...] = BUDGETS, exact_steps: int = EXACT_STEPS) -> list[dict[str, Any]]:
    """Root mean square distance of the mel (unit range) from the flow's exact end, from the same noise, after so many
    evaluations; the flow has learned for `steps` steps."""
    flow = learned(steps)
    draw = torch.Generator().manual_seed(SEED + 2)
    mel, text = vowels(BATCH, draw)
    noise = torch.randn(mel.shape, generator=draw)
    lengths = torch.full((BATCH,), LENGTH)

    def sample(integrator: Integrator, count: int) -> Tensor:
        made = flow.sample(text, lengths, mel[..., :PROMPT], count, noise=noise, integrator=integrator)
        return made[..., PROMPT:]

    exact = sample("heun", exact_steps)
    rows = []
    for name in EVALUATIONS:
        known: Integrator = name  # type: ignore[assignment]
        for budget in budgets:
            made = sample(known, budget // EVALUATIONS[name])
            rows.append(
                {
                    "part": "integrator",
                    "variant": name,
                    "evaluations": budget,
                    "rms_to_exact": float((made - exact).square().mean().sqrt()),
                    "rms_to_truth": float((made - mel[..., PROMPT:]).square().mean().sqrt()),
                }
            )
    return rows


def learned(steps: int) -> FlowMatching:
    """A reduced flow trained with upstream's loss, both branches."""
    torch.manual_seed(SEED)
    flow = FlowMatching(TRAINED).train()
    optimiser = torch.optim.AdamW(flow.parameters(), RATE_OF_LEARNING)
    draw = torch.Generator().manual_seed(SEED)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE_OF_LEARNING * (1 - step / steps)
        mel, text = vowels(BATCH, draw)
        long = float(torch.rand((), generator=draw)) < 0.3
        loss = flow.loss(
            mel,
            torch.full((BATCH,), LENGTH),
            torch.randint(0, LENGTH * 2 // 3, (BATCH,), generator=draw),
            text,
            noise=torch.randn(mel.shape, generator=draw),
            time=torch.rand(BATCH, generator=draw),
            bases=torch.randint(2, 8, (BATCH,), generator=draw) if long else None,
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()
    return flow.eval().requires_grad_(False)


def vowels(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Buzzes of random pitch through the resonances of two vowels each -> mels count x M x LENGTH in the unit range,
    text count x C x LENGTH that tells the vowel of each frame."""
    samples = LENGTH * V4_MEL.hop
    time = torch.arange(samples) / V4_MEL.sample_rate
    pitch = 90 + 120 * torch.rand(count, 1, generator=draw) + 10 * torch.sin(2 * math.pi * 3 * time)
    phase = 2 * math.pi * torch.cumsum(pitch / V4_MEL.sample_rate, dim=1)
    which = torch.randint(0, len(VOWELS), (count, 2), generator=draw)
    frame_of = torch.arange(samples) // V4_MEL.hop >= LENGTH // 2
    wave = torch.zeros(count, samples)
    for part in range(2):
        heights = torch.tensor(VOWELS)[which[:, part]].float()
        voiced = torch.zeros(count, samples)
        for harmonic in range(1, 30):
            distance = (pitch * harmonic)[..., None] - heights[:, None]
            gain = (1 / (1 + (distance / 80).square())).sum(-1) / harmonic**0.5
            voiced += gain * torch.sin(phase * harmonic)
        wave += voiced * (frame_of if part else ~frame_of)
    wave = 0.2 * wave + 0.002 * torch.randn(wave.shape, generator=draw)
    mel = to_unit(log_mel(linear(wave, V4_MEL), V4_MEL))
    table = torch.randn(len(VOWELS), TRAINED.text, generator=torch.Generator().manual_seed(SEED))
    halves = table[which].transpose(1, 2)
    return mel, halves.repeat_interleave(LENGTH // 2, dim=2)
