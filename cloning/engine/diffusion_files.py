"""Reading official v3 and v4 weight files that may come from anybody: whole generators, and LoRA files beside a base.

The same care as in `checkpoints`: bounded before it is read, nothing executed, exactly the parts that its own
configuration asks for. A LoRA file (headers 03 and 04) holds what fine-tuning changed: pairs beside the transformer's
attention, and whole parts of its own (`OWN_PARTS`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import ADAPTED
from cloning.engine.acoustic.lora import OWN_PARTS, Lora
from cloning.engine.bounded import must
from cloning.engine.checkpoints import (
    HEADERS,
    MOST_DEPTH,
    ZIP_MAGIC,
    acoustic_config,
    audio_config,
    filled,
    info_of,
    plain,
    read_content,
    section,
    weights_of,
)
from cloning.engine.config import official
from cloning.engine.diffusion_config import DIFFUSION, DiffusionConfig, DitConfig, official_diffusion
from cloning.engine.errors import CheckpointError, ConfigError
from cloning.engine.lowrank import MOST_RANK
from cloning.engine.weights import not_finite

#: Largest file accepted; the published ones have 770 MB in half precision.
MOST_DIFFUSION_BYTES = 1600 * 2**20
MOST_LORA_BYTES = 400 * 2**20
#: What the two first bytes of a file stand for.
V3_FULL, V3_LORA, V4_LORA = "v3", "v3 LoRA", "v4 LoRA"
DIFFUSION_HEADERS: dict[bytes, str | None] = {**HEADERS, b"02": V3_FULL, b"03": V3_LORA, b"04": V4_LORA}
#: MD5 of the first 8192 bytes of the published bases, by which upstream knows them.
PUBLISHED = {"43797be674a37c1c83ee81081941ed0f": "v3", "4f26b9476d0c5033e04162c486074374": "v4"}
PUBLISHED_HEAD = 8192
#: How peft names the transformer's tensors once adapters are beside them.
WRAPPED = "cfm.base_model.model."
_PAIR = re.compile(
    re.escape(WRAPPED) + r"estimator\.transformer_blocks\.(\d{1,2})\.attn\.(.+)\.lora_([AB])\.default\.weight"
)
_BLOCK = re.compile(r"cfm\.estimator\.transformer_blocks\.(\d{1,2})\.")
_CODEBOOK = "quantizer."
_ANGLES = f"{WRAPPED}estimator.rotary_embed.inv_freq"


@dataclass(frozen=True, slots=True)
class LoadedDiffusion:
    """A whole v3 or v4 generator: float32, in evaluation mode."""

    version: str
    config: DiffusionConfig
    model: DiffusionModel
    info: str


def is_lora(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a LoRA file."""
    return DIFFUSION_HEADERS.get(head[:2]) in (V3_LORA, V4_LORA)


def holds_flow(data: bytes) -> bool:
    """Whether the file lists parts of a v3 or v4 generator among its names. Nothing in it is read as an object, and
    what is no readable file is not one; `load_diffusion` decides."""
    try:
        with zipfile.ZipFile(io.BytesIO(data if data[:2] == ZIP_MAGIC else ZIP_MAGIC + data[2:])) as archive:
            lists = [member for member in archive.infolist() if member.filename.endswith("data.pkl")]
            return any(b"cfm.estimator." in archive.read(one) for one in lists[:1] if one.file_size <= len(data))
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError):
        return False


def load_diffusion(data: bytes, version: str | None = None) -> LoadedDiffusion:
    """Bytes of a whole v3 or v4 `.pth` -> model. `version` stands for what the file does not say. Raises
    CheckpointError, `needs_base` for a LoRA file."""
    content, header = read_content(data, MOST_DIFFUSION_BYTES, DIFFUSION_HEADERS)
    if header in (V3_LORA, V4_LORA):
        raise CheckpointError("needs_base", f"this is a {header} file: it speaks only beside its base")
    found = weights_of(content, len(data))
    if not any(name.startswith("cfm.") for name in found):
        raise CheckpointError("unsupported_version", "this is not a v3 or v4 file")
    whole = plain(content.get("config"), MOST_DEPTH)
    raw = section(whole, "model")
    version = _version(data, header, raw, version)
    base = official_diffusion(version)
    try:
        config = dataclasses.replace(
            base,
            acoustic=acoustic_config(official("v2").acoustic, raw),
            audio=audio_config(base.audio, section(whole, "data")),
            dit=_dit_config(base.dit, found),
        )
    except ConfigError as error:
        raise CheckpointError("bad_config", error.message) from error
    model = filled(lambda: DiffusionModel(config), found)
    return LoadedDiffusion(version=version, config=config, model=model, info=info_of(content))


