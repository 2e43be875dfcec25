"""Sound through a lossy encoder and back, in memory: what a mark has to live through."""

from __future__ import annotations

import io

import av
import numpy as np

from watermark.codec import grid
from watermark.codec.grid import RATE, Wave

#: Bit rate of a messenger's voice note.
VOICE_NOTE_BIT_RATE = 16_000


def transcoded(
    clip: Wave, *, codec: str, form: str, bit_rate: int, rate: int, voip: bool = False, late: int = 0
) -> Wave:
    """``clip`` (32 kHz) through an encoder and back; ``late`` samples that the container leaves in front are cut."""
    buffer = io.BytesIO()
    sound = np.clip(grid.resampled(clip, RATE, rate), -1, 1)
    with av.open(buffer, "w", format=form) as target:
        options = {"application": "voip"} if voip else {}
        stream = target.add_stream(codec, rate=rate, options=options)
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{codec} is no sound encoder")
        stream.codec_context.layout = "mono"
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts = [part.to_ndarray()[0] for frame in source.decode(audio=0) for part in resampler.resample(frame)]
    return np.asarray(np.concatenate(parts), np.float32)[late:]


def voice_note(wave: Wave, rate: int) -> tuple[Wave, int]:
    """``wave`` (samples,) as a messenger's voice note makes of it: Opus for speech at 16 kbit/s; and its rate."""
    clip = grid.resampled(wave, rate, RATE)
    return transcoded(clip, codec="libopus", form="ogg", bit_rate=VOICE_NOTE_BIT_RATE, rate=48_000, voip=True), RATE
