"""Voices from what lies on a disk: a folder with official weight files, or a voice file.

An official voice is a folder with one S1 `.ckpt`, one S2 `.pth` and, if it likes, a `voice.json`:

    {"reference": "ref.wav", "prompt_text": "what it says", "prompt_lang": "zh", "language": "zh",
     "extra_references": ["more.wav"], "overrides": {"en": {"vouch": "V AW1 CH"}}, "version": "v2Pro"}

The `.pth` of a v3 or v4 voice is a whole generator, or a LoRA file. A LoRA file's base is another `.pth` of the folder
that `voice.json` names (`"base": "s2Gv4.pth"`), or lies where upstream keeps it in the models folder.

The folder may come from anybody: every file is bounded, names lead nowhere else, and nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloning.engine.bases import shipped
from cloning.engine.checkpoints import (
    MOST_SEMANTIC_BYTES,
    load_acoustic,
    load_semantic,
    read_bounded,
)
from cloning.engine.config import V2_SYMBOLS, SemanticConfig
from cloning.engine.diffusion_files import (
    MOST_DIFFUSION_BYTES,
    LoadedDiffusion,
    holds_flow,
    is_lora,
    load_diffusion,
    load_lora,
)
from cloning.engine.errors import CheckpointError, EngineError, VoiceFileError
from cloning.engine.features.reference_audio import MOST_BYTES as MOST_REFERENCE_BYTES
from cloning.engine.tts.adapted import from_adapters
from cloning.engine.tts.flow_adapted import on_base
from cloning.engine.tts.request import MODES, MOST_EXTRA_REFERENCES
from cloning.engine.tts.voice import LoadedVoice, Manner, VoiceSource, from_file
from cloning.engine.voicefile import MOST_BYTES, Voice, read

#: What describes an official voice, and its largest size.
DESCRIPTION = "voice.json"
MOST_DESCRIPTION_BYTES = 2**20
#: Most files a voice's folder may hold.
MOST_FILES = 256
#: Where upstream keeps the bases of LoRA files, relative to the models folder.
BASES = {"v3": "s2Gv3.pth", "v4": "gsv-v4-pretrained/s2Gv4.pth"}
#: Endings of a voice file in a folder.
FILE_ENDINGS = (".voice", ".safetensors")

#: One official voice is read at a time: reading needs several times the memory that the voice needs afterwards.
_READING = threading.Lock()
_KNOWN = {"base", "reference", "extra_references", "prompt_text", "prompt_lang", "language", "overrides", "version"}


@dataclass(frozen=True, slots=True)
class OfficialFolder:
    """The source of an official voice. `models`: the models folder, for the base of a LoRA file."""

    folder: Path
    models: Path | None = None

    def key(self) -> str:
        """Names, sizes and times of the folder's files and the bases it may stand on: a replaced file is another
        voice."""
        places = [] if self.models is None else [self.models / name for name in BASES.values()]
        return _stamp("official", [*_files(self.folder), *(place for place in places if place.is_file())])

    def load(self) -> LoadedVoice:
        """Reads and checks everything. Raises VoiceFileError and CheckpointError."""
        return load_folder(self.folder, self.models)

    def language(self) -> str:
        """What the voice's description says it speaks, "" when it does not. Raises VoiceFileError."""
        return str(_description(self.folder, _files(self.folder)).get("language", ""))


@dataclass(frozen=True, slots=True)
class VoiceFile:
    """The source of a voice file. `bases`: what finds the base that a voice of adapters stands on, by its digest."""

    path: Path
    bases: Callable[[str], Voice | None] = shipped

    def key(self) -> str:
        return _stamp("file", [self.path])

    def load(self) -> LoadedVoice:
        """Raises VoiceFileError."""
        voice = read(_read(self.path, MOST_BYTES))
        return from_file(voice) if isinstance(voice, Voice) else from_adapters(voice, self.bases)


def source(path: Path, bases: Callable[[str], Voice | None] = shipped, models: Path | None = None) -> VoiceSource:
    """What lies at `path`: a voice file, a folder that holds one, or an official folder. Raises VoiceFileError.

    bases: see `VoiceFile`. models: see `OfficialFolder`.
    """
    if not path.is_dir():
        if not path.is_file():
            raise VoiceFileError("no_voice", "there is no voice of that name")
        return VoiceFile(path, bases)
    files = _files(path)
    if any(file.suffix in (".ckpt", ".pth") for file in files):
        return OfficialFolder(path, models)
    return VoiceFile(_only(files, FILE_ENDINGS, "voice file"), bases)


