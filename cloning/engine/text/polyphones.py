"""Readings of Mandarin characters by their context: the G2PW model, when an operator mounts it.

The folder is the official G2PWModel (Chen et al. 2022, "g2pW: A Conditional Weighted Softmax BERT for Polyphone
Disambiguation in Mandarin"): `g2pW.onnx`, `POLYPHONIC_CHARS.txt`, `MONOPHONIC_CHARS.txt`,
`bopomofo_to_pinyin_wo_tune_dict.json`, and `vocab.txt` of its BERT (here or in a folder of its own). Upstream's
corrections of single words are `data/mandarin_polyphonic.txt` (its `polyphonic.rep`) and, when they lie in the folder,
`polyphonic.rep` and the long `polyphonic-fix.rep`. Without a folder Mandarin is read by dictionary, which is what
`available` tells. Nothing in the folder is executed.
"""

from __future__ import annotations

import ast
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from cloning.engine.errors import CheckpointError
from cloning.engine.text.chinese_normalise import simplify
from cloning.engine.text.mandarin_syllables import dictionary, syllables

_MODEL = "g2pW.onnx"
_POLYPHONIC, _MONOPHONIC = "POLYPHONIC_CHARS.txt", "MONOPHONIC_CHARS.txt"
_BOPOMOFO = "bopomofo_to_pinyin_wo_tune_dict.json"
_VOCABULARY, _CONFIG = "vocab.txt", "config.py"
_NEEDED = (_MODEL, _POLYPHONIC, _MONOPHONIC, _BOPOMOFO)
_CORRECTIONS = ("polyphonic.rep", "polyphonic-fix.rep")
_MOST_MODEL_BYTES = 2 << 30
_MOST_TABLE_BYTES = 16 << 20
#: Positions of the BERT inside, [CLS] and [SEP] included.
_LONGEST = 512
#: Rows of one call; a row is a sentence seen from one character.
_ROWS = 32
#: Characters that upstream leaves to the dictionary although the model knows them.
_NOT_POLYPHONIC = frozenset("一不和咋嗲剖差攢倒難奔勁拗肖瘙誒泊听噢")
_NOT_MONOPHONIC = frozenset("似攢")
_CORRECTION = re.compile(r"\s*([^:\s]+)\s*:\s*\[([^\]]*)\]\s*")


def available(folder: Path | None, vocabulary: Path | None = None) -> str | None:
    """None when `folder` can be used, else one sentence saying why Mandarin is read by dictionary."""
    if folder is None:
        return "no polyphone model is mounted; readings come from the built-in dictionary"
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if not ((vocabulary or folder) / _VOCABULARY).is_file():
        missing.append(_VOCABULARY)
    if missing:
        return f"the polyphone model folder lacks {', '.join(missing)}; readings come from the built-in dictionary"
    return None


