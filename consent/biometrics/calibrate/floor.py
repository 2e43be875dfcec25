"""``python -m consent.biometrics.calibrate.floor --speech FOLDER``: what `speaker.FLOOR` costs people.

A live answer of 8 s and training speech of 12, 25 and 45 s by everybody of the corpus, the training speech in several
conditions and cut to each length; whoever passes by the calibration alone is counted, and whoever passes with the floor
as well. A line for each condition and length.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from consent.biometrics import calibration, speaker
from consent.biometrics.audio import MODEL_RATE, AudioError
from consent.biometrics.calibrate import clips, corpus
from consent.biometrics.calibration import centroid
from consent.biometrics.encoders import builtin

CONDITIONS: Final = ("clean", "noise 20 dB", "room 0.3 s")
ANSWER_SECONDS, UPLOAD_SECONDS, SESSION_SECONDS = 8.0, (12.0, 25.0, 45.0), 110.0
ANSWERS, UPLOADS = 2, 2
#: Windows of an upload that are looked at together: 4.5, 9 and 27 s of speech.
WINDOWS: Final = (2, 5, 17)
HEAD: Final = (
    "| condition | seconds | own speech that passes: by the calibration / with the floor, % | speech of others |\n"
    "|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Spoken:
    """One voice: embeddings of live answers (n, d); by condition the windows of each upload, (windows, d)."""

    voice: corpus.Voice
    answers: np.ndarray
    uploads: dict[str, list[np.ndarray]]


def seconds(windows: int) -> float:
    """Net speech that so many windows cover."""
    return speaker.WINDOW_SECONDS + (windows - 1) * speaker.WINDOW_STEP


def heard(voice: corpus.Voice) -> Spoken | None:
    """What the gate would hear of a voice; None for one with too little speech."""
    seed = zlib.crc32(voice.name.encode())
    shelf = clips.shelf(voice)
    answers = clips.recordings(shelf.enrol, ANSWER_SECONDS, ANSWERS, np.random.default_rng(seed))
    if not answers:
        return None
    uploads: dict[str, list[np.ndarray]] = {name: [] for name in CONDITIONS}
    for length in UPLOAD_SECONDS:
        for wave in clips.recordings(shelf.test, length, UPLOADS, np.random.default_rng(seed + 1)):
            for name in CONDITIONS:
                try:
                    found = speaker.windows(clips.CONDITIONS[name](wave, seed % 100_000), MODEL_RATE)
                except AudioError:
                    continue
                if found:
                    uploads[name].append(np.stack([part for _, _, part in found]))
    embedded = np.stack([speaker.embed(wave, MODEL_RATE) for wave in answers])
    return Spoken(voice, embedded, uploads)


def trials(people: Sequence[Spoken], condition: str, windows: int) -> np.ndarray:
    """Every answer beside every upload of so many windows, rows of: 1 for one voice or 0, cosine above the threshold of
    the calibration, raw cosine. (rows, 3)"""
    scale = calibration.load(builtin())
    limit = speaker.threshold_cosine(seconds(windows))
    rows = []
    for tested in people:
        others = [one for one in people if one is tested or corpus.impostors(one.voice, tested.voice)]
        answers = np.concatenate([one.answers for one in others])
        same = np.concatenate([np.full(len(one.answers), float(one is tested)) for one in others])
        known = scale.cleaned(answers)
        for upload in tested.uploads[condition]:
            for begin in range(0, len(upload) - windows + 1, max(windows, 4)):
                parts = upload[begin : begin + windows]
                likeness = known @ centroid(list(scale.cleaned(parts)))
                rows.append(np.stack((same, likeness - limit, answers @ centroid(list(parts))), 1))
    return np.concatenate(rows) if rows else np.zeros((0, 3))


def line(condition: str, windows: int, found: np.ndarray) -> str:
    """A row of the table: what passes of own and of other speech, by the calibration alone and with the floor, in %."""
    own, passed = found[:, 0] == 1, found[:, 1] >= 0
    held = passed & (found[:, 2] >= speaker.floor(seconds(windows)))
    shares = " | ".join(
        f"{kind.sum()}: {100 * passed[kind].mean():.2f} / {100 * held[kind].mean():.2f}" if kind.any() else "none"
        for kind in (own, ~own)
    )
    return f"| {condition} | {seconds(windows):g} | {shares} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the speech is not there (said on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m consent.biometrics.calibrate.floor", description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the packages of `calibrate`, unpacked")
    options = parser.parse_args(arguments)
    try:
        voices = corpus.load(options.speech, session_seconds=SESSION_SECONDS)
    except corpus.CorpusMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    people = [spoken for voice in voices if (spoken := heard(voice)) is not None]
    sys.stdout.write(HEAD)
    for condition in CONDITIONS:
        for windows in WINDOWS:
            sys.stdout.write(line(condition, windows, trials(people, condition, windows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
