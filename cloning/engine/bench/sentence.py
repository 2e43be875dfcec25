"""One sentence from phones to sound at full v2 size: prefill, 100 codes (4 s), vocoder; beside the plain path.

Content and prosody features of the reference are kept with the voice and are not counted here: `features` has them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from cloning.engine.acoustic.fast import prepare as prepare_acoustic
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bench.acoustic import PRECISIONS, full_size, snr_db
from cloning.engine.bench.plain_semantic import PlainBatch
from cloning.engine.bench.semantic import recipe_model
from cloning.engine.bench.timing import added_memory, interleaved
from cloning.engine.config import EngineConfig, official
from cloning.engine.semantic.sampling import Sampling, decode
from cloning.engine.semantic.sampling import prepare as prepare_semantic

#: Phones of prompt and sentence, codes of the prompt (5 s), codes of the sentence (4 s).
PROMPT_PHONES, PHONES, PROMPT_CODES, CODES, QUICK_CODES = 45, 45, 125, 100, 12
ROUNDS, QUICK_ROUNDS = 3, 1
SEED = 5
#: Greedy, so that every path says the same codes and the sounds can be compared.
GREEDY = Sampling(top_k=1)


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """One row for the plain path and for each precision of the engine.

    seconds of CPU, rtf per second of sound, ratio plain over this, snr_db of the sound against the plain path's (inf:
    equal; a code that differs anywhere makes it near 0), work_memory_mb: what work adds to the loaded models.
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
    drawn = torch.Generator().manual_seed(SEED)
    phones = torch.randint(0, config.acoustic.phonemes, (1, PROMPT_PHONES + PHONES), generator=drawn)
    prompt = torch.randint(0, config.semantic.codes, (1, PROMPT_CODES), generator=drawn)
    style = torch.randn(1, config.acoustic.style, 1, generator=drawn) / 4
    semantic, acoustic = recipe_model(config.semantic), full_size(config)

    def plain() -> torch.Tensor:
        batch = PlainBatch(semantic, [phones[0]], prompt, GREEDY)
        for _ in range(codes):
            batch.step()
        return acoustic.decode(batch.said[:, -codes:], phones[:, PROMPT_PHONES:], style, noise_scale=0.0)

    def engine(first: Any, second: AcousticModel) -> Callable[[], torch.Tensor]:
        def say() -> torch.Tensor:
            generator = torch.Generator().manual_seed(0)
            said = decode(first, phones, generator=generator, sampling=GREEDY, most=codes, prompt=prompt)
            return second.decode(said.codes[None], phones[:, PROMPT_PHONES:], style, noise_scale=0.0)

        return say

    pairs: dict[str, tuple[Any, AcousticModel]] = {
        name: (prepare_semantic(semantic, name), prepare_acoustic(copy.deepcopy(acoustic), name)) for name in PRECISIONS
    }
    calls: dict[str, Callable[[], torch.Tensor]] = {"plain": plain}
    calls |= {name: engine(*pair) for name, pair in pairs.items()}
    reference = plain().clone()
    times = interleaved(calls, rounds=rounds)
    seconds = codes / config.code_rate
    rows = []
    for name, call in calls.items():
        wave = call()
        same = torch.equal(wave, reference)
        rise = added_memory(call)
        rows.append(
            {
                "part": "sentence",
                "variant": "reference" if name == "plain" else "engine",
                "precision": "float32" if name == "plain" else name,
                "seconds": times[name].cpu,
                "audio_seconds": seconds,
                "rtf": times[name].cpu / seconds,
                "reference_seconds": times["plain"].cpu,
                "ratio": times["plain"].cpu / times[name].cpu,
                "snr_db": None if same or wave.shape != reference.shape else snr_db(reference, wave),
                "work_memory_mb": rise,
            }
        )
    return rows
