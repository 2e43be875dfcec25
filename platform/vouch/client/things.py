"""What operations return: small values, read from the API's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Voice:
    """A voice of one's own."""

    id: str
    name: str
    language: str
    state: str
    job: str

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Voice:
        return cls(said["id"], said["name"], said["language"], said["state"], said["job"] or "")


@dataclass(frozen=True)
class Recording:
    """A finished recording: marked, labelled, signed. ``label_seconds`` is how long the label before the speech is."""

    id: str
    data: bytes
    media_type: str
    seconds: float
    label_seconds: float
    sha256: str

    def save(self, path: str | Path) -> Path:
        """Writes the file as it is: changing it may destroy its labels."""
        place = Path(path)
        place.write_bytes(self.data)
        return place


@dataclass(frozen=True)
class Link:
    """An address of a recording that works without a key until then. Whoever has it may listen."""

    url: str
    until: str


@dataclass(frozen=True)
class Mask:
    """A mask of one's own voice. ``likeness``: cosine with the voice it covers; ``limit``: from where they count as
    one."""

    id: str
    name: str
    state: str
    likeness: float | None
    limit: float | None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Mask:
        return cls(said["id"], said["name"], said["state"], said["likeness"], said["limit"])


@dataclass(frozen=True)
class Webhook:
    """``secret`` signs what is sent there; it is shown this once."""

    id: str
    url: str
    kinds: tuple[str, ...]
    secret: str


@dataclass(frozen=True)
class Hit:
    """A recording of ours that was found in another one. ``output`` is empty for a mark of no delivered recording."""

    output: str
    state: str
    start_s: float | None
    end_s: float | None
    made_at: str
    consent_state: str

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Hit:
        return cls(
            said.get("output") or "", said.get("output_state") or "", said.get("start_s"), said.get("end_s"),
            said.get("made_at") or "", said.get("consent_state") or "",
        )  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """``verdict``: ours, transplanted, unknown_mark, inconclusive or not_found."""

    id: str
    verdict: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Challenge:
    """Words to be read aloud now. ``expires_at``: by the server's clock."""

    id: str
    words: tuple[str, ...]
    expires_at: str


@dataclass(frozen=True)
class Examination:
    """``verdict``: pass, refuse or inconclusive (record again), with a reason and advice for a person."""

    id: str
    verdict: str
    reason: str
    advice: str

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"