def load_folder(folder: Path, models: Path | None = None) -> LoadedVoice:
    """An official folder -> voice. Raises VoiceFileError (folder, description, parts that do not belong together) and
    CheckpointError (weight files; `needs_base` for a LoRA file whose base is nowhere)."""
    files = _files(folder)
    description = _description(folder, files)
    base_path = _named_base(files, description)
    generators = [file for file in files if file != base_path]
    semantic_path, acoustic_path = _only(files, (".ckpt",), "S1 `.ckpt`"), _only(generators, (".pth",), "S2 `.pth`")
    manner = _manner(folder, files, description)
    with _READING:
        data = _read(acoustic_path, MOST_DIFFUSION_BYTES)
        if is_lora(data):
            return _adapted(data, semantic_path, base_path, models, description, manner)
        if base_path is not None:
            raise VoiceFileError("wrong_folder", f"{DESCRIPTION} names a base, but the S2 file is not a LoRA file")
        acoustic = load_diffusion(data) if holds_flow(data) else load_acoustic(data)
        identity = hashlib.sha256(data).hexdigest()
        data = _read(semantic_path, MOST_SEMANTIC_BYTES)
        semantic, semantic_identity = load_semantic(data), hashlib.sha256(data).hexdigest()
        del data
    wanted = description.get("version", acoustic.version)
    if wanted != acoustic.version:
        raise VoiceFileError("wrong_version", f"{DESCRIPTION} says {wanted!s:.20}, the S2 file is {acoustic.version}")
    encoders = acoustic.config.acoustic if isinstance(acoustic, LoadedDiffusion) else acoustic.config
    if semantic.config.phonemes < encoders.phonemes or (acoustic.version == "v1") != _first(semantic.config):
        raise VoiceFileError(
            "wrong_version",
            f"the S1 file knows {semantic.config.phonemes} symbols, which does not go with {acoustic.version}",
        )
    if semantic.config.codes != encoders.codes:
        raise VoiceFileError("wrong_version", "the S1 and the S2 file have codebooks of different sizes")
    return LoadedVoice(
        version=acoustic.version,
        identity=identity,
        semantic_identity=semantic_identity,
        semantic=semantic.model.requires_grad_(False),
        semantic_config=semantic.config,
        acoustic=acoustic.model,
        manner=manner,
    )


def _named_base(files: list[Path], description: Mapping[str, Any]) -> Path | None:
    """The base that the description names, a file of the folder."""
    name = description.get("base")
    if name is None:
        return None
    path = next((file for file in files if file.name == name and file.suffix == ".pth"), None)
    if path is None:
        raise _bad(f"names the base {str(name)[:80]!r}, which is not in the folder")
    return path


def _adapted(
    data: bytes,
    semantic_path: Path,
    base_path: Path | None,
    models: Path | None,
    description: Mapping[str, Any],
    manner: Manner,
) -> LoadedVoice:
    """A voice of a LoRA file. Its base is read when nobody else stands on it."""
    lora = load_lora(data)
    wanted = description.get("version", lora.version)
    if wanted != lora.version:
        raise VoiceFileError("wrong_version", f"{DESCRIPTION} says {wanted!s:.20}, the S2 file is {lora.version}")
    place = base_path
    if place is None and models is not None and (models / BASES[lora.version]).is_file():
        place = models / BASES[lora.version]
    if place is None:
        raise CheckpointError(
            "needs_base", f"a {lora.version} LoRA file speaks only beside its base ({BASES[lora.version]})"
        )
    data = _read(semantic_path, MOST_SEMANTIC_BYTES)
    semantic, semantic_identity = load_semantic(data), hashlib.sha256(data).hexdigest()
    if _first(semantic.config):
        raise VoiceFileError("wrong_version", f"this S1 file does not go with {lora.version}")
    return on_base(lora, place, _stamp("base", [place]), semantic, semantic_identity, manner)


