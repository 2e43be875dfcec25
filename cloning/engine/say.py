"""`python -m cloning.engine.say --voice FILE --text TEXT --out FILE.wav`: hear a voice file without the platform.

Writes 16-bit mono. The sound carries no watermark and no label: this is the bare engine, for work on the engine.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

import numpy as np
import soundfile

from cloning.engine.checkpoints import read_bounded
from cloning.engine.errors import EngineError
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.voicefile import MOST_BYTES, unpack

#: Largest 16-bit value; multiplied and rounded, so that full scale cannot wrap.
FULL_SCALE = 32767


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 said, 1 refused (the reason is on stderr)."""
    parser = argparse.ArgumentParser(prog="cloning.engine.say", description="Say a text with a voice file.")
    parser.add_argument("--voice", type=Path, required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same sound; drawn if absent")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    try:
        voice = unpack(read_bounded(options.voice, MOST_BYTES))
        request = SpeechRequest(text=options.text, seed=seed, language=options.language, speed=options.speed)
        speech = synthesise(voice, request, device=options.device)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    soundfile.write(options.out, np.rint(speech.pcm * FULL_SCALE).astype(np.int16), speech.rate, subtype="PCM_16")
    sys.stdout.write(f"{options.out}: {speech.seconds:.2f} s at {speech.rate} Hz, seed {seed}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