class Polyphones:
    """The G2PW model with its tables, read once. Threads may share it."""

    def __init__(self, folder: Path, vocabulary: Path | None = None) -> None:
        """`vocabulary`: a BERT folder with `vocab.txt` (upstream: chinese-roberta-wwm-ext-large); by default `folder`.

        Raises CheckpointError: `polyphones_missing` (a file is not there), `polyphones_too_large`,
        `polyphones_damaged` (a file does not hold what it should), `polyphones_unsupported` (no runtime for it).
        """
        reason = available(folder, vocabulary)
        if reason is not None:
            raise CheckpointError("polyphones_missing", reason)
        settings = _settings(folder / _CONFIG)
        self._mask = settings.get("use_mask", True)
        by_character = settings.get("use_char_phoneme", False)
        pairs = _columns(folder / _POLYPHONIC)
        self._labels = sorted({f"{c} {sound}" if by_character else sound for c, sound in pairs})
        place = {label: row for row, label in enumerate(self._labels)}
        self._sounds: dict[str, list[int]] = {}
        for character, sound in pairs:
            self._sounds.setdefault(character, []).append(place[f"{character} {sound}" if by_character else sound])
        self._characters = {character: row for row, character in enumerate(sorted(self._sounds))}
        self._asked = self._sounds.keys() - _NOT_POLYPHONIC
        self._known = {c: sound for c, sound in _columns(folder / _MONOPHONIC) if c not in _NOT_MONOPHONIC}
        self._pinyin = _object(folder / _BOPOMOFO)
        lines = _text((vocabulary or folder) / _VOCABULARY).splitlines()
        self._tokens = {token: row for row, token in enumerate(lines)}
        if not {"[CLS]", "[SEP]", "[UNK]"} <= self._tokens.keys():
            raise CheckpointError("polyphones_damaged", f"{_VOCABULARY} is not a BERT vocabulary")
        own = resources.files("cloning.engine.text").joinpath("data/mandarin_polyphonic.txt")
        self._corrections = _corrections(own.read_text("utf-8"))
        for name in _CORRECTIONS:
            if (folder / name).is_file():
                self._corrections |= _corrections(_text(folder / name))
        self._traditional = _converter()
        self._session = _session(folder / _MODEL)

    def readings(self, run: str) -> list[str | None]:
        """Characters and marks to pinyin with tone figures, one each; None where the model has no say (marks too)."""
        out: list[str | None] = []
        for piece in re.split(r"([!?…,.-]+)", run):
            marks = re.fullmatch(r"[!?…,.-]*", piece)
            out += [None] * len(piece) if marks else self._piece(piece)
        return out

    def corrected(self, word: str, chosen: list[str | None]) -> tuple[list[str], list[int]]:
        """A word's readings after upstream's corrections, as `syllables` gives them: pinyin, tones.

        A correction of the whole word wins over the model, then one of a single character.
        """
        whole = self._corrections.get(word)
        names, tones = syllables(word)
        for place, character in enumerate(word):
            single = self._corrections.get(character)
            pinyin = whole[place] if whole else single[0] if single else chosen[place]
            if pinyin is not None:
                names[place], tones[place] = pinyin[:-1], int(pinyin[-1])
        return names, tones

    def _piece(self, piece: str) -> list[str | None]:
        whole = self._corrections.get(piece)
        if whole:
            return list(whole)
        text = self._traditional(piece)
        if len(text) != len(piece):
            # The converter changed the number of characters; the model would answer for the wrong places.
            text = piece
        out: list[str | None] = [s if s[-1] in "12345" else None for s in dictionary(simplify(text))]
        queries = [place for place, character in enumerate(text) if character in self._asked]
        for place, character in enumerate(text):
            if character in self._known and character not in self._asked:
                out[place] = self._as_pinyin(self._known[character])
        for start in range(0, len(queries), _ROWS):
            batch = queries[start : start + _ROWS]
            for place, label in zip(batch, self._ask(text, batch), strict=True):
                out[place] = self._as_pinyin(label.rpartition(" ")[2])
        return out

    def inputs(self, text: str, queries: list[int]) -> dict[str, np.ndarray]:
        """The model's inputs for N queries (places in `text`): ids, types, attention N x L; phoneme_mask N x labels
        float32; char_ids, position_ids N. Long texts are cut to a window around the first query of the call."""
        room = _LONGEST - 2
        start = max(0, min(queries[0] - room // 2, len(text) - room))
        window = text[start : start + room]
        ids = [self._tokens["[CLS]"], *(self._tokens.get(c.lower(), self._tokens["[UNK]"]) for c in window)]
        row = np.array([*ids, self._tokens["[SEP]"]], dtype=np.int64)
        rows = np.tile(row, (len(queries), 1))
        mask = np.full((len(queries), len(self._labels)), 0.0 if self._mask else 1.0, dtype=np.float32)
        if self._mask:
            for at, query in enumerate(queries):
                mask[at, self._sounds[text[query]]] = 1.0
        return {
            "input_ids": rows,
            "token_type_ids": np.zeros_like(rows),
            "attention_mask": np.ones_like(rows),
            "phoneme_mask": mask,
            "char_ids": np.array([self._characters[text[query]] for query in queries], dtype=np.int64),
            "position_ids": np.array([query - start + 1 for query in queries], dtype=np.int64),
        }

    def _ask(self, text: str, queries: list[int]) -> list[str]:
        labels: list[str] = []
        room = _LONGEST - 2
        # One window serves a call only when it holds every query.
        groups = [queries] if len(text) <= room else [[query] for query in queries]
        for group in groups:
            chances = self._session.run(None, self.inputs(text, group))[0]
            labels += [self._labels[int(best)] for best in np.asarray(chances).argmax(axis=1)]
        return labels

    def _as_pinyin(self, bopomofo: str) -> str | None:
        name = self._pinyin.get(bopomofo[:-1])
        if not isinstance(name, str) or bopomofo[-1] not in "12345":
            return None
        return name.replace("ü", "v").replace("u:", "v") + bopomofo[-1]


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_TABLE_BYTES:
        raise CheckpointError("polyphones_too_large", f"{path.name} is larger than {_MOST_TABLE_BYTES} bytes")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise CheckpointError("polyphones_damaged", f"{path.name} is not UTF-8 text") from None


def _columns(path: Path) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in _text(path).strip().splitlines()]
    if not rows or any(len(row) != 2 or len(row[0]) != 1 or not row[1] for row in rows):
        raise CheckpointError("polyphones_damaged", f"{path.name} must hold a character, a tab and a sound a line")
    return [(row[0], row[1]) for row in rows]


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CheckpointError("polyphones_damaged", f"{path.name} is not a JSON object")
    return found


def _settings(path: Path) -> dict[str, bool]:
    """The true-or-false settings of the official config.py, read as text: it is never executed."""
    if not path.is_file():
        return {}
    try:
        lines = ast.parse(_text(path)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CheckpointError("polyphones_damaged", f"{path.name} is not Python") from None
    return {
        line.targets[0].id: line.value.value
        for line in lines
        if isinstance(line, ast.Assign)
        and isinstance(line.targets[0], ast.Name)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, bool)
    }


def _corrections(text: str) -> dict[str, list[str]]:
    """Lines like 湖泊: ['hu2','po1'], one syllable a character; others are passed over."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = _CORRECTION.fullmatch(line)
        sounds = re.findall(r"['\"]([a-zü:]+[1-5])['\"]", match[2]) if match else []
        if match and len(sounds) == len(match[1]):
            found[match[1]] = [sound.replace("u:", "v").replace("ü", "v") for sound in sounds]
    return found


def _converter() -> Any:
    try:
        from opencc import OpenCC
    except ImportError:
        raise CheckpointError(
            "polyphones_unsupported", "the polyphone model needs the package opencc to write traditional characters"
        ) from None
    return OpenCC("s2tw").convert


def _session(path: Path) -> Any:
    if path.stat().st_size > _MOST_MODEL_BYTES:
        raise CheckpointError("polyphones_too_large", f"{path.name} is larger than {_MOST_MODEL_BYTES} bytes")
    try:
        import onnxruntime
    except ImportError:
        raise CheckpointError("polyphones_unsupported", "the polyphone model needs the package onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the runtime's own classes share no base
        raise CheckpointError("polyphones_damaged", f"{path.name} cannot be loaded: {error}") from None
    expected = {"input_ids", "token_type_ids", "attention_mask", "phoneme_mask", "char_ids", "position_ids"}
    if {tensor.name for tensor in session.get_inputs()} != expected:
        raise CheckpointError("polyphones_damaged", f"{path.name} is not a G2PW model: its inputs have other names")
    return session
