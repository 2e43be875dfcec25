"""Many voices at once: seconds for a group of voices beside the same voices one after the other, and peak memory.

`python -m cloning.engine.bench.crowd --version v2Pro --voices 16 --device cuda` for the size and machine that matter;
weights and material are random, because time does not depend on them. Every voice has a minute: twelve utterances of
five seconds, 60 phones each. What is timed is everything from prepared material to finished voice files.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import sys
import time

import torch

from cloning.engine.config import EngineConfig, official, starter, tiny
from cloning.engine.training.base import Base, random_base
from cloning.engine.training.crowd import TrainedVoice, VoiceRequest, train_many
from cloning.engine.training.prepare import Item, Material
from cloning.engine.training.recipe import TrainingRecipe

UTTERANCES, SECONDS, PHONES = 12, 5.0, 60


def material(config: EngineConfig, seed: int) -> Material:
    """A minute of noise with random codes and phones."""
    draw = torch.Generator().manual_seed(seed)
    codes = round(SECONDS * config.code_rate)
    samples = codes * config.acoustic.frames_per_code * config.audio.hop
    dim = config.acoustic.speaker_dim
    items = [
        Item(
            wave=0.1 * torch.randn(samples, generator=draw),
            codes=torch.randint(config.acoustic.codes, (codes,), generator=draw),
            phones=torch.randint(config.acoustic.phonemes, (PHONES,), generator=draw),
            has_text=True,
            speaker_vector=torch.randn(dim, generator=draw) if dim else None,
        )
        for _ in range(UTTERANCES)
    ]
    return Material(items, UTTERANCES * SECONDS, 0.0)


def run(
    version: str, voices: int, *, device: str = "cpu", share: float = 1.0, repeat: int = 1
) -> list[dict[str, float | int | str]]:
    """One row for all voices together and one for one after the other; `share` of the recipe's steps, the best of
    `repeat` runs after a warm-up step. `gpu_gib`: the most that torch held; `rss_gib`: of the process."""
    config = {"starter": starter, "tiny": tiny}.get(version, lambda: official(version))()
    base = random_base(config, 1)
    recipe = TrainingRecipe.demo()
    requests = [VoiceRequest((), "en", seed, material(config, seed)) for seed in range(voices)]
    rows: list[dict[str, float | int | str]] = []
    for together in (voices, 1):
        _timed(requests, base, _shortened(recipe, 0.0), together, device)
        timed = [_timed(requests, base, _shortened(recipe, share), together, device) for _ in range(repeat)]
        rows.append(
            {
                "version": version,
                "voices": voices,
                "together": together,
                "share_of_steps": share,
                "seconds": round(min(seconds for seconds, _ in timed), 2),
                "megabytes_a_voice": round(timed[0][1] / 1e6, 2),
                "gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if device != "cpu" else 0.0,
                "rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            }
        )
    return rows


def _shortened(recipe: TrainingRecipe, share: float) -> TrainingRecipe:
    semantic = dataclasses.replace(recipe.semantic, steps=max(1, round(recipe.semantic.steps * share)))
    acoustic = dataclasses.replace(recipe.acoustic, steps=max(1, round(recipe.acoustic.steps * share)))
    return dataclasses.replace(recipe, semantic=semantic, acoustic=acoustic)


def _timed(
    requests: list[VoiceRequest], base: Base, recipe: TrainingRecipe, together: int, device: str
) -> tuple[float, int]:
    """Seconds, and bytes of one voice file. Raises RuntimeError when a voice was refused."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    answers = train_many(
        requests, base=base, recipe=recipe, progress=lambda i, p: None, together=together, device=device
    )
    seconds = time.perf_counter() - began
    sizes = [len(answer.data) for answer in answers if isinstance(answer, TrainedVoice)]
    if len(sizes) != len(answers):
        raise RuntimeError(f"not every voice was trained: {[a for a in answers if not isinstance(a, TrainedVoice)]}")
    return seconds, max(sizes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="cloning.engine.bench.crowd", description="Time many voices at once.")
    parser.add_argument("--version", default="v2Pro", choices=("tiny", "starter", "v1", "v2", "v2Pro", "v2ProPlus"))
    parser.add_argument("--voices", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--share", type=float, default=1.0, help="share of the recipe's steps")
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    for row in run(options.version, options.voices, device=options.device, share=options.share, repeat=options.repeat):
        sys.stdout.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
