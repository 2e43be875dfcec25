"""Speech with a mark in it, degraded: what the soft detector (``watermark.codec.train``) learns from and is judged by.

Speech comes from the demo's Flite voices, from espeak-ng when it is on PATH, at many pitches and speeds, and from noise
in the shape of speech, for the product's own voices are not always clean; no living person's recording is used. Keys
are drawn here and used nowhere else, as the bound of ``watermark.codec.detect`` requires.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import fftconvolve

from watermark.codec import grid, soft
from watermark.codec.codeword import codewords
from watermark.codec.embed import mark_signal
from watermark.codec.grid import CHIPS, HOP, HOPS_PER_CHIP, RATE, Wave
from watermark.codec.transcode import transcoded

#: Voices as "flite NAME" or "espeak NAME"; what the bench and the tests judge by is never among them.
TRAIN_VOICES = (
    "flite slt", "flite rms", "flite kal16", "espeak en-us", "espeak en-us+f2", "espeak de+m3", "espeak fr+f1",
    "espeak es+m4", "espeak cmn+f5", "espeak ru+m6", "espeak sv+f1", "espeak en-us+m6",
)  # fmt: skip
#: Decide when to stop and which weights are kept; neither trained on nor used by the bench.
JUDGE_VOICES = ("espeak fi", "espeak ro+f2")
#: Range of gain changes in dB: what ``embed`` begins with and climbs to, and a little less.
STRENGTHS = (1.3, 2.6)
#: Versions of every marked clip, each with another degradation.
VERSIONS = 4
#: Chips of a training piece: 6.1 s.
PIECE_CHIPS = 95
#: Hops of sound that a piece needs: its chips' centres and what the network sees around them.
REACH = (soft.KERNEL[0] - 1) // 2 * soft.DILATION
PIECE_HOPS = (PIECE_CHIPS - 1) * HOPS_PER_CHIP + 2 * REACH + 1
#: Longest clip made, in hops.
CLIP_HOPS = 768

WORDS = (
    "river morning seven paper window gentle market orange bridge listen quiet doctor summer village "
    "carry twenty music garden simple travel answer winter harbor yellow people evening story finger "
    "change silver mountain voice letter kitchen forty measure little thousand purple shadow journey "
    "breakfast island question several clever brother forest machine holiday weather picture nothing "
    "always between against under where which those she sharp church joke usual "
)


def speech(voice: str, count: int, rng: np.random.Generator) -> Iterator[Wave]:
    """``count`` clips of 2 to 7 s at 32 kHz by one voice, one in three turned to shaped or added noise."""
    from demo.flite.speaker import speak

    program, name = voice.split()
    for index in range(count):
        text = " ".join(rng.choice(WORDS.split(), size=int(rng.integers(5, 17)))) + "."
        pitch, stretch = float(rng.uniform(0.75, 1.4)), float(rng.uniform(0.8, 1.25))
        if program == "flite":
            wave, rate = speak(text, voice=name, f0_shift=pitch, stretch=stretch)
        else:
            wave, rate = espeak(text, voice=name, pitch=round(50 * pitch), words_a_minute=round(160 / stretch))
        clip = grid.resampled(wave, rate, RATE)
        clip = clip * np.float32(0.5 / np.abs(clip).max())
        if index % 3 == 0:
            clip = _noisy(clip, rng)
        start = int(rng.integers(0, max(1, len(clip) - CLIP_HOPS * HOP)))
        yield clip[start : start + CLIP_HOPS * HOP]


def espeak(text: str, *, voice: str, pitch: int = 50, words_a_minute: int = 160) -> tuple[Wave, int]:
    """``text`` spoken by the espeak-ng program: float mono and its rate. Raises FileNotFoundError."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise FileNotFoundError("espeak-ng is not on PATH")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        options = ["-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "-w", str(path)]
        subprocess.run([program, *options, "--", text], check=True, capture_output=True, timeout=60)
        rate, samples = wavfile.read(path)
    return (samples / 32_768).astype(np.float32), int(rate)


def _noisy(clip: Wave, rng: np.random.Generator) -> Wave:
    """Speech whispered (noise in its spectral shape) or buried in white noise at 8 to 20 dB."""
    if rng.random() < 0.5:
        shape = np.abs(grid.spectra(clip, pad=grid.WINDOW))
        noise = grid.spectra(rng.standard_normal(len(clip)).astype(np.float32), pad=grid.WINDOW)
        out = grid.overlap_add((noise * shape).astype(np.complex64), pad=grid.WINDOW, length=len(clip))
    else:
        out = _mixed(clip, rng.standard_normal(len(clip)), rng.uniform(8, 20))
    return np.asarray(out * (0.5 / np.abs(out).max()), np.float32)


