"""What can be told of a found recording beside its marks: what file it is, which labels it carries, and by which method
it was searched. Reads bytes and waves only; nothing here knows whose they are."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from watermark import codec
from watermark.labels import aigc

OUTLINE_POINTS: Final = 400
"""Points of the outline that a moderator sees. 400 peaks say where there is sound, and nothing of what is said."""

_MAGIC: Final = (
    (b"RIFF", "wav"), (b"RF64", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"),
    (b"\x1aE\xdf\xa3", "webm"),
)  # fmt: skip
_NAMED_SO: Final = {"wav": "wav", "flac": "flac", "mp3": "mp3", "opus": "opus", "m4a": "m4a"}


def form_of(data: bytes) -> str:
    """What the first bytes say: wav, flac, mp3, opus, vorbis, m4a, webm or "unknown"."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            if name == "ogg":
                return "opus" if b"OpusHead" in data[:64] else "vorbis"
            return name
    if data[4:8] == b"ftyp":
        return "m4a"
    return "mp3" if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 else "unknown"


def metadata_label(data: bytes) -> str:
    """The AIGC label in a file's metadata: "present", "several", "damaged", "none"; "unreadable" for others."""
    container = _NAMED_SO.get(form_of(data))
    if container is None:
        return "unreadable"
    try:
        aigc.read_label(data, container)
    except aigc.NoLabel:
        return "none"
    except aigc.DuplicateLabel:
        return "several"
    except (ValueError, KeyError, EOFError):
        return "damaged"
    return "present"


def outline(wave: NDArray[np.floating]) -> list[int]:
    """Peaks of ``wave`` (samples,) in at most OUTLINE_POINTS equal parts, in hundredths of the top; [] for silence."""
    size = np.abs(np.asarray(wave, np.float32))
    top = float(size.max(initial=0.0))
    if top == 0.0:
        return []
    peaks = [part.max() for part in np.array_split(size, min(OUTLINE_POINTS, len(size)))]
    return [round(100 * float(peak) / top) for peak in peaks]


@lru_cache(maxsize=1)
def method() -> dict[str, Any]:
    """The detector's name and version: the release, and a digest of its code and of its learned weights."""
    folder = Path(codec.__file__).parent
    code, weights = hashlib.sha256(), hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        code.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in sorted((folder / "weights").iterdir()):
        if path.is_file():
            weights.update(path.name.encode() + b"\0" + path.read_bytes())
    return {
        "name": "Vouch 48-bit keyed watermark, statistic tau, bounds of Hoeffding and Bentkus-Dzindzalieta",
        "release": metadata.version("vouch"),
        "code_sha256": code.hexdigest(),
        "weights_sha256": weights.hexdigest(),
    }
