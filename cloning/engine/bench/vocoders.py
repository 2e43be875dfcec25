"""Speed and error of the vocoders of v3 (BigVGAN v2, 112 M parameters) and v4 at full size, each fast form beside the
plain model with folded weight norm in the same process: what upstream runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.fast import FastDecoder
from cloning.engine.acoustic.hifigan import Upsampler
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.bench.acoustic import EXACT_DB, SEED, snr_db
from cloning.engine.bench.timing import interleaved
from cloning.engine.features.spectrogram import V3_MEL, V4_MEL
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.vocoders.bigvgan import BigVgan, BigVganConfig
from cloning.engine.vocoders.fast import DTYPES, FastBigVgan
from cloning.engine.vocoders.mel_hifigan import folded, shape_of

SECONDS, QUICK_SECONDS = 0.5, 0.1
ROUNDS, QUICK_ROUNDS = 3, 1
#: Recipe gains are about 1, where trained ones keep a residual near its input; smaller ones keep the wave in range.
BLOCK_GAIN, FINAL_GAIN = 0.25, 0.1
#: The published 24 kHz, 100 band, 256x settings.
BIGVGAN = BigVganConfig(
    mels=100,
    initial=1536,
    rates=(4, 4, 2, 2, 2, 2),
    kernels=(8, 8, 4, 4, 4, 4),
    block_kernels=(3, 7, 11),
    dilations=((1, 3, 5), (1, 3, 5), (1, 3, 5)),
    sample_rate=24_000,
    final_tanh=False,
    final_bias=False,
)
V4_INITIAL = 512


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Rows for both vocoders: plain, then each precision. `seconds` is CPU time of the best round."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if quick else (SECONDS, ROUNDS)
        return [
            *measure("vocoder v3", bigvgan(BIGVGAN), FastBigVgan, V3_MEL.frame_rate, seconds, rounds),
            *measure("vocoder v4", v4(V4_INITIAL), FastDecoder, V4_MEL.frame_rate, seconds, rounds),
        ]
    finally:
        torch.set_num_threads(before)


def bigvgan(config: BigVganConfig) -> BigVgan:
    """BigVGAN with weights by the recipe, weight norm folded."""
    model = BigVgan(config)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.endswith("filter")}
    state = recipe_state(shapes, SEED)
    for name in state:
        if name.endswith("act.alpha"):
            state[name] -= 1.0
        if name.endswith("weight_g"):
            state[name] *= BLOCK_GAIN if "resblocks" in name else 0.5
    model.load_state_dict(state, strict=False)
    fold_weight_norm(model)
    return model.eval().requires_grad_(False)


def v4(initial: int) -> Upsampler:
    """v4's vocoder with weights by the recipe."""
    model = folded(shape_of({"conv_pre.weight": torch.empty(initial, 100, 7)}))
    state = recipe_state({name: tuple(value.shape) for name, value in model.state_dict().items()}, SEED)
    state["conv_post.weight"] *= FINAL_GAIN
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def measure(
    part: str, plain: nn.Module, fast: Callable[..., nn.Module], frame_rate: float, seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """Rows of one vocoder over `seconds` of sound."""
    frames = max(4, round(seconds * frame_rate))
    mels = torch.randn(1, 100, frames, generator=torch.Generator().manual_seed(SEED))
    models = {"plain": plain} | {name: fast(plain, name) for name in DTYPES}

    def call(model: nn.Module) -> Callable[[], Tensor]:
        return lambda: model(mels)

    calls = {name: call(model) for name, model in models.items()}
    reference = calls["plain"]().clone()
    times = interleaved(calls, rounds=rounds)
    rows = []
    for name in calls:
        row: dict[str, Any] = {
            "part": part,
            "variant": "reference" if name == "plain" else "engine",
            "precision": "float32" if name == "plain" else name,
            "seconds": times[name].cpu,
            "wall_seconds": times[name].wall,
            "audio_seconds": frames / frame_rate,
            "rtf": times[name].cpu / (frames / frame_rate),
            "ratio": times["plain"].cpu / times[name].cpu,
        }
        if name != "plain":
            wave = calls[name]()
            noise = snr_db(reference, wave)
            exact = noise > EXACT_DB
            row["max_difference" if exact else "snr_db"] = float((wave - reference).abs().max()) if exact else noise
        rows.append(row)
    return rows
