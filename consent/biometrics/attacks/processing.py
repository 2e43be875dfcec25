"""What happens to a recording on its way: codecs, telephone, noise, a room, other sample rates. 16 kHz in, 16 kHz out.

Deterministic: the same sound and seed give the same result. Used to train and to measure, never in service.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import av
import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from consent.biometrics.audio import MODEL_RATE

Process = Callable[[np.ndarray], np.ndarray]

#: Telephone band and companding (ITU-T G.711).
_BAND: Final = (300.0, 3_400.0)
_MU: Final = 255.0


def coded(sound: np.ndarray, *, codec: str, form: str, bit_rate: int, rate: int) -> np.ndarray:
    """``sound`` (samples,) through a lossy codec and back: same length, shifted back by the codec's own delay."""
    buffer = io.BytesIO()
    pcm = (np.clip(_resampled(sound, MODEL_RATE, rate), -1.0, 1.0) * 32_767.0).astype(np.int16)
    with av.open(buffer, "w", format=form) as target:
        stream = target.add_stream(codec, rate=rate)
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{codec} does not encode sound")
        stream.codec_context.layout = "mono"
        stream.bit_rate = bit_rate
        # Encoders that want planes or floats are fed through a resampler in their own format.
        converter = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for part in (*converter.resample(frame), *converter.resample(None)):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        back = av.AudioResampler(format="flt", layout="mono", rate=MODEL_RATE)
        parts = [part.to_ndarray()[0] for frame in source.decode(audio=0) for part in back.resample(frame)]
        parts += [part.to_ndarray()[0] for part in back.resample(None)]
    return _aligned(np.concatenate(parts).astype(np.float32), sound)


def mp3(sound: np.ndarray, bit_rate: int = 64_000) -> np.ndarray:
    """MPEG-1 layer III at 32 kHz."""
    return coded(sound, codec="libmp3lame", form="mp3", bit_rate=bit_rate, rate=32_000)


def opus(sound: np.ndarray, bit_rate: int = 24_000) -> np.ndarray:
    """Opus (RFC 6716), what browsers record and calls carry."""
    return coded(sound, codec="libopus", form="ogg", bit_rate=bit_rate, rate=48_000)


def telephone(sound: np.ndarray) -> np.ndarray:
    """300 to 3,400 Hz at 8 kHz with mu-law companding."""
    narrow = sosfilt(butter(4, _BAND, btype="band", fs=8_000, output="sos"), _resampled(sound, MODEL_RATE, 8_000))
    clipped = np.clip(narrow, -1.0, 1.0)
    steps = np.round(np.sign(clipped) * np.log1p(_MU * np.abs(clipped)) / np.log1p(_MU) * 127.0) / 127.0
    back = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    return _fitted(_resampled(back.astype(np.float32), 8_000, MODEL_RATE), sound.size)


def resampled(sound: np.ndarray, rate: int = 22_050) -> np.ndarray:
    """To another sample rate and back."""
    return _fitted(_resampled(_resampled(sound, MODEL_RATE, rate), rate, MODEL_RATE), sound.size)


def noisy(sound: np.ndarray, decibels: float = 20.0, *, seed: int = 0) -> np.ndarray:
    """Pink noise ``decibels`` below the sound (mean power of the whole recording)."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(sound.size))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size), 1.0))
    noise = np.fft.irfft(spectrum, n=sound.size)
    gain = np.sqrt(np.mean(sound.astype(np.float64) ** 2) / np.mean(noise**2)) * 10.0 ** (-decibels / 20.0)
    return (sound + gain * noise).astype(np.float32)


def room(sound: np.ndarray, seconds: float = 0.3, *, seed: int = 0) -> np.ndarray:
    """A synthetic room: direct sound, then noise falling by 60 dB within ``seconds``, 6 dB below the direct sound."""
    length = int(seconds * MODEL_RATE)
    tail = np.random.default_rng(seed).standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    tail[: MODEL_RATE // 400] = 0.0
    response = tail * 0.5 / np.sqrt((tail**2).sum())
    response[0] = 1.0
    return np.asarray(fftconvolve(sound, response)[: sound.size], dtype=np.float32)


#: By name, as the card lists them.
PROCESSES: Final[dict[str, Process]] = {
    "none": lambda sound: sound,
    "MP3 64 kbit/s": mp3,
    "MP3 32 kbit/s": lambda sound: mp3(sound, 32_000),
    "Opus 24 kbit/s": opus,
    "Opus 16 kbit/s": lambda sound: opus(sound, 16_000),
    "resampled 22.05 kHz": resampled,
    "noise 20 dB": noisy,
    "room 0.3 s": room,
    "telephone": telephone,
}


def _resampled(sound: np.ndarray, rate: int, to: int) -> np.ndarray:
    return np.asarray(soxr.resample(sound.astype(np.float32), rate, to), dtype=np.float32)


def _fitted(sound: np.ndarray, length: int) -> np.ndarray:
    kept = sound[:length]
    return np.asarray(np.pad(kept, (0, length - kept.size)), dtype=np.float32)


def _aligned(sound: np.ndarray, original: np.ndarray, most: int = 2_400) -> np.ndarray:
    """Cut the delay (at most 0.15 s) at which ``sound`` resembles ``original`` most."""
    size = min(sound.size, original.size, 4 * MODEL_RATE)
    spectra = np.fft.rfft(sound[:size], 2 * size) * np.conj(np.fft.rfft(original[:size], 2 * size))
    delay = int(np.argmax(np.fft.irfft(spectra)[:most]))
    return _fitted(sound[delay:], original.size)
