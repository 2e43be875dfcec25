"""The same clips and attacks with audiowmark's algorithm at its default strength, for comparison.

The stock program does the work when it is on PATH, our interoperable implementation otherwise. Its detector always
names candidates, so that as for ours only the right message counts as recovered.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watermark.codec import audiowmark
from watermark.codec.audiowmark import Key, Program, ProgramMissing
from watermark.codec.bench.attacks import Attack, Missing, attacked
from watermark.codec.bench.measure import Outcome, payload_of
from watermark.codec.grid import RATE, Wave


def outcomes(name: str, wave: Wave, other: NDArray[np.float64], attacks: list[Attack]) -> list[Outcome]:
    """Every attack on the clip marked by the other system."""
    key, message = Key(bytes(16)), payload_of(name).to_bytes(16, "big")
    try:
        program = Program.find()
        embed, read = program.embed, program.read
    except ProgramMissing:
        embed, read = audiowmark.embed, audiowmark.read
    marked = embed(np.asarray(wave, np.float64), RATE, message, key)
    out = []
    for attack in attacks:
        outcome = Outcome(name, round(len(wave) / RATE), attack.name, attack.group)
        out.append(outcome)
        try:
            heard, rate = attacked(attack, marked, RATE, name, other)
        except Missing as error:
            outcome.not_run = str(error)
            continue
        found = read(heard, rate, key)
        outcome.found = any(candidate.message == message for candidate in found)
    return out
