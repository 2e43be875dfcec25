"""What training starts from: the content encoder with its codebook, and the weights of S1 and S2 if there are any."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.quantizer import Quantizer
from cloning.engine.config import EngineConfig, starter
from cloning.engine.errors import EngineError
from cloning.engine.features.content import ContentEncoder
from cloning.engine.semantic.model import Text2Semantic

CONTENT_FILE = "content.safetensors"
SEMANTIC_FILE = "semantic.safetensors"
ACOUSTIC_FILE = "acoustic.safetensors"
#: Names in S2's state that its file leaves out: what a code means, and how it is heard.
CODES = ("quantizer.", "words.heard.")
#: The content encoder's phone head, which S2 listens to its codes with.
HEARD = ("phone_head.weight", "phone_head.bias")
_STARTER = Path(__file__).parents[1] / "starter"


@dataclass(frozen=True)
class Base:
    """Weights under the models' own names. `semantic` or `acoustic` None: that model starts from random weights.

    `codebook` is (codes, code_dim). `digest`: SHA-256 over the files, "" for a base that is in no file. `content` is
    empty where the content encoder is HuBERT. `critics`: weights of S2's discriminators, None: random ones.
    """

    config: EngineConfig
    content: Mapping[str, Tensor]
    codebook: Tensor
    semantic: Mapping[str, Tensor] | None
    acoustic: Mapping[str, Tensor] | None
    digest: str
    critics: Mapping[str, Tensor] | None = None

    def build_content(self) -> ContentEncoder:
        model = ContentEncoder(self.config.content)
        model.load_state_dict({name: value.float() for name, value in self.content.items()})
        return model.eval()

    def build_semantic(self, seed: int) -> Text2Semantic:
        """S1 in training mode; random weights depend on the seed only."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Text2Semantic(self.config.semantic)
        if self.semantic is not None:
            model.load_state_dict({name: value.float() for name, value in self.semantic.items()})
        return model.train()

    def build_acoustic(self, seed: int) -> AcousticModel:
        """S2 with the base's codebook, in training mode; random weights depend on the seed only."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AcousticModel(self.config.acoustic, self.config.audio)
        if self.acoustic is not None:
            model.load_state_dict({name: value.float() for name, value in self.acoustic.items()})
        model.quantizer.set_entries(self.codebook.float())
        if model.words is not None:
            model.words.hear(*(self.content[name].float() for name in HEARD))
        return model.train()


def random_base(config: EngineConfig, seed: int) -> Base:
    """A base that knows nothing, for tests and for training from scratch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        content = ContentEncoder(config.content)
        codebook = torch.randn(config.acoustic.codes, config.acoustic.code_dim)
    return Base(config, content.state_dict(), codebook, None, None, "")


@functools.lru_cache(maxsize=1)
def starter_base() -> Base:
    """The base shipped in `cloning/engine/starter`. Raises EngineError `missing_base` if its files are not there."""
    return load_base(_STARTER)


def load_base(folder: Path) -> Base:
    """A base from a folder: the content file is needed, the other two are optional (random weights then)."""
    if not (folder / CONTENT_FILE).is_file():
        raise EngineError("missing_base", f"{CONTENT_FILE} is missing; make it: python -m demo.starter")
    files = {name: _read(folder / name) for name in (CONTENT_FILE, SEMANTIC_FILE, ACOUSTIC_FILE)}
    tensors = {name: load(data) if data else None for name, data in files.items()}
    content = tensors[CONTENT_FILE] or {}
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in files.values())).hexdigest()
    config, acoustic = starter(), tensors[ACOUSTIC_FILE]
    if acoustic is not None:
        acoustic = _codes(config, content) | acoustic
    return Base(
        config=config,
        content={name[8:]: value for name, value in content.items() if name.startswith("content.")},
        codebook=content["codebook"],
        semantic=tensors[SEMANTIC_FILE],
        acoustic=acoustic,
        digest=digest,
    )


def _codes(config: EngineConfig, content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What S2's state says of its codes: the codebook and the phone head, which the content file holds already."""
    quantizer = Quantizer(config.acoustic.codes, config.acoustic.code_dim)
    quantizer.set_entries(content["codebook"].float())
    found = {f"{CODES[0]}{name}": value.half() for name, value in quantizer.state_dict().items()}
    weight, bias = (content[f"content.{name}"].half() for name in HEARD)
    return found | {f"{CODES[1]}weight": weight.unsqueeze(2).contiguous(), f"{CODES[1]}bias": bias}


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
