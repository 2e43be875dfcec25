"""What a voice of each version costs, so that it can be shown before one is chosen. Measured, by

    python -m cloning.engine.bench --only versions

on one core of an AMD EPYC with AVX-512 and `avx512_bf16`, seconds of the processor's time, published sizes with random
weights (docs/performance.md). Another machine takes other times; megabytes are the same. Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The machine class of the table, for whoever shows it.
MACHINE: Final = "one core of an AMD EPYC with AVX-512 and bfloat16"
#: Steps of the flow of v3 and v4 unless somebody says otherwise (`tts.request`).
STEPS: Final = 32
#: Seconds of sound that a new v3 or v4 voice says for itself when its training ends (`training.flow_voice`).
PASSAGE: Final = 6.0


@dataclass(frozen=True, slots=True)
class Measured:
    """`voice_mb`: a sealed voice. `memory_mb`: base and vocoder in a worker that speaks. `training_s`: the demo recipe
    on a minute of speech. `speaking`: seconds for a second of sound, `flow_step` each step of the flow beside them."""

    voice_mb: float
    memory_mb: float
    training_s: float
    speaking: float
    flow_step: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Megabytes of a sealed voice and of a speaking worker's memory; seconds to train it from a minute of speech by the
    demo recipe; seconds of work for a second of sound."""

    voice_megabytes: float
    memory_megabytes: int
    training_seconds: int
    real_time_factor: float


COSTS: Final[dict[str, Measured]] = {
    "starter": Measured(29.5, 51, 100, 0.079),
    "v2": Measured(6.51, 307, 542, 0.571),
    "v2Pro": Measured(6.56, 407, 563, 0.595),
    "v3": Measured(16.5, 1256, 1763, 1.407, 0.670),
    "v4": Measured(16.5, 1058, 1893, 0.820, 0.627),
}


def cost(version: str, steps: int = STEPS) -> Cost:
    """Of a version of VERSIONS whose flow takes so many steps. Raises KeyError."""
    row = COSTS[version]
    passage = PASSAGE * (row.speaking + STEPS * row.flow_step) if row.flow_step else 0.0
    return Cost(
        voice_megabytes=round(row.voice_mb, 1),
        memory_megabytes=round(row.memory_mb),
        training_seconds=round(row.training_s + passage),
        real_time_factor=round(row.speaking + steps * row.flow_step, 2),
    )
