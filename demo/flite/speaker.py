"""The demo's speaker: CMU Flite 2.3, compiled to WebAssembly, run in a wasmtime sandbox.

Flite needs no installation this way and can touch nothing but the scratch folder it is given: no network, no
environment, no other file. Its four voices were built by Carnegie Mellon University from recordings made for
synthesis research and are released with the program (``COPYING`` beside this file):

====== ============================== =====================
name   speaker                        kind
====== ============================== =====================
slt    woman, United States           statistical parametric
rms    man, United States             statistical parametric
awb    man, Scotland                  statistical parametric
kal16  man, United States             diphone
====== ============================== =====================
"""

from __future__ import annotations

import functools
import lzma
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wasmtime

VOICES = ("slt", "rms", "awb", "kal16")
#: Samples per second of every voice above.
RATE = 16_000
#: Longest text in characters; Flite is fast, but a demo has no use for a book.
MAX_TEXT = 5_000
#: Bounds of both factors: outside them the voices stop sounding like speech.
FACTOR_RANGE = (0.4, 2.5)
#: Most memory one call may take, in bytes (the voices need about 60 MB).
MAX_MEMORY = 1 << 29

_MODULE = Path(__file__).with_name("flite.wasm.xz")


class SpeakerError(Exception):
    """Flite refused the request or failed."""


@dataclass(frozen=True)
class TimedPhone:
    """One phone of Flite's lexicon (ARPAbet without stress, ``ax``, ``pau``) and its end in seconds."""

    name: str
    end: float


@dataclass(frozen=True)
class Spoken:
    """A spoken text: ``wave`` float32 (samples,) in -1..1 at ``rate``, and the phones with their end times.

    The last ``pau`` may end a little after the wave does.
    """

    wave: np.ndarray
    rate: int
    phones: tuple[TimedPhone, ...]


def speak(text: str, *, voice: str, f0_shift: float = 1.0, stretch: float = 1.0) -> tuple[np.ndarray, int]:
    """Say ``text``; return (float32 wave (samples,) in -1..1, 16000).

    ``f0_shift`` multiplies the pitch, ``stretch`` the durations (2.0 is half as fast).
    Raises SpeakerError for an unknown voice, an empty or overlong text, or factors outside FACTOR_RANGE.
    """
    spoken = speak_timed(text, voice=voice, f0_shift=f0_shift, stretch=stretch)
    return spoken.wave, spoken.rate


def speak_timed(text: str, *, voice: str, f0_shift: float = 1.0, stretch: float = 1.0) -> Spoken:
    """Like speak(), with phone times."""
    if not text.strip() or len(text) > MAX_TEXT or "\0" in text:
        raise SpeakerError(f"the text must have 1 to {MAX_TEXT} characters and no NUL")
    return _run(["-t", text], voice=voice, f0_shift=f0_shift, stretch=stretch)


def speak_phones(phones: list[str], *, voice: str, f0_shift: float = 1.0, stretch: float = 1.0) -> Spoken:
    """Say phones of Flite's own inventory (stress digits allowed, ``pau`` for a pause), for instance
    ``["pau", "hh", "ax", "l", "ow1", "pau"]``."""
    line = " ".join(phones)
    if not line or len(line) > MAX_TEXT or not line.replace(" ", "").isalnum():
        raise SpeakerError("phones must be a non-empty list of letters and digits")
    return _run(["-p", line], voice=voice, f0_shift=f0_shift, stretch=stretch)


@functools.lru_cache(maxsize=1)
def _machine() -> tuple[wasmtime.Engine, wasmtime.Linker, wasmtime.Module]:
    """The compiled program. Unpacking and compiling take some seconds, once a process."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    return engine, linker, wasmtime.Module(engine, lzma.decompress(_MODULE.read_bytes()))


def _run(what: list[str], *, voice: str, f0_shift: float, stretch: float) -> Spoken:
    if voice not in VOICES:
        raise SpeakerError(f"unknown voice {voice!r}; there are {', '.join(VOICES)}")
    low, high = FACTOR_RANGE
    if not (low <= f0_shift <= high and low <= stretch <= high):
        raise SpeakerError(f"f0_shift and stretch must lie in {low}..{high}")
    engine, linker, module = _machine()
    with tempfile.TemporaryDirectory(prefix="flite-") as folder:
        store = wasmtime.Store(engine)
        store.set_limits(memory_size=MAX_MEMORY)
        wasi = wasmtime.WasiConfig()
        wasi.argv = [
            "flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.4f}", "--setf", f"f0_shift={f0_shift:.4f}",
            "-psdur", *what, "-o", "/out/speech.wav",
        ]  # fmt: skip
        wasi.preopen_dir(folder, "/out")
        wasi.stdout_file = f"{folder}/phones.txt"
        wasi.stderr_file = f"{folder}/errors.txt"
        store.set_wasi(wasi)
        start = linker.instantiate(store, module).exports(store)["_start"]
        if not isinstance(start, wasmtime.Func):
            raise SpeakerError("the module has no program in it")
        try:
            start(store)
        except wasmtime.ExitTrap as exit_:
            if exit_.code:
                raise SpeakerError(f"flite ended with code {exit_.code}") from exit_
        except wasmtime.Trap as trap:
            raise SpeakerError("flite stopped inside the sandbox") from trap
        finally:
            store.close()
        wav = Path(folder, "speech.wav")
        if not wav.exists():
            raise SpeakerError("flite wrote no sound")
        with wave.open(str(wav)) as reader:
            rate = reader.getframerate()
            pcm = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
        marks = Path(folder, "phones.txt").read_text().split()
    phones = tuple(TimedPhone(name, float(end)) for name, _, end in (mark.partition(":") for mark in marks))
    return Spoken((pcm / 32768).astype(np.float32), rate, phones)