def _first(config: SemanticConfig) -> bool:
    """S1 files of v1 have 512 rows of symbols, all later ones 732."""
    return config.phonemes < V2_SYMBOLS


def _files(folder: Path) -> list[Path]:
    """The folder's files in order of their names. Links may not lead out of the folder."""
    try:
        home = folder.resolve(strict=True)
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise VoiceFileError("no_voice", "the voice's folder cannot be read") from error
    if len(entries) > MOST_FILES:
        raise VoiceFileError("wrong_folder", f"the voice's folder holds more than {MOST_FILES} files")
    files = []
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(home):
            raise VoiceFileError("wrong_folder", f"{entry.name[:80]} is a link that leads out of the folder")
        if entry.is_file():
            files.append(entry)
    return files


def _only(files: list[Path], endings: tuple[str, ...], what: str) -> Path:
    found = [file for file in files if file.suffix in endings]
    if len(found) != 1:
        raise VoiceFileError("wrong_folder", f"the folder must hold exactly one {what}; there are {len(found)}")
    return found[0]


def _stamp(kind: str, files: list[Path]) -> str:
    try:
        parts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise VoiceFileError("no_voice", "the voice cannot be read") from error
    return hashlib.sha256(repr((kind, parts)).encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path, most: int) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise VoiceFileError("no_voice", f"{path.name[:80]} cannot be read") from error


def _description(folder: Path, files: list[Path]) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if path not in files:
        return {}
    try:
        description = json.loads(_read(path, MOST_DESCRIPTION_BYTES))
    except (ValueError, RecursionError) as error:
        raise _bad("is not readable JSON") from error
    if not isinstance(description, dict):
        raise _bad("does not hold an object")
    unknown = sorted(set(description) - _KNOWN)
    if unknown:
        raise _bad(f"has unknown entries: {', '.join(unknown)[:120]}")
    for name in ("reference", "prompt_text", "prompt_lang", "language", "version"):
        if not isinstance(description.get(name, ""), str):
            raise _bad(f"`{name}` must be text")
    for name in ("prompt_lang", "language"):
        if description.get(name, "") not in ("", *MODES):
            raise _bad(f"`{name}` must be one of {', '.join(MODES)}")
    return description


def _manner(folder: Path, files: list[Path], description: Mapping[str, Any]) -> Manner:
    extra = description.get("extra_references", [])
    if not isinstance(extra, list) or len(extra) > MOST_EXTRA_REFERENCES:
        raise _bad(f"`extra_references` must be a list of at most {MOST_EXTRA_REFERENCES} names")
    prompt, reference = description.get("prompt_text", ""), description.get("reference", "")
    if prompt and not (reference and description.get("prompt_lang")):
        raise _bad("`prompt_text` needs `reference` and `prompt_lang`")
    if extra and not reference:
        raise _bad("`extra_references` need a `reference`")
    return Manner(
        reference=_recording(folder, files, reference) if reference else None,
        extra=tuple(_recording(folder, files, name) for name in extra),
        prompt_text=prompt,
        prompt_lang=description.get("prompt_lang", ""),
        language=description.get("language", ""),
        overrides=_overrides(description.get("overrides", {})),
    )


def _recording(folder: Path, files: list[Path], name: object) -> bytes:
    """A file of the folder by its plain name."""
    path = next((file for file in files if file.name == name), None)
    if path is None:
        raise _bad(f"names the recording {str(name)[:80]!r}, which is not in the folder")
    if path.stat().st_size > MOST_REFERENCE_BYTES:
        raise VoiceFileError("too_large", f"a reference has at most {MOST_REFERENCE_BYTES} bytes")
    return _read(path, MOST_REFERENCE_BYTES)


def _overrides(value: object) -> dict[str, dict[str, str]]:
    """Shape only; words and phones are checked where they are used."""
    if not isinstance(value, dict):
        raise _bad("`overrides` must be an object")
    for words in value.values():
        if not isinstance(words, dict) or not all(isinstance(phones, str) for phones in words.values()):
            raise _bad("`overrides` must hold, for a language, words and their phones as text")
    return value


def _bad(sentence: str) -> EngineError:
    return VoiceFileError("bad_description", f"{DESCRIPTION} {sentence}")
