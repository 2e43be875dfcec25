"""What all formats of a voice have in common: safetensors with a JSON description, bounded before anything is read.

`voicefile` has the formats 1 and 2 (a whole voice; what a voice adds to a base), `flowfile` format 3 (v3 and v4).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from operator import index
from typing import Any, Protocol

from safetensors.torch import save
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.config import EngineConfig
from cloning.engine.errors import ConfigError, VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.weights import first_difference, not_finite

#: What the description calls this format; the number grows when old readers could misread a new file.
FORMAT = "vouch-voice"
#: Largest voice accepted. v2ProPlus with posterior and S1 is about 360 MB in half precision.
MOST_BYTES = 600 * 2**20
#: Largest safetensors header: about 2,000 tensors at 150 bytes, with the description, leaves ample room.
MOST_HEADER_BYTES = 2 * 2**20
#: Most entries of the free training summary.
MOST_SUMMARY = 64
#: Most numbers of a tensor that is kept of the reference.
MOST_REFERENCE = 4096
#: Beyond this a value is kept in single precision (half ends at 65504).
HALF_LIMIT = 60000.0

#: What every description holds; each format adds its own.
ENTRIES = frozenset({"format", "format_version", "config", "language", "base_digest", "training"})

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
_DIGEST = re.compile(r"([0-9a-f]{64})?")


class Described(Protocol):
    """What every voice says about itself."""

    @property
    def config(self) -> EngineConfig: ...

    @property
    def language(self) -> str: ...

    @property
    def base_digest(self) -> str: ...

    @property
    def training(self) -> Mapping[str, int | float | str]: ...


def saved(tensors: dict[str, Tensor], version: int, voice: Described, **more: Any) -> bytes:
    """Tensors and description -> bytes; `more`: what the format adds to the description."""
    description = {
        "format": FORMAT,
        "format_version": version,
        "config": voice.config.to_dict(),
        "language": voice.language,
        "base_digest": voice.base_digest,
        "training": dict(voice.training),
        **more,
    }
    return save(tensors, {"voice": json.dumps(description, sort_keys=True, allow_nan=False)})


def packed_reference(reference: Reference) -> dict[str, Tensor]:
    """As tensors `reference.NAME`."""
    return {
        "reference.phones": reference.phones.long().cpu().contiguous(),
        "reference.codes": reference.codes.long().cpu().contiguous(),
        "reference.style": reference.style.detach().float().cpu().contiguous(),
    }


def described(
    data: bytes, entries: Mapping[int, frozenset[str]], dtypes: frozenset[str]
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The JSON description and the tensors' shapes, with the outer shape of the file checked by hand before any
    library reads it. `entries`: of each format version that is taken; `dtypes`: kinds of numbers that it may hold.
    Raises VoiceFileError."""
    if not 8 < len(data) <= MOST_BYTES:
        raise VoiceFileError("wrong_size", f"a voice has at most {MOST_BYTES} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(MOST_HEADER_BYTES, len(data) - 8):
        raise VoiceFileError("damaged", "the header is larger than the file or than any voice needs")
    try:
        header = json.loads(data[8 : 8 + length])
        description = json.loads(header["__metadata__"]["voice"])
        found = {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
        shapes = {name: tuple(map(index, entry["shape"])) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VoiceFileError("damaged", "the file has no voice description") from error
    if not isinstance(description, dict):
        raise VoiceFileError("bad_description", "the voice description is not an object")
    version = description.get("format_version")
    if description.get("format") != FORMAT or type(version) is not int or version not in entries:
        raise VoiceFileError("unsupported_version", "this voice was written in a format that is not known here")
    if not found <= dtypes:
        raise VoiceFileError("damaged", "the file holds numbers of a kind no voice has")
    if set(description) != entries[version]:
        raise VoiceFileError("bad_description", "the voice description has missing or unknown entries")
    return description, shapes


def configuration(description: dict[str, Any]) -> EngineConfig:
    """Raises VoiceFileError `bad_description`."""
    try:
        return EngineConfig.from_dict(description["config"])
    except ConfigError as error:
        raise VoiceFileError("bad_description", error.message) from error


def check_rank(rank: object, alpha: object) -> None:
    """Raises VoiceFileError `bad_description`."""
    if type(rank) is not int or not 1 <= rank <= lowrank.MOST_RANK:
        raise VoiceFileError("bad_description", f"the rank of adapters is 1..{lowrank.MOST_RANK}")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha <= lowrank.MOST_ALPHA:
        raise VoiceFileError("bad_description", f"the alpha of adapters is above 0 and at most {lowrank.MOST_ALPHA:g}")


def check_words(voice: Described) -> None:
    """What every voice says about itself. Raises VoiceFileError `bad_description`."""
    if not isinstance(voice.language, str) or not _LANGUAGE.fullmatch(voice.language):
        raise VoiceFileError("bad_description", "the language is not a language code")
    if not isinstance(voice.base_digest, str) or not _DIGEST.fullmatch(voice.base_digest):
        raise VoiceFileError("bad_description", "the base digest is not a SHA-256")
    _check_summary(voice.training)


def check_tensors(part: str, tensors: Mapping[str, Tensor], names: Mapping[str, tuple[int, ...]]) -> None:
    """Raises VoiceFileError `wrong_weights` or `not_finite`."""
    difference = first_difference(names, tensors)
    if difference is not None:
        raise VoiceFileError("wrong_weights", f"{part}: {difference}")
    broken = not_finite(tensors)
    if broken is not None:
        raise VoiceFileError("not_finite", f"{part}: {broken} holds NaN or infinity")


def _check_summary(training: object) -> None:
    if not isinstance(training, Mapping) or len(training) > MOST_SUMMARY:
        raise VoiceFileError("bad_description", "the training summary is not a short set of named values")
    for name, value in training.items():
        fine = isinstance(value, str) and len(value) <= 500
        if isinstance(value, int | float) and not isinstance(value, bool):
            fine = math.isfinite(value)
        if not isinstance(name, str) or len(name) > 100 or not fine:
            raise VoiceFileError("bad_description", "the training summary holds something other than words and numbers")


def stored(value: Tensor) -> Tensor:
    """A copy of its own (shared memory would be refused by safetensors), in half precision where that is safe."""
    single = value.detach().float().cpu()
    large = single.numel() > 0 and float(single.abs().max()) > HALF_LIMIT
    return (single if large else single.half()).clone().contiguous()