def load_lora(data: bytes) -> Lora:
    """Bytes of a LoRA `.pth` (header 03 or 04) -> its parts, checked in themselves; `acoustic.lora` checks them against
    a base. Raises CheckpointError."""
    content, header = read_content(data, MOST_LORA_BYTES, DIFFUSION_HEADERS)
    if header not in (V3_LORA, V4_LORA):
        raise CheckpointError("not_lora", "this is not a LoRA file of v3 or v4")
    found = weights_of(content, len(data))
    stated = content.get("lora_rank")
    pairs, own, codebook, angles = _sorted(found)
    ranks = {down.shape[0] for down, _ in pairs.values()} | {up.shape[1] for _, up in pairs.values()}
    if len(ranks) != 1 or not 1 <= (rank := ranks.pop()) <= MOST_RANK:
        raise CheckpointError("wrong_weights", f"the adapters do not share one rank of at most {MOST_RANK}")
    if stated is not None and (isinstance(stated, bool) or stated != rank):
        raise CheckpointError("wrong_rank", f"the file says rank {str(stated)[:20]}, its adapters have {rank}")
    broken = not_finite(found)
    if broken is not None:
        raise CheckpointError("not_finite", f"{broken[:120]} holds NaN or infinity")
    return Lora(
        version="v3" if header == V3_LORA else "v4",
        rank=rank,
        pairs=pairs,
        own=own,
        codebook=codebook,
        angles=angles,
        identity=hashlib.sha256(data).hexdigest(),
        info=info_of(content),
    )


def _sorted(
    found: Mapping[str, Tensor],
) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, Tensor], Tensor | None, Tensor | None]:
    """The tensors of a LoRA file by what they are, in float32. Anything else is refused."""
    downs: dict[str, Tensor] = {}
    ups: dict[str, Tensor] = {}
    own: dict[str, Tensor] = {}
    codebook = angles = None
    for name, value in found.items():
        if not value.dtype.is_floating_point or value.layout != torch.strided:
            raise CheckpointError("wrong_weights", f"{name[:120]} does not hold plain floating-point numbers")
        kept = value.detach().float().clone()
        match = _PAIR.fullmatch(name)
        if match is not None and match[2] in ADAPTED and value.dim() == 2:
            (downs if match[3] == "A" else ups)[f"{int(match[1])}.{match[2]}"] = kept
        elif name.startswith(OWN_PARTS):
            own[name] = kept
        elif name.startswith(_CODEBOOK):
            codebook = kept if name.endswith(".embed") else codebook
        elif name == _ANGLES:
            angles = kept
        else:
            raise CheckpointError("wrong_weights", f"{name[:120]} is not a part of a LoRA file")
    if not downs or set(downs) != set(ups):
        raise CheckpointError("wrong_weights", "the file has no whole pairs of adapters")
    return {name: (downs[name], ups[name]) for name in sorted(downs)}, own, codebook, angles


def _version(data: bytes, header: str | None, raw: Mapping[str, Any], stated: str | None) -> str:
    """Header, published base, the configuration, what the caller says: in this order, and they may not contradict."""
    head = hashlib.md5(data[:PUBLISHED_HEAD], usedforsecurity=False).hexdigest()  # upstream's, not for security
    known = header if header in DIFFUSION else PUBLISHED.get(head)
    written = raw.get("version")
    if known is None and written in DIFFUSION:
        known = str(written)
    if known is None:
        known = stated
    if known not in DIFFUSION:
        raise CheckpointError("unknown_version", "the file does not say whether it is v3 or v4")
    if stated is not None and stated != known:
        raise CheckpointError("wrong_version", f"this is a {known} file, not {stated:.20}")
    return known


def _dit_config(base: DitConfig, found: Mapping[str, Tensor]) -> DitConfig:
    """Upstream writes the transformer's size into its code, so only the weights tell. Raises ConfigError."""

    def shape(name: str, dims: int) -> tuple[int, ...]:
        value = found.get(f"cfm.estimator.{name}")
        must(value is not None and value.dim() == dims, f"{name} is missing or has another number of dimensions")
        assert value is not None
        return tuple(value.shape)

    width, inputs = shape("input_embed.proj.weight", 2)
    mel = shape("proj_out.weight", 2)[0]
    half = shape("rotary_embed.inv_freq", 1)[0]
    must(half > 0, "the rotary embedding is empty")
    inner = shape("transformer_blocks.0.attn.to_q.weight", 2)[0]
    feed = shape("transformer_blocks.0.ff.ff.0.0.weight", 2)[0]
    blocks = {int(match[1]) for name in found if (match := _BLOCK.match(name))}
    texts = {name.split(".")[4] for name in found if name.startswith("cfm.estimator.text_embed.text_blocks.")}
    return dataclasses.replace(
        base,
        width=width,
        depth=len(blocks),
        heads=inner // (2 * half),
        head_width=2 * half,
        feed=feed // max(width, 1),
        mel=mel,
        text=inputs - 2 * mel,
        text_layers=len(texts),
    )
