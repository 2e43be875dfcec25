"""Reading the weight files and settings of a mounted folder (PyTorch's zip format or safetensors) as data only.

The pickle inside a PyTorch file goes through torch's weights-only reader, which knows tensors and plain containers and
executes nothing. Sizes are bounded before reading; a PyTorch file must be an uncompressed zip, so that what it says it
holds cannot exceed what lies on the disk. Files are mapped, not copied: a part that the model does not use is never
loaded into memory.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cloning.engine.errors import CheckpointError
from cloning.engine.weights import bare, first_difference, not_finite, outline

M = TypeVar("M", bound=nn.Module)

#: Largest weight file: twice RoBERTa-large with its language-model head in single precision (1.3 GB).
MOST_WEIGHT_BYTES = 3 * 2**30
#: Largest `config.json`; the published ones have about 2 KB.
MOST_SETTINGS_BYTES = 2**20
#: Most members of the zip; ERes2NetV2 has about 1,000 tensors.
MOST_MEMBERS = 8192
#: Names under which a model folder holds its weights, in order of preference.
WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")


def bounded_text(path: Path, most: int) -> str:
    """A UTF-8 file of at most `most` bytes. Raises CheckpointError `missing_file`, `too_large` or `not_readable`."""
    _check_size(path, most)
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError("not_readable", f"{path.name} is not UTF-8 text") from error


def read_settings(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder. Raises CheckpointError `missing_file`, `too_large` or `bad_config`."""
    try:
        settings = json.loads(bounded_text(folder / "config.json", MOST_SETTINGS_BYTES))
    except (ValueError, RecursionError) as error:
        raise CheckpointError("bad_config", "config.json is not readable JSON") from error
    if not isinstance(settings, dict):
        raise CheckpointError("bad_config", "config.json does not hold an object")
    return settings


def whole_number(settings: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A bounded whole number of the settings. Raises CheckpointError `bad_config`."""
    value = settings.get(name)
    if type(value) is not int or not low <= value <= high:
        raise CheckpointError("bad_config", f"`{name}` is missing or outside {low}..{high}")
    return value


def epsilon(settings: Mapping[str, Any], name: str) -> float:
    """The small constant of a layer norm, above 0 and at most 0.01. Raises CheckpointError `bad_config`."""
    value = settings.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1e-2:
        raise CheckpointError("bad_config", f"`{name}` is missing or not a small number")
    return float(value)


def weights_path(folder: Path) -> Path:
    """The folder's weight file, safetensors first. Raises CheckpointError `missing_file`."""
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError("missing_file", f"the folder {folder.name} holds neither {' nor '.join(WEIGHT_NAMES)}")


def read_weights(path: Path, *, section: str | None = None) -> dict[str, Tensor]:
    """Names and tensors of a `.safetensors` file or of a flat PyTorch state dict, mapped from the disk. `section`: the
    state dict is the value of this name, beside which nothing is read.

    Raises CheckpointError: `missing_file`, `too_large`, `not_readable` (damaged, compressed, or the format before
    PyTorch 1.6) or `forbidden_content` (anything but tensors and plain containers).
    """
    _check_size(path, MOST_WEIGHT_BYTES)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    if section is not None:
        inner = content.get(section)
        if not isinstance(inner, Mapping):
            raise CheckpointError("not_readable", f"{path.name} has no part named {section}")
        content = dict(inner)
    if not content:
        raise CheckpointError("not_readable", f"{path.name} holds no weights")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError("forbidden_content", f"{path.name} holds something that is not a named tensor")
    return content


def built(build: Callable[[], M], found: Mapping[str, Tensor], dtype: torch.dtype) -> M:
    """The model that `build` makes, filled from `found`, in evaluation mode, without gradients, in `dtype`.

    Raises CheckpointError `wrong_weights` (names the first name or shape that differs) or `not_finite`.
    """
    difference = first_difference(outline(build), found)
    if difference is not None:
        raise CheckpointError("wrong_weights", difference)
    broken = not_finite(found)
    if broken is not None:
        raise CheckpointError("not_finite", f"{broken[:120]} holds NaN or infinity")
    model = bare(build)
    model.load_state_dict({name: value.detach().to(dtype, copy=True) for name, value in found.items()}, assign=True)
    return model.requires_grad_(False).eval()


def _check_size(path: Path, most: int) -> None:
    if not path.is_file():
        raise CheckpointError("missing_file", f"{path.name} is not in the folder {path.parent.name}")
    if path.stat().st_size > most:
        raise CheckpointError("too_large", f"{path.name} is larger than {most} bytes")


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError("not_readable", f"{path.name} is not a readable safetensors file") from error


def _read_pickled(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError("not_readable", f"{path.name} is not a readable zip of PyTorch 1.6 or later") from error
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or len(members) > MOST_MEMBERS or sum(m.file_size for m in members) > path.stat().st_size:
        raise CheckpointError("not_readable", f"{path.name} is compressed, overlapping or has too many members")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError("forbidden_content", f"{path.name} holds objects that are not weights") from error
    except Exception as error:  # a hostile file can make the reader fail in any way; all are one refusal
        raise CheckpointError("not_readable", f"{path.name} could not be read ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise CheckpointError("not_readable", f"{path.name} does not hold a dictionary")
    return dict(content)
