"""Handing the work to the ``audiowmark`` executable, where a deployment has it on its PATH.

Sound goes in and comes out through pipes; the key goes through a file in memory that only the child can see. The
program is a separate process under its own licence: nothing of it is linked here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from watermark.codec.audiowmark import report
from watermark.codec.audiowmark.convolution import MESSAGE_BITS, BadMessage
from watermark.codec.audiowmark.embed import DEFAULT_STRENGTH, Sound, checked, to_pcm16
from watermark.codec.audiowmark.keys import Key, key_file
from watermark.codec.audiowmark.read import Candidate

NAME = "audiowmark"
#: Seconds a call may take, and as many more for each second of sound.
BASE_SECONDS, SECONDS_PER_SECOND = 60.0, 2.0
#: Bytes of a WAV file that are not samples, at most.
HEADER_BYTES = 65_536


class ProgramMissing(RuntimeError):
    """There is no ``audiowmark`` on PATH."""


class ProgramFailed(RuntimeError):
    """The program ended badly, ran too long, or gave back something that cannot be its answer."""


@dataclass(frozen=True)
class Program:
    """The executable at ``path``."""

    path: str

    @classmethod
    def find(cls) -> Program:
        """The executable on PATH. Raises ProgramMissing."""
        path = shutil.which(NAME)
        if path is None:
            raise ProgramMissing(f"there is no {NAME} on PATH")
        return cls(path)

    def embed(
        self, wave: NDArray[np.floating], rate: int, message: bytes, key: Key, *, strength: float = DEFAULT_STRENGTH
    ) -> Sound:
        """As audiowmark.embed(), by the program; the sound passes as 16-bit WAV. Raises ProgramFailed too."""
        if not isinstance(message, bytes) or len(message) * 8 != MESSAGE_BITS:
            raise BadMessage(f"a message is {MESSAGE_BITS // 8} bytes")
        sound = checked(wave, rate)
        with _key_fd(key) as fd:
            options = ["--key", f"/dev/fd/{fd}", "--strength", f"{strength:g}", "-", "-", message.hex()]
            data = self._run(["add", *options], sound, rate, fd, most=2 * sound.size + HEADER_BYTES)
        try:
            with soundfile.SoundFile(BytesIO(data)) as file:
                if (file.samplerate, file.channels) != (rate, len(sound)):
                    raise ProgramFailed(f"{NAME} gave back another rate or other channels")
                marked = file.read(dtype="float64", always_2d=True).T
        except soundfile.LibsndfileError as error:
            raise ProgramFailed(f"{NAME} gave back no sound: {error}") from error
        if marked.shape != sound.shape:
            raise ProgramFailed(f"{NAME} gave back {marked.shape[1]} samples for {sound.shape[1]}")
        return np.ascontiguousarray(marked[0] if wave.ndim == 1 else marked)

    def read(self, wave: NDArray[np.floating], rate: int, key: Key) -> list[Candidate]:
        """As audiowmark.read(), by the program; positions are whole seconds. Raises ProgramFailed too."""
        sound = checked(wave, rate)
        with _key_fd(key) as fd:
            options = ["--key", f"/dev/fd/{fd}", "--json", "-", "-"]
            data = self._run(["get", *options], sound, rate, fd, most=report.MAX_BYTES)
        try:
            return report.parse(data)
        except report.BadReport as error:
            raise ProgramFailed(str(error)) from error

    def _run(self, arguments: list[str], sound: Sound, rate: int, key_fd: int, *, most: int) -> bytes:
        """What the program writes, at most ``most`` bytes, within a time that grows with the sound."""
        seconds = BASE_SECONDS + SECONDS_PER_SECOND * sound.shape[1] / rate
        with _in_memory() as given, _in_memory() as said:
            soundfile.write(given, to_pcm16(sound).T, rate, format="WAV", subtype="PCM_16")
            given.seek(0)
            process = subprocess.Popen(
                [self.path, *arguments], stdin=given, stdout=subprocess.PIPE, stderr=said, pass_fds=(key_fd,),
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )  # fmt: skip
            late = threading.Timer(seconds, process.kill)
            late.start()
            with process:
                assert process.stdout is not None
                data = process.stdout.read(most + 1)
                if len(data) > most:
                    process.kill()
            expired = not late.is_alive()
            late.cancel()
            said.seek(0)
            words = said.read(300).decode(errors="replace").strip()
        if expired:
            raise ProgramFailed(f"{NAME} was stopped after {seconds:.0f} s")
        if len(data) > most:
            raise ProgramFailed(f"{NAME} wrote more than {most} bytes")
        if process.returncode != 0:
            raise ProgramFailed(f"{NAME} ended with {process.returncode}: {words}")
        return data


@contextmanager
def _key_fd(key: Key) -> Iterator[int]:
    with _in_memory() as file:
        file.write(key_file(key).encode())
        file.seek(0)
        yield file.fileno()


def _in_memory() -> BinaryIO:
    """A nameless file that a child can be given: in memory where the system has that, else already unlinked."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create(NAME), "w+b")
    return tempfile.TemporaryFile()
