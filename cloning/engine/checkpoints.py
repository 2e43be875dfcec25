"""Reading official GPT-SoVITS weight files (S1 `.ckpt`, S2 `.pth`) that may come from anybody.

Nothing in the file is executed: the pickle inside is read by torch's weights-only reader, which knows tensors and plain
containers, plus exactly one more name, `utils.HParams`, for which a class with no behaviour stands in.
A file is bounded in size before it is read, must be an uncompressed zip, and must hold exactly the parts its own
configuration asks for. Formats: facts of commit 48b1a01 of RVC-Boss/GPT-SoVITS.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import V1_SYMBOLS, AcousticConfig, AudioConfig, SemanticConfig, official
from cloning.engine.errors import CheckpointError, ConfigError
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.weights import fill, first_difference, not_finite, outline

#: Largest files accepted: about twice the published ones (S1 155 MB, S2 v2ProPlus with posterior 200 MB).
MOST_SEMANTIC_BYTES = 400 * 2**20
MOST_ACOUSTIC_BYTES = 800 * 2**20
#: Most members of the zip; the largest published file has about 1,500.
MOST_MEMBERS = 8192
#: Most nesting of the configuration inside a file.
MOST_DEPTH = 6

#: A zip starts with these two bytes; Pro and LoRA writers replace them by a version number.
ZIP_MAGIC = b"PK"
#: Version numbers this engine builds. None: the content decides, as it does in the official reader for v1 and v2.
HEADERS: dict[bytes, str | None] = {ZIP_MAGIC: None, b"00": None, b"01": None, b"05": "v2Pro", b"06": "v2ProPlus"}
#: Version numbers that only `diffusion_files` reads.
OTHER_HEADERS = {b"02": "v3", b"03": "v3 LoRA", b"04": "v4 LoRA"}
PRO_PLUS_FIRST_KERNEL = 20
#: The only code rate there is; the official reader sets it whatever the file says.
FRAME_RATE = "25hz"


@dataclass(frozen=True, slots=True)
class LoadedSemantic:
    """An S1 file: float32 model in evaluation mode, its configuration, and the writer's note (such as "GPT-e15")."""

    config: SemanticConfig
    model: Text2Semantic
    info: str


@dataclass(frozen=True, slots=True)
class LoadedAcoustic:
    """An S2 file. `model` has a posterior encoder only if the file had one (pretrained bases do, fine-tunes do not)."""

    version: str
    config: AcousticConfig
    audio: AudioConfig
    model: AcousticModel
    info: str


#: torch's list of allowed names belongs to the whole process: one reader at a time may add to it.
_READING = threading.Lock()


class HParams:
    """Stands in for the official `utils.HParams`: a bag of values with no behaviour at all."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise CheckpointError("not_official", "the configuration object is not a set of named values")
        object.__setattr__(self, "values", state)


def read_bounded(path: Path, most: int) -> bytes:
    """A file's bytes, refused before reading when there are more than `most`."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise CheckpointError("too_large", f"the file is larger than {most} bytes")
    return data


def load_semantic(data: bytes) -> LoadedSemantic:
    """Bytes of an official S1 `.ckpt` -> model. Raises CheckpointError."""
    content, _ = read_content(data, MOST_SEMANTIC_BYTES)
    raw = section(plain(content.get("config"), MOST_DEPTH), "model")
    width = _number(raw, "embedding_dim")
    if _number(raw, "hidden_dim") != width or _number(raw, "EOS") != _number(raw, "vocab_size") - 1:
        raise CheckpointError("bad_config", "the S1 configuration contradicts itself")
    base = official("v2").semantic
    try:
        config = dataclasses.replace(
            base,
            codes=_number(raw, "EOS"),
            phonemes=_number(raw, "phoneme_vocab_size"),
            width=width,
            heads=_number(raw, "head"),
            layers=_number(raw, "n_layer"),
        )
        config.validate()
    except ConfigError as error:
        raise CheckpointError("bad_config", error.message) from error
    found = {}
    for name, value in weights_of(content, len(data)).items():
        if not name.startswith("model."):
            raise CheckpointError("wrong_weights", f"{name[:120]} is not a part of an S1 model")
        found[name.removeprefix("model.")] = value
    model = filled(lambda: Text2Semantic(config), found)
    return LoadedSemantic(config=config, model=model, info=info_of(content))


