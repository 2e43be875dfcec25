"""eSpeak NG, Debian's formant synthesiser, run as the program it is (GPL-3; nothing of it is linked or copied).

Only the making of the starter base asks for it, for Mandarin: `apt install espeak-ng`. Its voices are formulas, no
recording of anybody is behind them.
"""

from __future__ import annotations

import functools
import io
import re
import shutil
import subprocess
import wave

import numpy as np

#: Reads pinyin with tone figures; the program's own reading of characters is wrong in version 1.51.
VOICE = "cmn-latn-pinyin"
#: Longest text in characters, and longest wait for it.
MAX_TEXT = 2_000
TIMEOUT_SECONDS = 30
#: Some of its speakers crash it now and then, whatever they are given to say.
ATTEMPTS = 3
#: Words a minute.
SPEEDS = (80, 450)
_PINYIN = re.compile(r"[a-z]+[1-5](?: [a-z]+[1-5])*[.,?!]?")
_VARIANT = re.compile(r"[A-Za-z0-9]{1,32}")


class EspeakError(Exception):
    """The program is missing, refused the request or failed."""


def speak_pinyin(pinyin: str, *, variant: str, pitch: int = 50, speed: int = 130) -> tuple[np.ndarray, int]:
    """Say one clause, syllables such as "ni2 hao3" and perhaps one mark behind them; return (float32 wave (samples,) in
    -1..1, its rate). `variant`: one of the program's speakers; pitch 0..99; speed in words a minute.

    The melody is the widest that the program has: by default its tones are hardly told apart. Raises EspeakError.
    """
    if len(pinyin) > MAX_TEXT or not _PINYIN.fullmatch(pinyin):
        raise EspeakError(f"the text must be pinyin with tone figures, at most {MAX_TEXT} characters")
    if not _VARIANT.fullmatch(variant) or not 0 <= pitch <= 99 or not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise EspeakError("variant, pitch or speed out of range")
    if variant not in variants():
        # The program itself would say it in its plain voice.
        raise EspeakError(f"espeak-ng has no variant {variant}")
    marked = f'<prosody range="x-high">{pinyin}</prosody>'
    data = _run("-m", "-z", "--stdout", "-p", str(pitch), "-s", str(speed), "-v", f"{VOICE}+{variant}", marked)
    with wave.open(io.BytesIO(data)) as sound:
        rate, width, channels = sound.getframerate(), sound.getsampwidth(), sound.getnchannels()
    if (width, channels) != (2, 1) or len(data) <= _HEADER:
        raise EspeakError("the program gave no sound")
    # Written to a pipe, the header does not know how long the sound is.
    pcm = np.frombuffer(data[_HEADER : len(data) // 2 * 2], dtype="<i2")
    return pcm.astype(np.float32) / 32768, rate


def version() -> str:
    """Of the installed program, such as "1.51". Raises EspeakError."""
    found = re.search(rb"text-to-speech: (\S+)", _run("--version"))
    if found is None:
        raise EspeakError("the program does not say its version")
    return found[1].decode()


@functools.lru_cache(maxsize=1)
def variants() -> frozenset[str]:
    """The speakers of the installed program. Raises EspeakError."""
    return frozenset(re.findall(r"!v/(\S+)", _run("--voices=variant").decode("utf-8", "replace")))


#: Bytes before the samples.
_HEADER = 44


@functools.lru_cache(maxsize=1)
def _program() -> str:
    path = shutil.which("espeak-ng")
    if path is None:
        raise EspeakError("espeak-ng is not installed: apt install espeak-ng")
    return path


def _run(*arguments: str) -> bytes:
    for _ in range(ATTEMPTS):
        try:
            done = subprocess.run([_program(), *arguments], capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise EspeakError(f"espeak-ng failed: {error}") from error
        if done.returncode == 0:
            return done.stdout
    raise EspeakError(f"espeak-ng failed with status {done.returncode}")
