"""The labelled sentences that the shipped pack is measured on: written by us, in English and Chinese.

    sentences/<label>_<language>.txt          [family] begins a template family; its lines are variants of one idea
    sentences/wide_<label>_<language>.txt     the same, written later, before it was measured: more ploys
    sentences/more_<label>_<language>.txt     the same, for fitting only

Rules are written from the fit half alone. The split is by family, never by sentence, or the held-out half would hold
other wordings of what the rules were written for: within each label and language, families are ordered by a seeded
hash of their names and the first half is the fit half.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

FOLDER: Final = Path(__file__).parent / "sentences"
SEED: Final = "vouch/labelled/1"
FRAUD: Final = "fraud"
INNOCENT: Final = "innocent"
FIRST: Final = "first"
WIDE: Final = "wide"
FITTING_ONLY: Final = "more"

Half = Literal["fit", "held_out"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One sentence. ``fraud``: whether a moderator should see it; ``family`` is unique within its file.

    ``file``: the set it was written in: first, wide or more.
    """

    text: str
    language: str
    fraud: bool
    family: str
    half: Half
    file: str = FIRST


def sentences(folder: Path = FOLDER) -> list[Labelled]:
    """All of them, in the order of the files. Raises ValueError for a line before the first family."""
    found: list[Labelled] = []
    for file in sorted(folder.glob("*_*.txt")):
        *more, label, language = file.stem.split("_")
        set_name = more[0] if more else FIRST
        families = _families(file)
        by_hash = sorted(families, key=lambda name: hashlib.sha256(f"{SEED}/{file.stem}/{name}".encode()).digest())
        fit = set(by_hash if more == [FITTING_ONLY] else by_hash[: len(by_hash) // 2])
        for family, texts in families.items():
            half: Half = "fit" if family in fit else "held_out"
            found.extend(Labelled(text, language, label == FRAUD, family, half, set_name) for text in texts)
    return found


def _families(file: Path) -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    name = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name = line.strip("[]")
            families[name] = []
        elif not name:
            raise ValueError(f"{file.name}: a sentence without a family")
        else:
            families[name].append(line)
    return families
