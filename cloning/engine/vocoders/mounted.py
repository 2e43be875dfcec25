"""The vocoders that a deployment brings, in upstream's files and places: nothing is downloaded, nothing is executed.

    Vocoders(folder).of("v3").vocode(mels)      # B x 100 x F log mels -> B x N samples

What is not in the folder is refused by name when it is asked for (`not_mounted`).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.fast import FastDecoder
from cloning.engine.config import AudioConfig
from cloning.engine.errors import CheckpointError, EngineError
from cloning.engine.features.mounted import give_back_memory
from cloning.engine.features.pretrained import built, read_settings, read_weights
from cloning.engine.features.spectrogram import V3_MEL, V4_MEL
from cloning.engine.vocoders.band import BandExtension, load_extension, mounted_here
from cloning.engine.vocoders.bigvgan import BigVgan, BigVganConfig
from cloning.engine.vocoders.fast import DTYPES, FastBigVgan, Precision
from cloning.engine.vocoders.mel_hifigan import RATES, folded, shape_of

Version = Literal["v3", "v4"]
#: Where each lies, relative to the model folder; the names are upstream's.
PLACES: dict[Version, str] = {
    "v3": "models--nvidia--bigvgan_v2_24khz_100band_256x",
    "v4": "gsv-v4-pretrained/vocoder.pth",
}
#: The weights in v3's folder, beside its `config.json`.
BIGVGAN_WEIGHTS = "bigvgan_generator.pt"
V4_RATE = 48_000
#: Most mel frames of one call: ten minutes of v4.
MOST_FRAMES = 60_000


@dataclass(frozen=True, slots=True)
class Vocoder:
    """One loaded vocoder. `audio`: the mels it reads; `sample_rate`, Hz, and `hop`, samples a frame: what it gives.

    May be used by many threads at once.
    """

    version: Version
    audio: AudioConfig
    sample_rate: int
    hop: int
    model: nn.Module

    @torch.inference_mode()
    def vocode(self, mels: Tensor) -> Tensor:
        """Natural-log mels B x 100 x F (not normalised; `features.spectrogram.from_unit` undoes the flow's range) ->
        wave B x (F * hop) float32, -1..1. Raises EngineError `bad_mels` for another shape, no or too many frames, or
        values that are not finite."""
        if mels.dim() != 3 or mels.shape[1] != self.audio.n_mels or not 0 < mels.shape[2] <= MOST_FRAMES:
            raise EngineError("bad_mels", f"expected B x {self.audio.n_mels} x 1..{MOST_FRAMES} mels")
        if not bool(torch.isfinite(mels).all()):
            raise EngineError("bad_mels", "the mels hold NaN or infinity")
        wave: Tensor = self.model(mels.float())
        return wave[:, 0]


class Vocoders:
    """The vocoders of a model folder, each read when it is first needed, once, and shared by all threads."""

    def __init__(self, folder: Path, *, precision: Precision = "float32") -> None:
        if precision not in DTYPES:
            raise EngineError("unsupported_precision", f"vocoders know {', '.join(DTYPES)}, not {precision!r}")
        self.folder = folder
        self.precision: Precision = precision
        self._loaded: dict[Version, Vocoder] = {}
        self._locks: dict[Version, threading.Lock] = {version: threading.Lock() for version in PLACES}
        self._extension: BandExtension | None = None
        self._extending = threading.Lock()

    def has(self, version: Version) -> bool:
        """Whether the files are there; they are not opened."""
        path = self.folder / PLACES[version]
        if version == "v4":
            return path.is_file()
        return all((path / name).is_file() for name in ("config.json", BIGVGAN_WEIGHTS))

    def of(self, version: str) -> Vocoder:
        """The vocoder of "v3" or "v4". Raises EngineError `unsupported_version` for another, CheckpointError:
        `not_mounted`, or what its files are refused for."""
        if version not in PLACES:
            raise EngineError("unsupported_version", f"{version} has its vocoder inside, none is mounted for it")
        known = cast(Version, version)
        with self._locks[known]:
            if known not in self._loaded:
                if not self.has(known):
                    raise CheckpointError("not_mounted", f"{PLACES[known]} is not in the model folder or incomplete")
                read = load_bigvgan if known == "v3" else load_v4
                self._loaded[known] = read(self.folder / PLACES[known], precision=self.precision)
                give_back_memory()
            return self._loaded[known]

    def has_extension(self) -> bool:
        """Whether band extension (24 to 48 kHz, for v3) can be offered; its files are not opened."""
        return mounted_here(self.folder)

    def extension(self) -> BandExtension:
        """The band extension. Raises CheckpointError: `not_mounted`, or what its files are refused for."""
        with self._extending:
            if self._extension is None:
                self._extension = load_extension(self.folder)
            return self._extension


def load_bigvgan(folder: Path, *, precision: Precision = "float32") -> Vocoder:
    """A folder as published (`config.json`, `bigvgan_generator.pt`) -> v3's vocoder. Raises CheckpointError; a BigVGAN
    for other mels or another rate is `bad_config`."""
    config = BigVganConfig.from_settings(read_settings(folder))
    if (config.mels, config.sample_rate, config.hop) != (V3_MEL.n_mels, V3_MEL.sample_rate, V3_MEL.hop):
        raise CheckpointError("bad_config", "this BigVGAN is not for 100 mels at 24 kHz, 256 samples apart")
    found = read_weights(folder / BIGVGAN_WEIGHTS, section="generator")
    model = built(lambda: BigVgan(config), found, torch.float32)
    fast = FastBigVgan(model, precision)
    return Vocoder("v3", V3_MEL, config.sample_rate, config.hop, fast)


def load_v4(path: Path, *, precision: Precision = "float32") -> Vocoder:
    """`vocoder.pth` as published -> v4's vocoder. Raises CheckpointError."""
    found = read_weights(path)
    shape = shape_of(found)
    model = FastDecoder(built(lambda: folded(shape), found, torch.float32), precision)
    return Vocoder("v4", V4_MEL, V4_RATE, math.prod(RATES), model.eval().requires_grad_(False))
