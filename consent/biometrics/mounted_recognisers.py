"""Speech recognisers that a deployment mounts for languages other than English.

A folder holds one sub-folder a language (its code: ``zh``, ``ja``, ``de``), each with

* ``vocabulary.txt``: at least 1,024 different challenge words, one a line, none contained in another;
* ``recogniser.json``: ``{"runtime": "sherpa-onnx", "kind": "paraformer", "files": {"paraformer": "model.onnx",
  "tokens": "tokens.txt"}}`` or ``{"runtime": "faster-whisper"}`` with the converted model beside it.

The runtimes are not dependencies of the platform: a folder whose runtime is not installed is refused by name. Nothing
is downloaded. A recogniser writes down freely what it hears and is never told the expected words; what it writes is
then read as words of the vocabulary, and anything between them counts as one other word.
"""

from __future__ import annotations

import importlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.words import MIN_VOCABULARY

#: What stands for speech that is no word of the vocabulary.
OTHER: Final = "?"
#: Largest description and vocabulary file, in bytes.
MAX_FILE: Final = 1_000_000
#: sherpa-onnx constructors that take a whole utterance, with the files each needs.
SHERPA_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "paraformer": frozenset({"paraformer", "tokens"}),
    "transducer": frozenset({"encoder", "decoder", "joiner", "tokens"}),
    "sense_voice": frozenset({"model", "tokens"}),
    "zipformer_ctc": frozenset({"model", "tokens"}),
}
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_NOT_LETTERS: Final = re.compile(r"[\W\d_]+")

Transcribe = Callable[[np.ndarray], str]


class RecogniserMissing(RuntimeError):
    """A language cannot be recognised here. ``code``: `no_recogniser built_in no_folder no_runtime bad_folder`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class MountedRecogniser:
    """One language: its vocabulary (sorted), the name of what listens, and the listening itself."""

    language: str
    model: str
    vocabulary: tuple[str, ...]
    transcribe: Transcribe

    def recognise(self, sound: np.ndarray) -> list[str]:
        """Words heard in 16 kHz sound float32 (samples,), in order; OTHER for what is no word of the vocabulary."""
        return read_words(self.transcribe(sound), self.vocabulary)


def load(folder: Path) -> dict[str, MountedRecogniser]:
    """Every language of a folder. Raises RecogniserMissing for the first one that cannot be used."""
    if not folder.is_dir():
        raise RecogniserMissing("no_folder", f"{folder} is not a folder")
    places = sorted(place for place in folder.iterdir() if place.is_dir())
    return {place.name: _one(place) for place in places}


def read_words(text: str, vocabulary: tuple[str, ...]) -> list[str]:
    """A transcript as vocabulary words, longest first at every place; each stretch of anything else becomes OTHER.

    Spaces and punctuation are not looked at: languages without spaces need no segmenter.
    """
    known = {_letters(word): word for word in vocabulary}
    longest = max(map(len, known), default=0)
    letters, found, place = _letters(text), [], 0
    while place < len(letters):
        for size in range(min(longest, len(letters) - place), 0, -1):
            word = known.get(letters[place : place + size])
            if word is not None:
                found.append(word)
                place += size
                break
        else:
            if not found or found[-1] != OTHER:
                found.append(OTHER)
            place += 1
    return found


def _letters(text: str) -> str:
    return _NOT_LETTERS.sub("", text.casefold())


def _one(place: Path) -> MountedRecogniser:
    if not _LANGUAGE.fullmatch(place.name):
        raise RecogniserMissing("bad_folder", f"{place.name!r} is not a language code")
    words = tuple(sorted(set(_text(place / "vocabulary.txt").split())))
    if len(words) < MIN_VOCABULARY:
        raise RecogniserMissing("bad_folder", f"{place.name}: {len(words)} words, at least {MIN_VOCABULARY} are needed")
    if len({_letters(word) for word in words} - {""}) < len(words):
        raise RecogniserMissing("bad_folder", f"{place.name}: two words are written with the same letters")
    try:
        about = json.loads(_text(place / "recogniser.json"))
    except ValueError as error:
        raise RecogniserMissing("bad_folder", f"{place.name}: recogniser.json is not JSON") from error
    runtime = about.get("runtime") if isinstance(about, dict) else None
    if runtime == "sherpa-onnx":
        version, transcribe = _sherpa(place, about)
    elif runtime == "faster-whisper":
        version, transcribe = _whisper(place)
    else:
        raise RecogniserMissing("bad_folder", f"{place.name}: the runtime is sherpa-onnx or faster-whisper")
    return MountedRecogniser(place.name, f"{runtime}-{version}/{place.name}", words, transcribe)


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > MAX_FILE:
        raise RecogniserMissing("bad_folder", f"{path} is missing or larger than {MAX_FILE} bytes")
    return path.read_text(encoding="utf-8")


def _runtime(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RecogniserMissing("no_runtime", f"the package {package} is not installed") from error


def _sherpa(place: Path, about: Mapping[str, Any]) -> tuple[str, Transcribe]:
    kind, files = str(about.get("kind")), about.get("files")
    if kind not in SHERPA_KINDS or not isinstance(files, dict) or set(files) != SHERPA_KINDS[kind]:
        raise RecogniserMissing("bad_folder", f"{place.name}: 'kind' and 'files' do not describe a sherpa-onnx model")
    paths = {}
    for name, file in files.items():
        path = place / str(file)
        # A name that leads out of the folder is refused, links included.
        if not path.is_file() or place.resolve() not in path.resolve().parents:
            raise RecogniserMissing("bad_folder", f"{place.name}: the file {file!r} is not in the folder")
        paths[name] = str(path)
    sherpa_onnx = _runtime("sherpa_onnx", "sherpa-onnx")
    recogniser = getattr(sherpa_onnx.OfflineRecognizer, f"from_{kind}")(**paths, num_threads=1)
    lock = threading.Lock()

    def transcribe(sound: np.ndarray) -> str:
        with lock:
            stream = recogniser.create_stream()
            stream.accept_waveform(MODEL_RATE, np.ascontiguousarray(sound, dtype=np.float32))
            recogniser.decode_stream(stream)
            return str(stream.result.text)

    return str(getattr(sherpa_onnx, "__version__", "?")), transcribe


def _whisper(place: Path) -> tuple[str, Transcribe]:
    faster_whisper = _runtime("faster_whisper", "faster-whisper")
    model = faster_whisper.WhisperModel(
        str(place), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    lock = threading.Lock()

    def transcribe(sound: np.ndarray) -> str:
        with lock:
            # One temperature and no memory of earlier text: what was heard, not what would be likely.
            segments, _ = model.transcribe(
                np.ascontiguousarray(sound, dtype=np.float32), language=place.name, beam_size=5, temperature=0.0,
                condition_on_previous_text=False,
            )  # fmt: skip
            return " ".join(segment.text for segment in segments)

    return str(getattr(faster_whisper, "__version__", "?")), transcribe