def load_acoustic(data: bytes) -> LoadedAcoustic:
    """Bytes of an official v1, v2, v2Pro or v2ProPlus S2 `.pth` -> model. Raises CheckpointError."""
    content, header = read_content(data, MOST_ACOUSTIC_BYTES)
    found = weights_of(content, len(data))
    whole = plain(content.get("config"), MOST_DEPTH)
    raw = section(whole, "model")
    version = _version(header, found, raw)
    base = official(version)
    try:
        config, audio = acoustic_config(base.acoustic, raw), audio_config(base.audio, section(whole, "data"))
        dataclasses.replace(base, acoustic=config, audio=audio)
    except ConfigError as error:
        raise CheckpointError("bad_config", error.message) from error
    posterior = any(name.startswith("enc_q.") for name in found)
    model = filled(lambda: AcousticModel(config, audio, posterior=posterior), found)
    return LoadedAcoustic(version=version, config=config, audio=audio, model=model, info=info_of(content))


def read_content(
    data: bytes, most: int, headers: Mapping[bytes, str | None] = HEADERS
) -> tuple[Mapping[str, Any], str | None]:
    """The top level of a file of at most `most` bytes, nothing in it executed, and what its header stands for in
    `headers` (None: the content decides). Raises CheckpointError."""
    if len(data) > most:
        raise CheckpointError("too_large", f"the file is larger than {most} bytes")
    header = data[:2]
    if header not in headers and header in OTHER_HEADERS:
        raise CheckpointError("unsupported_version", f"this is a {OTHER_HEADERS[header]} file, not v1, v2 or Pro")
    if header not in headers:
        raise CheckpointError("not_official", "the file does not start like a GPT-SoVITS weight file")
    # A view, not a copy, for the ordinary case; the header is put back in memory only.
    file = io.BytesIO(data if header == ZIP_MAGIC else ZIP_MAGIC + data[2:])
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        total = sum(member.file_size for member in members)
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError("not_official", "the file is not a readable zip") from error
    if not stored or len(members) > MOST_MEMBERS or total > len(data):
        raise CheckpointError("not_official", "the zip is compressed, overlapping or has too many members")
    file.seek(0)
    try:
        with _READING, torch.serialization.safe_globals([(HParams, "utils.HParams")]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "forbidden_content", "the file holds objects that are neither weights nor settings"
        ) from error
    except Exception as error:  # a hostile file can make the reader fail in any way; all are one refusal
        raise CheckpointError("not_official", f"the file could not be read ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise CheckpointError("not_official", "the file does not hold a dictionary")
    return content, headers[header]


def weights_of(content: Mapping[str, Any], stored: int) -> dict[str, Tensor]:
    """The named tensors of a file of `stored` bytes. Raises CheckpointError `not_official`."""
    weights = content.get("weight")
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError("not_official", "the file has no `weight` dictionary")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError("not_official", "`weight` holds something that is not a named tensor")
    # A tensor may claim more elements than it stores (strides of 0): what would grow in memory is not a weight file.
    if sum(value.numel() * value.element_size() for value in weights.values()) > stored:
        raise CheckpointError("not_official", "the tensors claim more memory than the file holds")
    return dict(weights)


def filled(build: Any, found: Mapping[str, Tensor]) -> Any:
    """The model that `build` makes, with exactly these weights. Raises CheckpointError."""
    difference = first_difference(outline(build), found)
    if difference is not None:
        raise CheckpointError("wrong_weights", difference)
    broken = not_finite(found)
    if broken is not None:
        raise CheckpointError("not_finite", f"{broken[:120]} holds NaN or infinity")
    return fill(build, found)


def plain(value: object, depth: int) -> object:
    """Stand-in objects -> dictionaries, to a bounded depth."""
    if depth < 0:
        raise CheckpointError("bad_config", "the configuration is nested too deeply")
    if isinstance(value, HParams):
        value = getattr(value, "values", {})
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    return value


def section(config: object, name: str) -> Mapping[str, Any]:
    """A part of the configuration of a file. Raises CheckpointError `bad_config`."""
    found = config.get(name) if isinstance(config, dict) else None
    if not isinstance(found, dict):
        raise CheckpointError("bad_config", f"the file's configuration has no `{name}` part")
    return found


def _number(section: Mapping[str, Any], name: str) -> int:
    value = section.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError("bad_config", f"`{name}` is missing or not a whole number")
    return value


def _row(section: Mapping[str, Any], name: str) -> tuple[int, ...]:
    value = section.get(name)
    if not isinstance(value, list) or len(value) > 16 or not all(type(item) is int for item in value):
        raise CheckpointError("bad_config", f"`{name}` is not a short list of whole numbers")
    return tuple(value)


def info_of(content: Mapping[str, Any]) -> str:
    info = content.get("info", "")
    return info[:200] if isinstance(info, str) else ""


def _version(header: str | None, found: Mapping[str, Tensor], raw: Mapping[str, Any]) -> str:
    """The header wins; without one the weights tell. Versions that are not built here are refused by name."""
    if any(name.startswith("cfm.") for name in found):
        raise CheckpointError("unsupported_version", "this is a v3 or v4 file, not one of v1, v2 or Pro")
    if header is not None:
        return header
    if "sv_emb.weight" not in found:
        table = found.get("enc_p.text_embedding.weight")
        return "v1" if table is not None and table.dim() == 2 and table.shape[0] == V1_SYMBOLS else "v2"
    kernels = _row(raw, "upsample_kernel_sizes")
    return "v2ProPlus" if kernels[:1] == (PRO_PLUS_FIRST_KERNEL,) else "v2Pro"


def acoustic_config(base: AcousticConfig, raw: Mapping[str, Any]) -> AcousticConfig:
    dilations = raw.get("resblock_dilation_sizes")
    if not isinstance(dilations, list) or len(dilations) > 16:
        raise CheckpointError("bad_config", "`resblock_dilation_sizes` is not a short list")
    layers = _number(raw, "n_layers")
    hidden = _number(raw, "hidden_channels")
    dropout = raw.get("p_dropout")
    resblock = raw.get("resblock")
    if resblock not in ("1", "2") or not (isinstance(dropout, int | float) and 0 <= dropout < 1):
        raise CheckpointError("bad_config", "`resblock` or `p_dropout` is missing or unknown")
    if raw.get("semantic_frame_rate", FRAME_RATE) != FRAME_RATE:
        raise CheckpointError("unsupported_version", "only models with 25 codes a second are built here")
    config = dataclasses.replace(
        base,
        latent=_number(raw, "inter_channels"),
        hidden=hidden,
        posterior_hidden=hidden,
        flow_hidden=hidden,
        filter=_number(raw, "filter_channels"),
        heads=_number(raw, "n_heads"),
        text_layers=layers,
        code_layers=layers // 2,
        joint_layers=layers // 2,
        kernel=_number(raw, "kernel_size"),
        dropout=float(dropout),
        style=_number(raw, "gin_channels"),
        resblock="1" if resblock == "1" else "2",
        resblock_kernels=_row(raw, "resblock_kernel_sizes"),
        resblock_dilations=tuple(_row({"dilations": row}, "dilations") for row in dilations),
        upsample_initial=_number(raw, "upsample_initial_channel"),
        upsample_rates=_row(raw, "upsample_rates"),
        upsample_kernels=_row(raw, "upsample_kernel_sizes"),
    )
    config.validate()
    return config


def audio_config(base: AudioConfig, raw: Mapping[str, Any]) -> AudioConfig:
    return dataclasses.replace(
        base,
        sample_rate=_number(raw, "sampling_rate"),
        n_fft=_number(raw, "filter_length"),
        win=_number(raw, "win_length"),
        hop=_number(raw, "hop_length"),
        n_mels=_number(raw, "n_mel_channels"),
    )
