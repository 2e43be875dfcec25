"""Many voices on one base: memory of a further voice, time to take it up, and what unmerged adapters cost in speed.

`engine` rows are voices of adapters beside one resident base, `reference` rows the same voices merged into weights of
their own. Full v2 size, rank 8; random weights, because neither time nor memory depends on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bench.acoustic import snr_db
from cloning.engine.bench.timing import MEGABYTE, Timing, interleaved
from cloning.engine.config import EngineConfig, official, tiny
from cloning.engine.reference import Reference
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.runner import Runner, State
from cloning.engine.tts.adapted import AdaptedVoice, from_adapters
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.tts.voice import LoadedVoice, from_file
from cloning.engine.voicefile import AdapterVoice, Voice, pack_adapters, unpack_adapters

RANK, ALPHA = 8, 16.0
#: Rows of the mixed batch, each a voice of its own.
VOICES = 8
PHONES, PROMPT = 90, 125
#: Codes of 4 s of sound.
CODES = 100


def run(*, threads: int = 1, quick: bool = False, full: bool = True) -> list[dict[str, Any]]:
    """Rows as `bench` prints them; `quick` measures fewer rounds, not `full` at a size for tests."""
    torch.set_num_threads(threads)
    config = official("v2") if full else tiny()
    rounds, steps = (2, 4) if quick else (5, 24)
    base = random_voice(config)
    files = [pack_adapters(_adapters(base, seed)) for seed in range(VOICES)]
    shared = Shared()
    voices: list[LoadedVoice] = []
    seconds = []
    for data in files:
        voice: AdaptedVoice = from_adapters(unpack_adapters(data), base)
        began = time.process_time()
        voice.settle(shared)
        seconds.append(time.process_time() - began)
        voices.append(voice)
    began = time.process_time()
    merged = from_file(unpack_adapters(files[0]).on(base))
    merged.settle(Shared())
    merging = time.process_time() - began
    rows = [
        {
            "part": "voices memory",
            "variant": "engine",
            "file_mb": len(files[0]) / MEGABYTE,
            "further_voice_mb": voices[1].unshared_bytes() / MEGABYTE,
            "base_mb": shared.total_bytes / MEGABYTE,
            "ten_voices_mb": (shared.total_bytes + 10 * voices[1].unshared_bytes()) / MEGABYTE,
            "first_voice_seconds": seconds[0],
            "further_voice_seconds": min(seconds[1:]),
        },
        {
            "part": "voices memory",
            "variant": "reference",
            "further_voice_mb": sum(memory(merged.acoustic, merged.runner).values()) / MEGABYTE,
            "further_voice_seconds": merging,
        },
    ]
    rows += _decoding(voices, merged, rounds, steps)
    rows += _sound(voices, merged, rounds)
    return rows


def random_voice(config: EngineConfig) -> Voice:
    """A base of random weights in half precision, as official files keep theirs."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        semantic = Text2Semantic(config.semantic).state_dict()
        acoustic = AcousticModel(config.acoustic, config.audio, posterior=False).state_dict()
    half = [{name: value.half() for name, value in part.items()} for part in (semantic, acoustic)]
    return Voice(config, "en", half[0], half[1]).for_speaking()


def _adapters(base: Voice, seed: int) -> AdapterVoice:
    draw = torch.Generator().manual_seed(seed)
    parts = [
        {
            name: 0.02 * torch.randn(shape, generator=draw)
            for name, shape in lowrank.outline(base.config, part, RANK).items()
        }
        for part in ("semantic", "acoustic")
    ]
    style = torch.randn(1, base.config.acoustic.style, 1, generator=draw)
    kept = Reference(torch.arange(5), torch.arange(9), style)
    return AdapterVoice(base.config, "en", RANK, ALPHA, parts[0], parts[1], kept, base.digest())


def _decoding(voices: list[LoadedVoice], merged: LoadedVoice, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Seconds of a code: one voice, and eight different ones in one batch."""
    beside, own = voices[0].runner, merged.runner
    assert beside is not None
    assert own is not None
    some = [voice.adapters for voice in voices]
    work = {
        "engine 1": _steps(beside, some[:1], steps),
        "base 1": _steps(beside, [None], steps),
        "reference 1": _steps(own, [None], steps),
        "engine 8": _steps(beside, some, steps),
        "base 8": _steps(beside, [None] * VOICES, steps),
        # Voices with weights of their own cannot share a step.
        "reference 8": _one_by_one(_steps(own, [None], steps)),
    }
    times = interleaved(work, rounds=rounds)
    return [
        {
            **_row("voices decode", variant, times[f"{variant} {batch}"], times[f"reference {batch}"], steps),
            "batch": batch,
        }
        for batch in (1, VOICES)
        for variant in ("engine", "base", "reference")
    ]


def _steps(runner: Runner, adapters: list[SemanticAdapters | None], steps: int) -> Callable[[], object]:
    draw = torch.Generator().manual_seed(1)
    phones = torch.randint(0, runner.config.phonemes, (PHONES,), generator=draw)
    prompt = torch.randint(0, runner.config.codes, (PROMPT,), generator=draw)
    states: list[Any] = [runner.begin(phones, prompt, None, steps, one)[0] for one in adapters]
    length, codes = states[0].length, torch.full((len(states),), 7)

    def work() -> None:
        for state in states:
            state.length, state.spoken = length, PROMPT
        kept: list[State] = states
        for _ in range(steps):
            runner.advance(kept, codes)

    return work


def _one_by_one(work: Callable[[], object]) -> Callable[[], object]:
    def repeated() -> None:
        for _ in range(VOICES):
            work()

    return repeated


def _sound(voices: list[LoadedVoice], merged: LoadedVoice, rounds: int) -> list[dict[str, Any]]:
    """Seconds of 4 s of sound; signal over noise of what adapters make against the merged weights, and of what another
    voice's adapters would have made: how much a wrong sound would differ."""
    config = voices[0].direct.config
    draw = torch.Generator().manual_seed(1)
    codes = torch.randint(0, config.codes, (1, CODES), generator=draw)
    phones = torch.randint(0, config.phonemes, (1, PHONES), generator=draw)
    style = torch.randn(1, config.style, 1, generator=draw)

    def speak(voice: LoadedVoice) -> Callable[[], Tensor]:
        return lambda: voice.direct.decode(codes, phones, style, noise_scale=0.0)

    work = {"engine": speak(voices[0]), "another voice": speak(voices[1]), "reference": speak(merged)}
    waves = {name: made() for name, made in work.items()}
    times = interleaved(work, rounds=rounds)
    rows = [_row("voices sound", name, times[name], times["reference"], 1) for name in work]
    for row in rows[:-1]:
        row["snr_db"] = snr_db(waves["reference"], waves[row["variant"]])
    return rows


def _row(part: str, variant: str, mine: Timing, reference: Timing, steps: int) -> dict[str, Any]:
    return {
        "part": part,
        "variant": variant,
        "seconds": mine.cpu / steps,
        "wall_seconds": mine.wall / steps,
        "ratio": reference.cpu / mine.cpu,
    }
