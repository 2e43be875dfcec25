"""The same clips and attacks with audiowmark's algorithm, at the noise-to-mask ratio that our mark has in each clip.

Its strength is turned until both marks are equally far from being heard; its default is about 1.3 dB quieter than ours,
so this favours it. Changed speeds are not looked for, as the program does not by default. The stock program does the
work when it is on PATH, our interoperable implementation otherwise. Its detector always names candidates, so that as
for ours only the right message counts as recovered; no bound is asked of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watermark.codec import audiowmark
from watermark.codec.audiowmark import Key, Program, ProgramMissing
from watermark.codec.audiowmark.embed import RATES as READ_RATES
from watermark.codec.bench.attacks import Attack, Missing, attacked
from watermark.codec.bench.measure import Outcome, payload_of
from watermark.codec.bench.quality import nmr_db
from watermark.codec.grid import RATE, Wave, resampled

#: Times that it is embedded: the ratio follows the strength by about 20 dB a decade, so that two corrections do.
ROUNDS = 3


def outcomes(
    name: str, wave: Wave, other: NDArray[np.float64], attacks: list[Attack], *, ratio_db: float
) -> tuple[list[Outcome], float]:
    """Every attack on the clip marked by the other system at a noise-to-mask ratio of ``ratio_db``, and the ratio that
    was reached: its strength has ends."""
    key, message = Key(bytes(16)), payload_of(name).to_bytes(16, "big")
    try:
        program = Program.find()
        embed, read = program.embed, program.read
    except ProgramMissing:
        embed, read = audiowmark.embed, audiowmark.read
    plain = np.asarray(wave, np.float64)
    strength, reached = audiowmark.DEFAULT_STRENGTH, 0.0
    for _ in range(ROUNDS):
        marked = embed(plain, RATE, message, key, strength=strength)
        reached = nmr_db(plain, marked)
        strength = float(np.clip(strength * 10 ** ((ratio_db - reached) / 20), *audiowmark.STRENGTHS))
    out = []
    for attack in attacks:
        outcome = Outcome(name, round(len(wave) / RATE), attack.name, attack.group)
        out.append(outcome)
        try:
            heard, rate = attacked(attack, marked, RATE, name, other)
        except Missing as error:
            outcome.not_run = str(error)
            continue
        if rate not in READ_RATES:  # a telephone's 8 kHz, say
            heard, rate = resampled(np.asarray(heard, np.float32), rate, RATE).astype(np.float64), RATE
        found = read(heard, rate, key)
        outcome.found = any(candidate.message == message for candidate in found)
    return out, reached
