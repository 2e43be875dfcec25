"""The tool's own files: a small set beside the tests, and the whole set where it is on the machine."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watermark.codec.audiowmark import Key

DATA = Path(__file__).parent / "data"
FOLDER = Path(__file__).resolve().parents[5] / "shared" / "fixtures" / "audiowmark"
needs_folder = pytest.mark.skipif(not FOLDER.is_dir(), reason="the audiowmark fixtures are not on this machine")

VECTORS = json.loads((DATA / "vectors.json").read_text())
FILES = json.loads((FOLDER / "MANIFEST.json").read_text())["files"] if FOLDER.is_dir() else []
MARKED = {file["file"]: file for file in FILES if file["role"] == "marked"}
CUTS = json.loads((FOLDER / "cuts.json").read_text()) if FOLDER.is_dir() else []

FIRST_20S_KEY = Key.numbered(42)
FIRST_20S_MESSAGE = bytes.fromhex("c65e092152bef29077b76997669dd631")


def key(text: str) -> Key:
    return Key(bytes.fromhex(text))


def sound(path: Path, *, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """(channels, samples) or (samples,) as float64, and the rate."""
    wave, rate = soundfile.read(path, start=start, frames=frames, dtype="float64")
    return wave.T, rate


def lsb(wave: np.ndarray) -> np.ndarray:
    return np.round(wave * 32768).astype(int)
