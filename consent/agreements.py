"""The texts people agree to. A version never changes: its SHA-256 is pinned in the index and checked when it is read.

A new wording is a new file with a new version; an old one stays readable for the consents that rest on it, with
``offered`` set to false.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from consent.errors import TextUnknown

FOLDER: Final = Path(__file__).parent / "texts"
CONSENT, BIOMETRIC = "consent", "biometric"
REPRESENTED, UNMEASURED = "represented", "unmeasured"
"""Consent texts for the two ways by hand: a representative's, and one without a comparison of voices."""


class TextChanged(RuntimeError):
    """A text on disk is not the text that was published under its version."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One text in one version. ``kind`` is ``consent``, ``biometric``, ``represented`` or ``unmeasured``."""

    version: str
    kind: str
    language: str
    offered: bool
    sha256: str
    text: str


@lru_cache(maxsize=1)
def agreements() -> tuple[Agreement, ...]:
    """Every text, checked against its pinned hash. Raises TextChanged."""
    found = []
    for row in json.loads((FOLDER / "index.json").read_text()):
        content = (FOLDER / row["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            raise TextChanged(row["file"])
        found.append(
            Agreement(row["version"], row["kind"], row["language"], row["offered"], row["sha256"], content.decode())
        )
    return tuple(found)


def offered(version: str, *, kind: str = CONSENT) -> Agreement:
    """The text of this version. Raises TextUnknown when there is none of its kind, or it is not on offer any more."""
    for agreement in agreements():
        if agreement.kind == kind and agreement.version == version and agreement.offered:
            return agreement
    raise TextUnknown


def release_for(language: str) -> Agreement:
    """The biometric release on offer in this language. Raises TextUnknown."""
    for agreement in agreements():
        if agreement.kind == BIOMETRIC and agreement.language == language and agreement.offered:
            return agreement
    raise TextUnknown
