"""Speed, error and memory of S2 at full v2 size, each fast form beside the plain model in the same process.

The plain model is the trained form run as it stands: conv1d, weight norm computed in every call, float32, which is what
the official code executes. 4 s of sound from 100 codes, as in the published measurements.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cloning.engine.acoustic.fast import Precision, prepare
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bench.timing import MEGABYTE, added_memory, interleaved
from cloning.engine.config import EngineConfig, official
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.processor import has_int8

#: Recipe seed and output scale of the full-size golden files.
SEED = 5011
POST_SCALE = 2.0**-4
CODES, QUICK_CODES = 100, 10
ROUNDS, QUICK_ROUNDS = 9, 2
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", *(("int8",) if has_int8() else ()))
#: A form with more signal over noise than this counts as exact; its largest difference is told instead.
EXACT_DB = 100.0


def full_size(config: EngineConfig) -> AcousticModel:
    """The inference model of `config` with recipe weights, ready to run."""
    model = AcousticModel(config.acoustic, config.audio, posterior=False)
    state = recipe_state({name: tuple(value.shape) for name, value in model.state_dict().items()}, SEED)
    state["dec.conv_post.weight"] *= POST_SCALE
    model.load_state_dict(state)
    return model.eval()


def snr_db(reference: Tensor, other: Tensor) -> float:
    """Power of the reference over power of the difference, in dB; inf for equal waves."""
    noise = (reference.double() - other.double()).square().mean()
    return float(10 * torch.log10(reference.double().square().mean() / noise))


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Rows for the vocoder alone and for a whole decode: the plain model, then each precision of `prepare`.

    `seconds` is CPU time of the best round, `rtf` per second of sound, `ratio` plain over this. Memory is this form's
    weights plus the most that resident memory rose during one call (Linux only, else None).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return measure(official("v2"), codes=QUICK_CODES if quick else CODES, rounds=QUICK_ROUNDS if quick else ROUNDS)
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def measure(config: EngineConfig, *, codes: int, rounds: int) -> list[dict[str, Any]]:
    """`run` for any size."""
    acoustic = config.acoustic
    generator = torch.Generator().manual_seed(SEED)
    spoken = torch.randint(0, acoustic.codes, (1, codes), generator=generator)
    phones = torch.randint(0, acoustic.phonemes, (1, max(1, codes // 2)), generator=generator)
    style = torch.randn(1, acoustic.style, 1, generator=generator) / 4
    frames = codes * acoustic.frames_per_code
    latent = torch.randn(1, acoustic.latent, frames, generator=generator)
    plain = full_size(config)
    latent = plain.as_measured(latent, torch.rand(1, config.audio.bins, frames, generator=generator))
    models = {"plain": plain} | {name: prepare(copy.deepcopy(plain), name) for name in PRECISIONS}

    def vocoder(model: AcousticModel) -> Callable[[], Tensor]:
        return lambda: model.dec(latent, style)

    def whole(model: AcousticModel) -> Callable[[], Tensor]:
        return lambda: model.decode(spoken, phones, style, noise_scale=0.0)

    audio_seconds = frames * config.audio.hop / config.audio.sample_rate
    rows = []
    for part, make in (("acoustic hifigan", vocoder), ("acoustic decode", whole)):
        calls = {name: make(model) for name, model in models.items()}
        reference = calls["plain"]().clone()
        times = interleaved(calls, rounds=rounds)
        for name, call in calls.items():
            row: dict[str, Any] = {
                "part": part,
                "variant": "reference" if name == "plain" else "engine",
                "precision": "float32" if name == "plain" else name,
                "seconds": times[name].cpu,
                "wall_seconds": times[name].wall,
                "audio_seconds": audio_seconds,
                "rtf": times[name].cpu / audio_seconds,
                "reference_seconds": times["plain"].cpu,
                "ratio": times["plain"].cpu / times[name].cpu,
            }
            if name != "plain":
                wave = call()
                noise = snr_db(reference, wave)
                if noise > EXACT_DB:
                    row["max_difference"] = float((wave - reference).abs().max())
                else:
                    row["snr_db"] = noise
            rise = added_memory(call)
            row["peak_memory_mb"] = None if rise is None else weight_bytes(models[name]) / MEGABYTE + rise
            rows.append(row)
    return rows


def weight_bytes(model: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())