def _mixed(clip: Wave, other: NDArray[np.float64], decibels: float) -> Wave:
    gain = np.sqrt(np.mean(clip**2) / np.mean(other**2)) * 10 ** (-decibels / 20)
    return np.asarray(clip + gain * other, np.float32)


def _opus(clip: Wave, rng: np.random.Generator) -> Wave:
    voip, bits = bool(rng.random() < 0.5), int(rng.uniform(11, 34)) * 1_000
    return transcoded(clip, codec="libopus", form="ogg", bit_rate=bits, rate=48_000, voip=voip)


def _mp3(clip: Wave, rng: np.random.Generator) -> Wave:
    rate = int(rng.choice([16_000, 22_050, 24_000]))
    bits = int(rng.choice([16, 24, 32, 40] if rate == 16_000 else [32, 40, 48])) * 1_000
    return transcoded(clip, codec="libmp3lame", form="mp3", bit_rate=bits, rate=rate)


def _aac(clip: Wave, rng: np.random.Generator) -> Wave:
    rate = int(rng.choice([16_000, 24_000, 32_000]))
    bits = int(rng.uniform(14, 24) if rate == 16_000 else rng.uniform(20, 40)) * 1_000
    return transcoded(clip, codec="aac", form="mp4", bit_rate=bits, rate=rate, late=1_024 * RATE // rate)


def _telephone(clip: Wave, rng: np.random.Generator) -> Wave:
    narrow = grid.resampled(clip, RATE, 8_000)
    companded = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    steps = np.round(companded * 127) / 127
    back = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
    return grid.resampled(back.astype(np.float32), 8_000, RATE)


def _cellular(clip: Wave, rng: np.random.Generator) -> Wave:
    narrow = grid.resampled(clip, RATE, 8_000)
    spectrum = np.fft.rfft(narrow)
    hertz = np.fft.rfftfreq(len(narrow), 1 / 8_000)
    spectrum[(hertz < rng.uniform(150, 350)) | (hertz > rng.uniform(3_200, 3_600))] = 0
    band = np.fft.irfft(spectrum, n=len(narrow)).astype(np.float32)
    bits = int(rng.choice([7_950, 10_200, 12_200]))
    return transcoded(
        grid.resampled(band, 8_000, RATE), codec="libopencore_amrnb", form="amr", bit_rate=bits, rate=8_000, late=42
    )


def _full_rate(clip: Wave, rng: np.random.Generator) -> Wave:
    """GSM 06.10 by the ffmpeg program, at a level of its own, for that codec's coarse steps depend on it."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise FileNotFoundError("ffmpeg is not on PATH")
    narrow = grid.resampled(clip * np.float32(rng.uniform(0.3, 1.0) / np.abs(clip).max()), RATE, 8_000)
    raw, coded = ["-f", "s16le", "-ar", "8000", "-ac", "1"], ["-c:a", "libgsm", "-f", "gsm"]
    data = (np.clip(narrow, -1, 1) * 32767).astype("<i2").tobytes()
    for options in ([*raw, "-i", "-", *coded], ["-f", "gsm", "-i", "-", *raw]):
        command = [program, "-hide_banner", "-loglevel", "error", *options, "-"]
        data = subprocess.run(command, input=data, check=True, capture_output=True, timeout=60).stdout
    heard = np.frombuffer(data, "<i2").astype(np.float32) / 32767
    return grid.resampled(np.pad(heard, (0, max(0, len(narrow) - len(heard)))), 8_000, RATE)


def _white(clip: Wave, rng: np.random.Generator) -> Wave:
    return _mixed(clip, rng.standard_normal(len(clip)), rng.uniform(14, 32))


def _loud_noise(clip: Wave, rng: np.random.Generator) -> Wave:
    """Noise between white and pink, as loud as a mark can still be read from in ten seconds."""
    spectrum = np.fft.rfft(rng.standard_normal(len(clip)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 0.5)
    return _mixed(clip, np.fft.irfft(spectrum, n=len(clip)), rng.uniform(13, 21))


def _chain(clip: Wave, rng: np.random.Generator) -> Wave:
    first, second = rng.choice(3, size=2, replace=False)
    codecs = (_opus, _mp3, _aac)
    return codecs[second](codecs[first](clip, rng), rng)


def _loudspeaker(clip: Wave, rng: np.random.Generator) -> Wave:
    driven = np.tanh(1.5 * clip / np.abs(clip).max()).astype(np.float32) * np.float32(0.6)
    return _pink(_room(driven, rng), rng)


def _pink(clip: Wave, rng: np.random.Generator) -> Wave:
    spectrum = np.fft.rfft(rng.standard_normal(len(clip)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return _mixed(clip, np.fft.irfft(spectrum, n=len(clip)), rng.uniform(12, 25))


def _music(clip: Wave, rng: np.random.Generator) -> Wave:
    at = np.arange(len(clip)) / RATE
    bed = np.zeros(len(clip))
    for chord in range(int(at[-1] / 1.5) + 1):
        since = at - 1.5 * chord
        envelope = np.where(since >= 0, np.exp(-1.5 * np.maximum(since, 0)), 0)
        for note in 220 * 2 ** (rng.choice(12, size=3, replace=False) / 12):
            for harmonic in range(1, 8):
                bed += envelope * harmonic**-1.2 * np.sin(2 * np.pi * note * harmonic * at + rng.uniform(0, 6.28))
    return _mixed(clip, bed, rng.uniform(8, 18))


def _room(clip: Wave, rng: np.random.Generator) -> Wave:
    length = int(rng.uniform(0.2, 0.5) * RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: RATE // 500] = 0
    tail *= 10 ** (-rng.uniform(1, 6) / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1
    return np.asarray(fftconvolve(clip, tail)[: len(clip)], np.float32)


Degradation = Callable[[Wave, np.random.Generator], Wave]


def _clipped(clip: Wave, rng: np.random.Generator) -> Wave:
    return np.clip(clip / np.abs(clip).max() * np.float32(10 ** (rng.uniform(3, 10) / 20)), -1, 1) * np.float32(0.5)


def _echo(clip: Wave, rng: np.random.Generator) -> Wave:
    late = int(rng.uniform(0.03, 0.12) * RATE)
    out = clip.copy()
    out[late:] += np.float32(rng.uniform(0.2, 0.6)) * clip[:-late]
    return out


#: Each with its weight in the draw: what leaves little of a mark is what there is most to learn from.
DEGRADATIONS: dict[str, tuple[float, Degradation]] = {
    "none": (0.5, lambda clip, rng: clip),
    "opus": (2.0, _opus),
    "mp3": (1.5, _mp3),
    "aac": (1.0, _aac),
    "two codecs": (2.0, _chain),
    "cellular": (1.5, _cellular),
    "full rate": (1.5, _full_rate),
    "telephone": (0.5, _telephone),
    "white": (0.7, _white),
    "pink": (0.7, _pink),
    "loud noise": (2.0, _loud_noise),
    "music": (0.7, _music),
    "room": (0.7, _room),
    "loudspeaker": (2.0, _loudspeaker),
    "clipped": (0.3, _clipped),
    "echo": (0.4, _echo),
}


@dataclass(frozen=True)
class Examples:
    """``seen`` (examples, PLANES, PIECE_HOPS, BANDS) float16, so placed that output row k is chip k; ``signs``
    (examples, PIECE_CHIPS, BANDS) int8; ``lengths`` (examples,): chips that lie inside the sound."""

    seen: NDArray[np.float16]
    signs: NDArray[np.int8]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)


def examples(voices: tuple[str, ...], clips: int, rng: np.random.Generator) -> Examples:
    """``clips`` clips a voice, each under a key of its own, in VERSIONS degraded ways."""
    made = [example for voice in voices for clip in speech(voice, clips, rng) for example in _versions(clip, rng)]
    return Examples(*(np.stack(part) for part in zip(*made, strict=True)))


Example = tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int64]]


def _versions(clip: Wave, rng: np.random.Generator) -> Iterator[Example]:
    code = codewords(rng.bytes(32), [int(rng.integers(1, 1 << 48))])[0]
    marked = clip + mark_signal(clip, code, float(rng.uniform(*STRENGTHS)))
    weights = np.array([weight for weight, _ in DEGRADATIONS.values()])
    for name in rng.choice(list(DEGRADATIONS), size=VERSIONS, replace=False, p=weights / weights.sum()):
        worse = DEGRADATIONS[name][1](marked, rng) * np.float32(10 ** (rng.uniform(-12, 3) / 20))
        shift = int(rng.integers(0, HOP * HOPS_PER_CHIP))
        # The delay of every codec above has been taken off, so signs and sound stay aligned.
        yield example(np.clip(worse, -1, 1)[shift : len(marked)], code, shift)


def example(wave: Wave, code: NDArray[np.float32], shift: int) -> Example:
    """From a wave that begins ``shift`` samples, less than a chip, after its mark: its first chip is number 1."""
    seen = soft.planes(soft.log_energies(wave))
    size = HOP * HOPS_PER_CHIP
    first = round((size + size / 2 - shift) / HOP)
    count = min(PIECE_CHIPS, 1 + (seen.shape[1] - 1 - first) // HOPS_PER_CHIP)
    # What lies outside the sound is zero, as it is when the network listens.
    padded = np.pad(seen, ((0, 0), (REACH, PIECE_HOPS), (0, 0)))[:, first : first + PIECE_HOPS]
    signs = code[(1 + np.arange(PIECE_CHIPS)) % CHIPS].astype(np.int8)
    return padded.astype(np.float16), signs, np.array(count)
