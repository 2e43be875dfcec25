"""The second mark: long narrations may carry audiowmark's beside ours, so that whoever has it can read it too.

It is laid over ours, and read back through the encoding that is delivered; ours is checked again at the end of the
seal. The message is the output's payload with a tag (codec.audiowmark.ids), so that reading needs no table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from watermark.codec import audiowmark
from watermark.codec.audiowmark.embed import RATES
from watermark.codec.audiowmark.layout import BLOCK_FRAMES, FRAME, RATE
from watermark.codec.grid import Wave

#: Strengths tried, weakest first: the stock tool's own, and the one that it has for worse channels.
STRENGTHS = (10.0, 15.0)
#: Seconds under which a recording is not searched for it: less than a fifth of a block says nothing after a codec.
LEAST_SEARCHED = 10.0
#: Seconds of a block.
BLOCK_SECONDS = BLOCK_FRAMES * FRAME / RATE


class CompanionLost(ValueError):
    """The second mark did not read back from the file that would be delivered."""


@dataclass(frozen=True)
class Companion:
    """How a deployment makes and reads second marks: its mark key, whether the ``audiowmark`` program does it, and the
    seconds from which on a narration carries one."""

    secret: bytes
    program: bool = False
    from_seconds: float = 60.0

    @property
    def key(self) -> audiowmark.Key:
        """The key of the second mark, which the stock tool takes as a key file."""
        return audiowmark.Key.derived(self.secret)

    def wanted(self, seconds: float) -> bool:
        return seconds >= self.from_seconds

    def mark(
        self, wave: Wave, rate: int, payload: int, *, channel: Callable[[Wave, int], tuple[Wave, int]]
    ) -> tuple[Wave, float]:
        """``wave`` (samples,) with the second mark, and the strength it took to read it back through ``channel``.

        Raises CompanionLost, UnmarkableAudio, ProgramMissing, ProgramFailed.
        """
        message = audiowmark.message_of(payload, self.secret)
        embed = audiowmark.Program.find().embed if self.program else audiowmark.embed
        for strength in STRENGTHS:
            marked = np.asarray(embed(wave, rate, message, self.key, strength=strength), np.float32)
            heard, at = channel(marked, rate)
            if payload in [one.payload for one in self.found(heard, at)]:
                return marked, strength
        raise CompanionLost(f"the second mark does not read back at strength {STRENGTHS[-1]:g}")

    def found(self, wave: Wave, rate: int) -> list[audiowmark.Traced]:
        """Payloads of ours in ``wave``, best first; none where the sound is too short to say.

        Raises UnmarkableAudio, ProgramMissing, ProgramFailed.
        """
        if wave.shape[-1] < LEAST_SEARCHED * rate or rate not in RATES:
            return []
        read = audiowmark.Program.find().read if self.program else audiowmark.read
        return audiowmark.ours(read(wave, rate, self.key), self.secret)
