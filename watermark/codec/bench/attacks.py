"""The fifty attacks by which the mark is judged, with exact parameters; each is a function of sound, rate and seed.

Random ones draw from PCG64 seeded with the first eight hex digits of SHA-256("name|seed"). Codecs run in ffmpeg and
effects in sox, as separate programs; an attack whose program is missing raises Missing and is reported as not run.
None of them takes a codec's delay away again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

Sound = NDArray[np.float64]
Result = tuple[Sound, int]


class Missing(RuntimeError):
    """The program that an attack needs is not on PATH."""


@dataclass(frozen=True)
class Attack:
    """``run(sound, rate, draw, other)``: ``other`` is forty seconds of unrelated speech at the same rate."""

    name: str
    group: str
    run: Callable[[Sound, int, np.random.Generator, Sound], Result]
    core: bool = False


def attacked(attack: Attack, sound: Sound, rate: int, seed: str, other: Sound) -> Result:
    """What is left of ``sound``, within -1..1."""
    digits = hashlib.sha256(f"{attack.name}|{seed}".encode()).hexdigest()[:8]
    out, at = attack.run(np.asarray(sound, np.float64), rate, np.random.default_rng(int(digits, 16)), other)
    return np.clip(out, -1, 1), at


def polyphase(sound: Sound, rate: int, to: int) -> Sound:
    """scipy's resample_poly at the reduced ratio."""
    common = int(np.gcd(rate, to))
    return np.asarray(resample_poly(sound, to // common, rate // common))


def active_level(sound: Sound) -> float:
    """RMS over frames of 512 samples within 40 dB of the loudest."""
    energy = np.square(sound[: len(sound) // 512 * 512].reshape(-1, 512)).sum(axis=1)
    return float(np.sqrt(energy[energy > 1e-4 * energy.max()].mean() / 512))


def mixed(sound: Sound, noise: Sound, decibels: float) -> Sound:
    """``sound`` with ``noise``, repeated or cut to length, ``decibels`` below its active level."""
    noise = np.resize(noise, len(sound))
    return sound + noise * active_level(sound) / np.sqrt(np.mean(noise**2)) * 10 ** (-decibels / 20)


def pink(count: int, draw: np.random.Generator) -> Sound:
    """White noise whose amplitude falls by the root of the frequency."""
    spectrum = np.fft.rfft(draw.standard_normal(count))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n=count)


def room(sound: Sound, rate: int, draw: np.random.Generator, *, seconds: float, direct_db: float) -> Sound:
    """Convolved with a room of that reverberation time and ratio of direct to reverberant energy; same length."""
    count = int(seconds * rate)
    tail = draw.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: int(0.002 * rate)] = 0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return np.asarray(fftconvolve(sound, tail)[: len(sound)])


_CHORDS = ((220, 261.6, 329.6), (174.6, 220, 261.6), (261.6, 329.6, 392), (196, 246.9, 293.7))


def music(count: int, rate: int, draw: np.random.Generator) -> Sound:
    """A bed at 112 beats a minute: chords of eight harmonics for four beats each, a bass, hat and kick."""
    beat = 60 / 112
    out = np.zeros(count)
    first = int(draw.integers(4))
    for number, start in enumerate(np.arange(0, count / rate, 4 * beat)):
        begin = int(start * rate)
        at = np.arange(min(int(4 * beat * rate), count - begin)) / rate
        envelope = np.minimum(1, at / 0.05) * np.exp(-0.4 * at)
        chord = _CHORDS[(first + number) % 4]
        part = 1.5 * envelope * np.sin(2 * np.pi * chord[0] / 4 * at)
        for note in chord:
            for harmonic in range(1, 9):
                if note * harmonic < rate / 2:
                    phase = draw.uniform(0, 2 * np.pi)
                    part += envelope * harmonic**-1.2 * np.sin(2 * np.pi * note * harmonic * at + phase)
        out[begin : begin + len(at)] += part
    for number, start in enumerate(np.arange(0, count / rate, beat / 2)):
        begin = int(start * rate)
        size = min(int(0.12 * rate), count - begin)
        at = np.arange(size) / rate
        hit = 0.8 * np.diff(draw.standard_normal(size + 1)) * np.exp(-60 * at)
        if number % 2 == 0:
            hit += 3 * np.sin(2 * np.pi * (50 + 120 * np.exp(-40 * at)) * at) * np.exp(-25 * at)
        out[begin : begin + size] += hit
    return out


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not on PATH")
    return path


def _run(arguments: list[str]) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=120)


def codec(to: int | None, suffix: str, *options: str, raw: tuple[str, ...] = ()) -> Callable[..., Result]:
    """Through ffmpeg: resample to ``to``, encode with ``options`` to a file ``suffix``, decode to mono."""

    def run(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
        program = [_program("ffmpeg"), "-v", "error", "-nostdin", "-y"]
        with tempfile.TemporaryDirectory() as folder:
            source, coded, back = (Path(folder) / name for name in ("in.wav", f"coded.{suffix}", "out.wav"))
            at = to or rate
            soundfile.write(source, np.clip(polyphase(sound, rate, at), -1, 1), at, subtype="PCM_16")
            _run([*program, "-i", str(source), *options, str(coded)])
            _run([*program, *raw, "-i", str(coded), "-ac", "1", "-c:a", "pcm_s16le", str(back)])
            return soundfile.read(back)

    return run


def sox(*effects: str) -> Callable[..., Result]:
    """Through sox with PCM-16 in and out, guarded against clipping."""

    def run(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            source, back = Path(folder) / "in.wav", Path(folder) / "out.wav"
            soundfile.write(source, np.clip(sound, -1, 1), rate, subtype="PCM_16")
            _run([_program("sox"), "-G", str(source), str(back), *effects])
            return soundfile.read(back)

    return run


def chain(*parts: Callable[..., Result]) -> Callable[..., Result]:
    """One after the other, at the rate each leaves."""

    def run(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
        for part in parts:
            sound, rate = part(np.clip(sound, -1, 1), rate, draw, other)
        return sound, rate

    return run


def _plain(change: Callable[[Sound, int, np.random.Generator, Sound], Sound]) -> Callable[..., Result]:
    return lambda sound, rate, draw, other: (change(sound, rate, draw, other), rate)


def _by_way_of(through: int) -> Callable[..., Result]:
    def run(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
        return polyphase(polyphase(sound, rate, through), through, rate)[: len(sound)], rate

    return run


def _band(sound: Sound, rate: int, low: float, high: float, order: int) -> Sound:
    return np.asarray(sosfilt(butter(order, (low, min(high, 0.499 * rate)), "bandpass", fs=rate, output="sos"), sound))


def _telephone(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
    narrow = _band(polyphase(sound, rate, 8_000), 8_000, 300, 3_400, 4)
    pressed = np.sign(narrow) * np.log1p(255 * np.abs(np.clip(narrow, -1, 1))) / np.log(256)
    steps = np.round(127 * pressed) / 127
    return np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255, 8_000


def _kept(share: float) -> Callable[..., Result]:
    def change(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
        start = int(draw.uniform(0, 1 - share) * len(sound))
        return sound[start : start + int(share * len(sound))]

    return _plain(change)


def _between(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
    other = other * active_level(sound) / active_level(other)
    before = int(draw.integers(4, 10)) * rate
    return np.concatenate([other[:before], sound, other[before : before + 6 * rate]])


def _dropped(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
    size, lost = rate // 4, rate // 100
    return np.concatenate([sound[start : start + size][: size - lost] for start in range(0, len(sound), size)])


def _babble(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
    return mixed(sound, other[int(draw.uniform(0, 8) * rate) :], 10)


_PEAKS = ((120, 6.0), (400, -6.0), (1_100, 6.0), (2_800, -6.0), (6_500, 6.0))


def _equalised(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
    for hertz, decibels in _PEAKS:  # peaking biquad, Q = 1 (Bristow-Johnson's audio EQ cookbook)
        gain, turn = 10 ** (decibels / 40), 2 * np.pi * hertz / rate
        alpha, middle = np.sin(turn) / 2, -2 * np.cos(turn)
        section = np.array([[1 + alpha * gain, middle, 1 - alpha * gain, 1 + alpha / gain, middle, 1 - alpha / gain]])
        sound = np.asarray(sosfilt(section / section[0, 3], sound))
    return sound / max(1.0, float(np.abs(sound).max()))


def _filtered(kind: str, hertz: float, order: int) -> Callable[..., Result]:
    return _plain(lambda sound, rate, draw, other: sosfilt(butter(order, hertz, kind, fs=rate, output="sos"), sound))


def sped(factor: float) -> Callable[..., Result]:
    """Pitch and tempo together: linear interpolation on a grid four times as fine."""

    def change(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Sound:
        fine = polyphase(sound, 1, 4)
        places = 4 * factor * np.arange(round(len(sound) / factor))
        return np.interp(places, np.arange(len(fine)), fine)

    return _plain(change)


def _driven(sound: Sound, rate: int, draw: np.random.Generator, other: Sound) -> Result:
    band = _band(sound, rate, 180, 7_000, 2)
    heard = room(0.6 * np.tanh(1.5 * band / np.abs(band).max()), rate, draw, seconds=0.35, direct_db=3)
    heard, _ = sped(1.0003)(mixed(heard, pink(len(heard), draw), 22), rate, draw, other)
    return 0.5 * heard / np.abs(heard).max(), rate


def _opus(bits: str, use: str) -> Callable[..., Result]:
    return codec(None, "ogg", "-c:a", "libopus", "-b:a", bits, "-vbr", "on", "-application", use)


def _aac(bits: str, to: int | None = None) -> Callable[..., Result]:
    return codec(to, "m4a", "-c:a", "aac", "-b:a", bits)


def _mp3(bits: str, to: int | None = None) -> Callable[..., Result]:
    return codec(to, "mp3", "-c:a", "libmp3lame", "-b:a", bits)


def _noisy(decibels: float) -> Callable[..., Result]:
    return _plain(lambda sound, rate, draw, other: mixed(sound, draw.standard_normal(len(sound)), decibels))


def _bed(decibels: float) -> Callable[..., Result]:
    return _plain(lambda sound, rate, draw, other: mixed(sound, music(len(sound), rate, draw), decibels))


BENIGN, SOCIAL, HARD, EXTREME, CELLULAR = "benign", "social", "hard", "extreme", "gsm"

ATTACKS: tuple[Attack, ...] = (
    Attack("none", BENIGN, _plain(lambda sound, rate, draw, other: sound), core=True),
    Attack("pcm8", BENIGN, _plain(lambda sound, rate, draw, other: np.round(127 * sound) / 127)),
    Attack("mp3_128", BENIGN, _mp3("128k")),
    Attack("mp3_64", BENIGN, _mp3("64k"), core=True),
    Attack("mp3_32_22k", SOCIAL, _mp3("32k", 22_050), core=True),
    Attack("mp3_24_16k", HARD, _mp3("24k", 16_000), core=True),
    Attack("mp3_16_16k", EXTREME, _mp3("16k", 16_000)),
    Attack("aac_64", BENIGN, _aac("64k")),
    Attack("aac_32", SOCIAL, _aac("32k"), core=True),
    Attack("aac_24", SOCIAL, _aac("24k"), core=True),
    Attack("aac_16_16k", EXTREME, _aac("16k", 16_000)),
    Attack("opus_32", SOCIAL, _opus("32k", "audio")),
    Attack("opus_24", SOCIAL, _opus("24k", "audio"), core=True),
    Attack("opus_16_voip", HARD, _opus("16k", "voip"), core=True),
    Attack("opus_12_voip", EXTREME, _opus("12k", "voip"), core=True),
    Attack("vorbis_q0", SOCIAL, codec(None, "ogg", "-c:a", "libvorbis", "-q:a", "0")),
    Attack(
        "gsm_fr", CELLULAR, codec(8_000, "gsm", "-c:a", "libgsm", "-ar", "8000", "-f", "gsm", raw=("-f", "gsm")),
        core=True,
    ),
    Attack("rs_8k", BENIGN, _by_way_of(8_000), core=True),
    Attack("rs_16k", BENIGN, _by_way_of(16_000)),
    Attack("rs_44k", BENIGN, _by_way_of(44_100)),
    Attack("rs_48k", BENIGN, _by_way_of(48_000), core=True),
    Attack("phone_ulaw", HARD, _telephone, core=True),
    Attack("crop_75", SOCIAL, _kept(0.75)),
    Attack("crop_50", HARD, _kept(0.5), core=True),
    Attack("concat", SOCIAL, _plain(_between), core=True),
    Attack("splice10ms", EXTREME, _plain(_dropped)),
    Attack("music_20", SOCIAL, _bed(20), core=True),
    Attack("music_10", HARD, _bed(10), core=True),
    Attack("babble_10", HARD, _plain(_babble)),
    Attack("white_30", SOCIAL, _noisy(30)),
    Attack("white_20", EXTREME, _noisy(20), core=True),
    Attack(
        "pink_15", EXTREME, _plain(lambda sound, rate, draw, other: mixed(sound, pink(len(sound), draw), 15)), core=True
    ),
    Attack("eq_6db", BENIGN, _plain(_equalised), core=True),
    Attack("lp_4k", BENIGN, _filtered("lowpass", 4_000, 8)),
    Attack("hp_500", BENIGN, _filtered("highpass", 500, 4)),
    Attack("gain_-14", BENIGN, _plain(lambda sound, rate, draw, other: sound * 10 ** (-14 / 20))),
    Attack(
        "clip_+9", SOCIAL,
        _plain(lambda sound, rate, draw, other: np.clip(sound / np.abs(sound).max() * 10 ** (9 / 20), -1, 1)),
    ),
    Attack("compand", BENIGN, sox("compand", "0.01,0.2", "6:-70,-60,-20", "-5"), core=True),
    Attack("denoise", BENIGN, codec(None, "wav", "-af", "afftdn=nr=12:nf=-40")),
    Attack("speed_1.01", BENIGN, sped(1.01), core=True),
    Attack("speed_0.97", BENIGN, sped(0.97)),
    Attack("speed_1.05", BENIGN, sped(1.05)),
    Attack("tempo_1.03", BENIGN, sox("tempo", "-s", "1.03"), core=True),
    Attack("tempo_0.93", BENIGN, sox("tempo", "-s", "0.93")),
    Attack("pitch_+50c", BENIGN, sox("pitch", "50"), core=True),
    Attack("echo", HARD, sox("echo", "0.8", "0.9", "60", "0.4")),
    Attack(
        "reverb_.4", HARD,
        _plain(lambda sound, rate, draw, other: 0.7 * room(sound, rate, draw, seconds=0.4, direct_db=3)), core=True,
    ),
    Attack("rerecord", EXTREME, chain(_driven, _opus("24k", "voip")), core=True),
    Attack("chat_chain", EXTREME, chain(
        lambda sound, rate, draw, other: (polyphase(sound, rate, 16_000), 16_000), _opus("16k", "voip"), _aac("32k")
    ), core=True),
    Attack("video_chain", HARD, chain(_bed(15), _aac("64k"), _aac("48k")), core=True),
)  # fmt: skip

#: Attacks that only a search over speeds, tempos and pitches undoes.
SCALED = frozenset({"speed_1.01", "speed_0.97", "speed_1.05", "tempo_1.03", "tempo_0.93", "pitch_+50c", "splice10ms"})
