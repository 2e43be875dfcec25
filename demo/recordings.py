"""The sound of the demo: a synthetic speaker in a quiet room, and what a social app does to a file."""

import io

import numpy as np
import soundfile

from demo.flite.speaker import speak

ROOM_DBFS = -62.0
"""A real room is never digitally silent; absolute silence between words would rightly look like a splice."""
LEVEL = 0.4
"""Peak of the speech, about -8 dBFS."""


def say(
    text: str, *, voice: str, seed: int = 0, stretch: float = 1.0, lead: float = 0.4, tail: float = 0.4
) -> tuple[np.ndarray, int]:
    """``text`` spoken in a quiet room: float32 mono in -1..1 and its rate; ``stretch`` above 1 is slower.

    The same arguments give the same sound.
    """
    speech, rate = speak(text, voice=voice, stretch=stretch)
    speech = speech / max(1e-6, float(np.abs(speech).max())) * LEVEL
    wave = np.concatenate([np.zeros(int(lead * rate)), speech, np.zeros(int(tail * rate))])
    noise = np.random.default_rng(seed).standard_normal(wave.size) * 10 ** (ROOM_DBFS / 20)
    return (wave + noise).astype(np.float32), rate


def wav(wave: np.ndarray, rate: int) -> bytes:
    """16-bit WAV bytes."""
    out = io.BytesIO()
    soundfile.write(out, wave, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def pcm16(wave: np.ndarray) -> bytes:
    """Signed 16-bit little-endian samples without a header: what a live microphone stream sends."""
    return (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()


def read(data: bytes) -> tuple[np.ndarray, int]:
    """Mono float32 and rate of a WAV, FLAC, Ogg or MP3 file."""
    wave, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return wave.mean(axis=1), rate


def as_voice_message(data: bytes, *, start: float, seconds: float) -> bytes:
    """A cut of the recording as a messenger sends it: Ogg Opus at 24 kbit/s."""
    import av

    wave, rate = read(data)
    cut = wave[int(start * rate) : int((start + seconds) * rate)]
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = 24_000
        frame = av.AudioFrame.from_ndarray((cut[None, :] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return out.getvalue()
