"""Whose voice is it? Speaker embeddings (Resemblyzer's, see consent.biometrics.speaker) against each speaker's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloning.engine.evaluate.hearing import RATE, at_rate
from cloning.engine.evaluate.source import Speaker
from cloning.engine.features.audio import mono
from consent.biometrics import speaker as biometrics
from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict

#: The embeddings, and the verifier that the platform has.
MODEL = f"resemblyzer, {biometrics.MODEL}"
#: The verifier is asked about pieces of this length, in seconds: what the platform's figures are stated for.
PIECE_SECONDS = 5.0
#: Most recordings that tell who a speaker is.
ENROLLED = 12
#: Silence between two utterances of one piece.
GAP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Speakers as the verifier knows them: name -> embeddings of their recordings of other texts."""

    embeddings: Mapping[str, tuple[np.ndarray, ...]]

    def cosines(self, wave: np.ndarray) -> dict[str, float] | None:
        """Cosine of a wave at RATE to every speaker's mean embedding, None where no speech is found in it."""
        try:
            heard = biometrics.embed(wave, RATE)
        except AudioError:
            return None
        return {name: float(_middle(rows) @ heard) for name, rows in self.embeddings.items()}

    def accepted(self, piece: np.ndarray) -> dict[str, bool]:
        """Does the verifier take the piece for each of the speakers, at the platform's threshold?"""
        verdicts = {}
        for name, rows in self.embeddings.items():
            try:
                verdicts[name] = biometrics.verify(rows, piece, RATE).verdict is Verdict.PASS
            except AudioError:
                verdicts[name] = False
        return verdicts


def _middle(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The mean direction of unit embeddings."""
    mean = np.mean(rows, axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))


def enrol(speakers: Mapping[str, Speaker]) -> Enrolled:
    """Speakers without recordings of other texts are left out."""
    found = {}
    for name, speaker in speakers.items():
        rows = []
        for recording in speaker.others[:ENROLLED]:
            try:
                rows.append(biometrics.embed(at_rate(mono(recording.wave), recording.rate), RATE))
            except AudioError:
                continue
        if rows:
            found[name] = tuple(rows)
    return Enrolled(found)


def pieces(waves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Utterances one after the other, cut into pieces of PIECE_SECONDS; a rest is left out."""
    gap = np.zeros(round(GAP_SECONDS * RATE), np.float32)
    whole = np.concatenate([part for wave in waves for part in (wave, gap)]) if waves else gap[:0]
    length = round(PIECE_SECONDS * RATE)
    return [whole[start : start + length] for start in range(0, len(whole) - length + 1, length)]
