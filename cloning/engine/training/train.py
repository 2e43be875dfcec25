"""`python -m cloning.engine.training.train --speech FOLDER --out VOICE`: train a voice from wav and txt files.

FOLDER holds NAME.wav (or flac, ogg, mp3) and NAME.txt with what is said. `train_voice` is the function behind it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import soundfile

from cloning.engine.errors import EngineError, TrainingRefused
from cloning.engine.training.loop import Progress
from cloning.engine.training.prepare import MOST_RECORDINGS, Recording
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import train_voice

__all__ = ["Progress", "Recording", "TrainingRecipe", "main", "read_folder", "train_voice"]

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
#: Largest sound file and text file read.
MOST_SOUND_BYTES = 200 * 2**20
MOST_TEXT_BYTES = 64 * 2**10


def read_folder(folder: Path) -> list[Recording]:
    """The sound files of a folder in name order, each with the text of the .txt beside it. Raises TrainingRefused."""
    recordings = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SOUNDS)[: MOST_RECORDINGS + 1]:
        if path.stat().st_size > MOST_SOUND_BYTES:
            raise TrainingRefused("too_much", f"{path.name} is larger than {MOST_SOUND_BYTES >> 20} MB")
        try:
            wave, rate = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise TrainingRefused("bad_audio", f"{path.name} is not a readable sound file") from error
        text = path.with_suffix(".txt")
        transcript = None
        if text.is_file():
            if text.stat().st_size > MOST_TEXT_BYTES:
                raise TrainingRefused("bad_transcript", f"{text.name} is larger than {MOST_TEXT_BYTES >> 10} kB")
            transcript = text.read_text("utf-8", errors="strict").strip() or None
        recordings.append(Recording(wave, rate, transcript))
    return recordings


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 trained, 1 refused or failed (the reason is on stderr)."""
    parser = argparse.ArgumentParser(prog="cloning.engine.training.train", description="Train a voice.")
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", choices=("demo", "thorough"), default="demo")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)

    def show(progress: Progress) -> None:
        end = "\n" if progress.step == progress.steps else ""
        sys.stderr.write(
            f"\r{progress.stage} {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
            f"{progress.seconds_left:.0f} s left  {end}"
        )
        sys.stderr.flush()

    try:
        voice = train_voice(
            read_folder(options.speech), language=options.language, recipe=getattr(TrainingRecipe, options.recipe)(),
            base=None, seed=options.seed, progress=show, device=options.device,
        )  # fmt: skip
    except (EngineError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    # A voice is somebody's: only its owner may read the file.
    with open(os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(voice)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
