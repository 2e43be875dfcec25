"""From voices to numbers: every test recording in every condition, embedded and measured as the gate itself does it.

One file a voice in the cache folder, so that an interrupted run goes on where it stopped. The cache holds embeddings of
persons: it is for one's own machine and never for a repository.
"""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from consent.biometrics import condition, speech
from consent.biometrics.audio import MODEL_RATE, AudioError
from consent.biometrics.calibrate import clips, corpus
from consent.biometrics.encoders import Encoder, builtin, mount
from consent.biometrics.measures import measure

#: Prompt seconds a session is read for; of one recording; enrolments and tests of a voice.
SESSION_SECONDS: Final = 110.0
RECORDING_SECONDS: Final = 10.0
ENROLMENTS: Final = 2
TESTS: Final = 3
#: Seconds of speech at which a test is judged: fewer where a codec does no harm.
LENGTHS: Final = (1.0, 2.0, 3.0, 5.0, 10.0)
FULL: Final = {
    "clean": LENGTHS,
    "noise 20 dB": (3.0, 5.0, 10.0),
    **dict.fromkeys(("noise 10 dB", "room 0.6 s", "telephone"), (3.0, 10.0)),
}
OTHERS: Final = (5.0,)
WINDOW: Final = 3.0
#: Ratios the noise measure is tried at, and the ratio a recording must have without added noise, dB.
SNRS: Final = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
QUIET_DB: Final = 38.0


@dataclass(frozen=True)
class Measured:
    """One voice. ``enrol`` (n, d); ``enrol_facts`` and ``facts``: rows of `condition.NAMES`; ``rows``: one per test:
    recording, condition index, seconds asked for, SNR and reverberation of `measures` (nan: unmeasured, or not
    the first recording)."""

    name: str
    person: str
    family: str
    gender: str
    apart: bool
    enrol: np.ndarray
    enrol_short: np.ndarray
    enrol_facts: np.ndarray
    rows: np.ndarray
    embeddings: np.ndarray
    facts: np.ndarray
    windows: np.ndarray
    #: Rows: SNR in dB of noise added to a quiet recording, and what `measures` read.
    snr: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))


def measure_voice(voice: corpus.Voice, encoder: Encoder) -> Measured:
    """Enrol, test and degrade one voice; the same voice always gives the same numbers."""
    seed = zlib.crc32(voice.name.encode())
    rng = np.random.default_rng(seed)
    shelf = clips.shelf(voice)
    enrolments = clips.recordings(shelf.enrol, RECORDING_SECONDS, ENROLMENTS, rng)
    spare = shelf.test if enrolments else shelf.enrol + shelf.test
    tests = clips.recordings(spare, RECORDING_SECONDS, TESTS, rng) or clips.recordings(spare, 5.0, 1, rng)
    enrol, short, enrol_facts = [], [], []
    for wave in enrolments:
        sound, _, net = speech.spoken(wave)
        enrol.append(encoder.embed(sound))
        short.append(encoder.embed(sound[: 5 * MODEL_RATE]))
        enrol_facts.append(condition.facts(sound, net))
    rows, embeddings, facts, windows = [], [], [], []
    for number, test in enumerate(tests):
        for index, (name, degrade) in enumerate(clips.CONDITIONS.items()):
            wave = degrade(test, seed % 100_000 + number)
            try:
                sound, _, net = speech.spoken(wave)
            except AudioError:
                continue
            if number == 0:
                found = measure(wave, MODEL_RATE)
                measured = [np.nan if one is None else one for one in (found.snr_db, found.reverberation)]
            else:
                measured = [np.nan, np.nan]
            for seconds in FULL.get(name, OTHERS):
                part = sound if seconds == RECORDING_SECONDS else sound[: int(seconds * MODEL_RATE)]
                if part.size < 0.6 * seconds * MODEL_RATE:
                    continue
                rows.append((number, index, seconds, *measured))
                embeddings.append(encoder.embed(part))
                facts.append(condition.facts(part, net * part.size / sound.size))
            if name == "clean":
                starts = range(0, sound.size - int(WINDOW * MODEL_RATE) + 1, int(WINDOW * MODEL_RATE))
                cut = [encoder.embed(sound[start : start + int(WINDOW * MODEL_RATE)]) for start in starts][:3]
                windows.append(np.stack(cut) if len(cut) == 3 else np.zeros((3, encoder.dimensions), np.float32))

    def stacked(parts: list, width: int) -> np.ndarray:
        return np.asarray(parts, dtype=np.float32).reshape(-1, width)

    width, names = encoder.dimensions, len(condition.NAMES)
    return Measured(
        name=voice.name,
        person=voice.person,
        family=voice.family,
        gender=voice.gender,
        apart=shelf.apart,
        enrol=stacked(enrol, width),
        enrol_short=stacked(short, width),
        enrol_facts=stacked(enrol_facts, names),
        rows=stacked(rows, 5),
        embeddings=stacked(embeddings, width),
        facts=stacked(facts, names),
        windows=np.asarray(windows, dtype=np.float32).reshape(-1, 3, width),
        snr=snr_readings(tests[0], seed % 100_000) if tests else stacked([], 2),
    )


def snr_readings(wave: np.ndarray, seed: int) -> np.ndarray:
    """Noise of known strength added to a quiet recording: (levels, 2), the truth and the reading, in dB.

    The truth is the power of the frames that are speech in the quiet recording over the power of the noise added. Empty
    for a recording that has noise of its own.
    """
    own = measure(wave, MODEL_RATE).snr_db
    if own is None or own < QUIET_DB:
        return np.zeros((0, 2), np.float32)
    spoken = np.repeat(speech.frame_mask(wave), speech.FRAME)[: wave.size]
    level = 10.0 * np.log10(np.mean(wave[spoken].astype(np.float64) ** 2))
    rows = []
    for truth in SNRS:
        noisy = clips.noisy(wave, clips.SPEECH_DBFS - level + truth, seed)
        rows.append((truth, measure(noisy, MODEL_RATE).snr_db))
    return np.array([row for row in rows if row[1] is not None], dtype=np.float32).reshape(-1, 2)


def collect(folder: Path, cache: Path, *, mounted: Path | None = None, jobs: int = 1) -> list[Measured]:
    """Measure every voice of the corpus, or read it from the cache. Raises CorpusMissing."""
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = [source.name for source in corpus.SOURCES]
    work = partial(_one, folder, cache, mounted)
    if jobs == 1:
        found = [work(name) for name in names]
    else:
        with ProcessPoolExecutor(jobs) as pool:
            found = list(pool.map(work, names))
    return [one for one in found if one is not None and len(one.rows)]


def _one(folder: Path, cache: Path, mounted: Path | None, name: str) -> Measured | None:
    import torch

    torch.set_num_threads(1)
    encoder = mount(mounted) if mounted else builtin()
    kind = hashlib.sha256(f"{encoder.model}{encoder.digest}{condition.VERSION}".encode()).hexdigest()[:12]
    path = cache / f"{name}-{kind}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            scalars = {key: stored[key].item() for key in ("name", "person", "family", "gender", "apart")}
            arrays = {key: stored[key] for key in stored.files if key not in scalars}
            return Measured(**scalars, **arrays)
    voices = corpus.load(folder, session_seconds=SESSION_SECONDS, only=[name])
    if not voices:
        return None
    made = measure_voice(voices[0], encoder)
    arrays = {key: np.asarray(value) for key, value in vars(made).items()}
    np.savez(path, allow_pickle=False, **arrays)
    return made
