"""A reference recording, from a file of unknown origin to the three waves and the spectrogram that synthesis reads.

Numbers follow the official service (TTS_infer_pack, GPT-SoVITS): the spectrogram comes from a windowed-sinc resampler
(torchaudio's), the content wave from soxr, the speaker wave from the first of the two. Sizes are bounded before
anything is decoded.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from cloning.engine.config import AudioConfig, official
from cloning.engine.errors import EngineError
from cloning.engine.features.audio import RATES, SILENT_PEAK
from cloning.engine.features.spectrogram import linear

#: Largest file: a minute in eight channels of 32 bits at 32 kHz fits.
MOST_BYTES = 64 * 2**20
MOST_CHANNELS = 8
#: Rate of the waves for the content and speaker models, in Hz.
ENCODER_RATE = 16_000
#: Shortest and longest prompt, and recording that only lends its style, in samples at ENCODER_RATE. The first pair is
#: upstream's; it does not limit the second kind at all.
PROMPT_SAMPLES = (3 * ENCODER_RATE, 10 * ENCODER_RATE)
STYLE_SAMPLES = (ENCODER_RATE // 2, 60 * ENCODER_RATE)
#: Silence after the content wave, so that the last word is heard to its end. Upstream means 0.3 s, but counts it at
#: 32 kHz and appends it at 16 kHz.
SILENCE, UPSTREAM_SILENCE = 4_800, 9_600
#: Peak above which a float recording is not sound in any usual scale.
MOST_PEAK = 100.0
#: Upstream divides by the peak of a recording above full scale, but never by more than this.
UPSTREAM_MOST_DIVISOR = 2.0
#: A recording is called clipped when more than this share of its samples lies at full scale.
CLIPPED_LEVEL, CLIPPED_SHARE = 0.999, 1e-3
#: Largest table of the sinc resampler (filters x taps); only sample rates nobody uses ask for more.
MOST_SINC_TABLE = 2**23


class ReferenceRefused(EngineError):
    """A reference recording cannot be used: not sound, silent, too short, too long, too large."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceAudio:
    """One recording, ready for the encoders. Float32 on the CPU."""

    #: N samples at the model's rate (32 kHz), divided by the peak if that is above 1.
    wave: Tensor
    #: Linear magnitudes of `wave`, 1 x bins x N // hop.
    spec: Tensor
    #: M samples at 16 kHz with silence behind them, for HuBERT.
    content_wave: Tensor
    #: K samples at 16 kHz, for the speaker encoder.
    speaker_wave: Tensor
    #: Length of the recording, without the added silence.
    seconds: float
    #: SHA-256 of the file and of how it was read, in hex: the key for caching by content.
    digest: str
    #: What a careful person would mention: `clipped`, `too_loud` (above full scale), `mixed_down` (more than one
    #: channel), `narrow_band` (below 16 kHz).
    notes: tuple[str, ...]


