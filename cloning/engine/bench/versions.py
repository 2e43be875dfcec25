"""What a voice of each version costs at its full size: megabytes, memory, training, speaking. `costs.COSTS` holds what
this measured.

Weights are random, because neither time nor size depends on them; a minute of noise stands for the speech. Training is
a step of each stage of the demo recipe, with adapters where a version is mounted, times its steps; hearing the
recordings is not in it. Speaking is a sentence of 4 s; v3 and v4 are told apart into one step of the flow and the rest.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.fast import FastDecoder
from cloning.engine.acoustic.mels import WINDOWS
from cloning.engine.bases import as_voice
from cloning.engine.bench.crowd import material
from cloning.engine.bench.sentence import CODES, PHONES, PROMPT_CODES, PROMPT_PHONES
from cloning.engine.bench.vocoders import BIGVGAN, V4_INITIAL, bigvgan, v4
from cloning.engine.config import EngineConfig, official, starter
from cloning.engine.diffusion_config import DIFFUSION, DiffusionConfig, official_diffusion
from cloning.engine.features.spectrogram import from_unit
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import Sampling, Utterance, decode_batch
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.base import Base, random_base
from cloning.engine.training.diffusion_base import DiffusionBase
from cloning.engine.training.diffusion_voice import FlowRun
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import Run
from cloning.engine.tts.flow_kept import standing_flow
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.tts.voice import LoadedVoice, Precision, standing
from cloning.engine.versions import STARTER, VERSIONS
from cloning.engine.vocoders.fast import FastBigVgan

#: Timed steps of each stage behind one that is not; rounds of speaking.
STEPS, QUICK_STEPS = 2, 1
SEED = 3
#: Never the end mark before the sentence is 4 s long would need a trained S1; what counts is the time of a code.
SAMPLING = Sampling(top_k=15)


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """A row for each version. Seconds are of the processor's time."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [measure(version, configuration(version), QUICK_STEPS if quick else STEPS) for version in VERSIONS]
    finally:
        torch.set_num_threads(before)


def configuration(version: str) -> EngineConfig | DiffusionConfig:
    if version == STARTER:
        return starter()
    return official_diffusion(version) if version in DIFFUSION else official(version)


def measure(version: str, config: EngineConfig | DiffusionConfig, steps: int) -> dict[str, Any]:
    """`voice_mb` as it is sealed; `memory_mb` of base and vocoder ready to speak; `training_s` of the demo recipe;
    `speaking_rtf` seconds for a second of sound without the flow, `flow_step_rtf` for one of its steps."""
    gc.collect()
    recipe = dataclasses.replace(TrainingRecipe.demo(), adapters=None if version == STARTER else AdapterRecipe())
    recipe = dataclasses.replace(recipe, flow=dataclasses.replace(recipe.flow, parts="lean"))
    base = flow_base(config) if isinstance(config, DiffusionConfig) else halved(random_base(config, SEED))
    shared = base.shared if isinstance(base, DiffusionBase) else base
    run_: Run | FlowRun
    if isinstance(base, DiffusionBase):
        run_ = FlowRun(material(shared.config, SEED), "en", recipe, base, SEED, _ignore, "cpu")
    else:
        run_ = Run(material(shared.config, SEED), "en", recipe, base, SEED, _ignore, "cpu")
    training = [stage_seconds(stage, steps) for stage in run_.stages]
    row: dict[str, Any] = {
        "part": "version",
        "variant": version,
        "voice_mb": sealed_bytes(run_) / 1e6,
        "training_s": sum(one * stage.steps for one, stage in zip(training, run_.stages, strict=True)),
        "semantic_step_s": training[0],
        "acoustic_step_s": training[1],
    }
    del run_
    gc.collect()
    voice = standing_flow(base) if isinstance(base, DiffusionBase) else standing(as_voice(base))
    del base, shared
    voice.precision = Precision() if version == STARTER else Precision(acoustic="bfloat16")
    voice.settle(Shared())
    gc.collect()
    return row | speaking(voice, steps)


