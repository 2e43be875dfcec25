"""What a v3 or v4 model looks like (see `config`): `official_diffusion("v3" | "v4")` has the published sizes,
`tiny_diffusion` is the smallest thing that still has every part (tests)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from cloning.engine.bounded import check_values, must, within
from cloning.engine.config import AcousticConfig, AudioConfig, official
from cloning.engine.errors import ConfigError
from cloning.engine.features.spectrogram import V3_MEL, V4_MEL

#: Versions whose S2 is a flow-matching model.
DIFFUSION = ("v3", "v4")


@dataclass(frozen=True, slots=True)
class DitConfig:
    """The diffusion transformer of v3 and v4. Widths in channels; the defaults are the published size (337 M
    parameters)."""

    width: int = field(default=1024, metadata=within(8, 2048))
    depth: int = field(default=22, metadata=within(1, 48))
    heads: int = field(default=16, metadata=within(1, 64))
    head_width: int = field(default=64, metadata=within(2, 256))
    feed: int = field(default=2, metadata=within(1, 8))
    mel: int = field(default=100, metadata=within(8, 256))
    text: int = field(default=512, metadata=within(8, 1024))
    text_layers: int = field(default=4, metadata=within(0, 16))
    dropout: float = field(default=0.1, metadata=within(0.0, 0.9))

    def validate(self) -> None:
        check_values(self)
        must(self.head_width % 2 == 0 and self.text % 2 == 0, "dit: head_width and text must be even")


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """S2 of v3 and v4: the shared encoders of `acoustic` (its decoder, flow and posterior are not built), then a bridge
    of `bridge_layers` gated layers to the frame rate of `mel`, then flow matching.

    `stretch`: mel frames for each of the encoders' frames (50 a second)."""

    version: Literal["v3", "v4"]
    acoustic: AcousticConfig
    dit: DitConfig
    audio: AudioConfig
    mel: AudioConfig
    bridge_layers: int = field(default=8, metadata=within(1, 16))

    def __post_init__(self) -> None:
        for part in (self.audio, self.acoustic, self.dit, self.mel):
            part.validate()
        check_values(self)
        must(self.acoustic.latent == self.acoustic.hidden, "diffusion: inter_channels must equal hidden_channels")
        must(self.dit.mel == self.mel.n_mels, "diffusion: the network and the mel differ in bands")
        must(self.acoustic.speaker_dim == 0, "diffusion: there is no speaker vector")

    @property
    def stretch(self) -> float:
        """1.875 for v3, 2 for v4."""
        return self.mel.frame_rate / self.audio.frame_rate

    @property
    def frames_per_code(self) -> float:
        """Mel frames of one semantic code: 3.75 for v3, 4 for v4."""
        return self.stretch * self.acoustic.frames_per_code


def official_diffusion(version: str) -> DiffusionConfig:
    """The published sizes of v3 and v4. Raises ConfigError for another version."""
    if version not in ("v3", "v4"):
        raise ConfigError("unsupported_version", f"no flow-matching model {version!r:.40}; known: v3, v4")
    base = official("v2")
    return DiffusionConfig(
        version="v3" if version == "v3" else "v4",
        acoustic=base.acoustic,
        dit=DitConfig(),
        audio=base.audio,
        mel=V3_MEL if version == "v3" else V4_MEL,
    )


def tiny_diffusion(version: str) -> DiffusionConfig:
    """Every part of v3 or v4 at the smallest useful size; builds and runs in milliseconds. For tests only."""
    base = official_diffusion(version)
    acoustic = dataclasses.replace(
        base.acoustic, content_dim=16, codes=64, hidden=16, latent=16, filter=24, style=16, mrte_width=16, mrte_heads=2,
        style_hidden=16, code_layers=1, text_layers=1, joint_layers=1, dropout=0.0, upsample_initial=32,
    )  # fmt: skip
    dit = DitConfig(width=32, depth=2, heads=2, head_width=16, text=16, text_layers=1, dropout=0.0)
    return dataclasses.replace(base, acoustic=acoustic, dit=dit, bridge_layers=2)