def read_reference(
    source: bytes | Path,
    *,
    audio: AudioConfig | None = None,
    role: Literal["prompt", "style"] = "prompt",
    compat: bool = False,
) -> ReferenceAudio:
    """Read a sound file (WAV, FLAC, Ogg, MP3, AIFF; 8 to 192 kHz; up to 8 channels, which are averaged).

    audio: how the acoustic model frames sound; by default as every published version does.
    role `prompt`: 3 to 10 s, it will be continued; `style`: 0.5 to 60 s, it only lends its sound. `compat` keeps
    upstream's 0.6 s of silence and its largest divisor of 2. Raises ReferenceRefused: `missing_file`, `too_large`,
    `not_sound`, `bad_rate`, `too_many_channels`, `too_short`, `too_long`, `not_finite`, `silent`, `bad_level`.
    """
    audio = official("v2").audio if audio is None else audio
    data = _bytes(source)
    limits = PROMPT_SAMPLES if role == "prompt" else STYLE_SAMPLES
    samples, rate = _decode(data, limits[1] / ENCODER_RATE)
    if not np.isfinite(samples).all():
        raise ReferenceRefused("not_finite", "the recording holds values that are not numbers")
    if float(np.abs(samples).max(initial=0.0)) > MOST_PEAK:
        raise ReferenceRefused("bad_level", f"the recording is more than {MOST_PEAK:g} times as loud as full scale")
    channels = samples.shape[1]
    mono = np.ascontiguousarray(samples.mean(axis=1) if channels > 1 else samples[:, 0])
    peak = float(np.abs(mono).max(initial=0.0))
    content = to_16k(mono, rate)
    _check_length(len(content), limits)
    if peak < SILENT_PEAK:
        raise ReferenceRefused("silent", "the recording is silent")
    wave = sinc_resample(torch.from_numpy(mono)[None], rate, audio.sample_rate)
    loudest = float(wave.abs().max())
    if loudest > 1:
        wave = wave / (min(UPSTREAM_MOST_DIVISOR, loudest) if compat else loudest)
    silence = UPSTREAM_SILENCE if compat else SILENCE
    clipped = float((np.abs(samples) >= CLIPPED_LEVEL).mean()) > CLIPPED_SHARE
    said = {"clipped": clipped, "too_loud": peak > 1, "mixed_down": channels > 1, "narrow_band": rate < ENCODER_RATE}
    how = f"{role} {compat} {audio}".encode()
    return ReferenceAudio(
        wave=wave[0],
        spec=linear(wave, audio),
        content_wave=torch.from_numpy(np.pad(content, (0, silence))),
        speaker_wave=sinc_resample(wave, audio.sample_rate, ENCODER_RATE)[0],
        seconds=len(mono) / rate,
        digest=hashlib.sha256(hashlib.sha256(data).digest() + how).hexdigest(),
        notes=tuple(name for name, true in said.items() if true),
    )


def to_16k(wave: np.ndarray, rate: int) -> np.ndarray:
    """(N,) float32 at `rate` Hz -> (ceil(N * 16000 / rate),) by soxr, high quality, as librosa does it upstream."""
    if rate == ENCODER_RATE:
        return wave
    out = np.asarray(soxr.resample(wave, rate, ENCODER_RATE, quality="HQ"), dtype=np.float32)
    length = math.ceil(len(wave) * (ENCODER_RATE / rate))
    return np.pad(out[:length], (0, max(0, length - len(out))))


def sinc_resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Waves B x N at `rate` Hz -> B x ceil(N * target / rate), windowed sinc (torchaudio's defaults).

    Rates that share almost no divisor with `target` would need a table of gigabytes; they go through soxr.
    """
    if rate == target:
        return wave
    common = math.gcd(rate, target)
    taps = 14 * max(rate, target) // common + rate // common
    if target // common * taps > MOST_SINC_TABLE:
        rows = [soxr.resample(row.numpy(), rate, target, quality="HQ") for row in wave]
        return torch.from_numpy(np.stack(rows).astype(np.float32))
    # Here, because torchaudio takes long to import.
    from torchaudio.functional import resample

    out: Tensor = resample(wave, rate, target)
    return out


def _bytes(source: bytes | Path) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            with source.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ReferenceRefused("missing_file", "the recording could not be opened") from error
    if len(data) > MOST_BYTES:
        raise ReferenceRefused("too_large", f"the recording is larger than {MOST_BYTES // 2**20} MiB")
    return data


def _decode(data: bytes, seconds: float) -> tuple[np.ndarray, int]:
    """At most a second more than `seconds` of sound, (N, channels) float32, and its rate in Hz."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = file.samplerate, file.channels
            if not RATES[0] <= rate <= RATES[1]:
                raise ReferenceRefused("bad_rate", f"a sample rate of {rate} Hz is not accepted")
            if channels > MOST_CHANNELS:
                raise ReferenceRefused("too_many_channels", f"the recording has more than {MOST_CHANNELS} channels")
            return file.read(int((seconds + 1) * rate), dtype="float32", always_2d=True), rate
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        raise ReferenceRefused("not_sound", "the file is not a sound file that can be read") from error


def _check_length(samples: int, limits: tuple[int, int]) -> None:
    least, most = limits
    if samples < least:
        raise ReferenceRefused("too_short", f"the recording is shorter than {least / ENCODER_RATE:g} seconds")
    if samples > most:
        raise ReferenceRefused("too_long", f"the recording is longer than {most / ENCODER_RATE:g} seconds")