def flow_base(config: DiffusionConfig) -> DiffusionBase:
    """A base with random weights."""
    torch.manual_seed(SEED)
    whole = official("v2")
    model = DiffusionModel(config)
    shared = EngineConfig(
        version="v2", audio=config.audio, content=whole.content, semantic=whole.semantic, acoustic=config.acoustic
    )
    base = halved(random_base(shared, SEED))
    return DiffusionBase(
        dataclasses.replace(base, acoustic=model.state_dict(), codebook=model.quantizer.book.embed, digest="random"),
        config,
    )


def halved(base: Base) -> Base:
    """S1 in numbers that half precision holds, as official files are."""
    semantic = base.build_semantic(SEED).state_dict()
    return dataclasses.replace(base, semantic={name: value.half().float() for name, value in semantic.items()})


def stage_seconds(stage: Any, steps: int) -> float:
    best = float("inf")
    for step in range(1, steps + 2):
        rng, generator = np.random.default_rng(step), torch.Generator().manual_seed(step)
        began = time.process_time()
        stage.advance(step, rng, generator)
        if step > 1:
            best = min(best, time.process_time() - began)
    return best


def sealed_bytes(run_: Run | FlowRun) -> int:
    """What the vault gets, without the few thousand numbers of the reference."""
    if not isinstance(run_, FlowRun):
        return len(run_.packed())
    pairs = sum(value.numel() for value in run_.adapters[0].state().values())
    return len(run_.acoustic_file()) + 2 * pairs


@torch.inference_mode()
def speaking(voice: LoadedVoice, rounds: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(SEED)
    phones = torch.randint(0, voice.phonemes, (PROMPT_PHONES + PHONES,), generator=draw)
    prompt = torch.randint(0, voice.semantic_config.codes, (PROMPT_CODES,), generator=draw)
    style = torch.randn(1, voice.encoders.style, 1, generator=draw) / 4
    codes = torch.randint(0, voice.semantic_config.codes, (1, CODES), generator=draw)
    said: list[int] = []
    assert voice.runner is not None
    runner: Runner = voice.runner

    def read() -> None:
        wanted = Utterance(phones, torch.Generator().manual_seed(1), SAMPLING, CODES, prompt=prompt)
        said.append(decode_batch(runner, [wanted])[0].codes.numel())

    rate = voice.encoders.frames_per_code * voice.audio.hop / voice.audio.sample_rate
    reading = best(read, rounds) / (max(said) * rate)
    seconds = CODES * rate
    if voice.flow is None:
        direct = voice.direct
        sounding = best(lambda: direct.decode(codes, phones[None, PROMPT_PHONES:], style, noise_scale=0.0), rounds)
        return {
            "memory_mb": sum(memory(voice).values()) / 1e6,
            "speaking_rtf": reading + sounding / seconds,
            "flow_step_rtf": None,
        }
    flow = voice.flow
    vocoder = (
        FastBigVgan(bigvgan(BIGVGAN), "bfloat16") if voice.version == "v3" else FastDecoder(v4(V4_INITIAL), "bfloat16")
    )
    text = flow.features(codes, phones[None, PROMPT_PHONES:], style)
    window = WINDOWS[flow.config.version].prompt
    whole = torch.cat((torch.randn(1, text.shape[1], window, generator=draw), text), dim=2)
    held = torch.randn(1, flow.config.dit.mel, window, generator=draw) * 0.3
    made: list[Tensor] = []

    def sample(steps: int) -> Callable[[], object]:
        def call() -> None:
            mel = flow.cfm.sample(
                whole, torch.tensor([whole.shape[2]]), held, steps, generator=torch.Generator().manual_seed(2)
            )
            made[:] = [mel[..., window:]]

        return call

    one, three = best(sample(1), rounds), best(sample(3), rounds)
    step = (three - one) / 2
    rest = best(lambda: flow.features(codes, phones[None, PROMPT_PHONES:], style), rounds)
    rest += best(lambda: vocoder(from_unit(made[0].clamp(-1, 1))), rounds) + one - step
    return {
        "memory_mb": sum(memory(voice, vocoder).values()) / 1e6,
        "speaking_rtf": reading + rest / seconds,
        "flow_step_rtf": step / seconds,
    }


def best(call: Callable[[], object], rounds: int) -> float:
    """Least seconds of the processor's time, behind a call that is not counted."""
    call()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def _ignore(_: object) -> None:
    """Nobody asked for progress."""
