"""S2 of v3 and v4: semantic codes and phones to a mel, by the encoders that all versions share, a bridge, and flow
matching. A vocoder makes sound of the mel.

Structure and parameter names are those of the official state dicts (GPT-SoVITS, MIT); the code is our own. Shapes: B
items, X phones, T codes, F mel frames, M mel bands, G = acoustic.style.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.cfm import FlowMatching
from cloning.engine.acoustic.dit import DitAdapters
from cloning.engine.acoustic.encoders import STACK_KERNEL, PriorEncoder
from cloning.engine.acoustic.generator import check_settings
from cloning.engine.acoustic.layers import GatedStack, length_mask
from cloning.engine.acoustic.quantizer import Quantizer
from cloning.engine.acoustic.style import StyleEncoder
from cloning.engine.config import AudioConfig
from cloning.engine.diffusion_config import DiffusionConfig

#: Of the leaky unit behind the bridge's convolution.
BRIDGE_SLOPE = 0.01
#: Upstream's mask for v3 counts 3.875 mel frames for a code, though there are 3.75: it never cuts anything. Kept.
V3_MASK_FRAMES = 3.875


class BridgeStack(nn.Module):
    """`wns1`: B x C x F -> B x C x F, told of the style (no gradient flows into it)."""

    def __init__(self, channels: int, layers: int, style: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels, channels, 1)
        self.enc = GatedStack(channels, STACK_KERNEL, layers, style)
        self.proj = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        out: Tensor = self.proj(self.enc(self.pre(x) * mask, mask, style.detach())) * mask
        return out


class DiffusionModel(nn.Module):
    """The v3 or v4 generator. `linear_mel` is in the official files and used by nothing."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        #: What a voice adds to the transformer that it shares with its base (`acoustic.lora.beside`); () = nothing.
        self.adapters: DitAdapters = ()
        acoustic = config.acoustic
        self.enc_p = PriorEncoder(acoustic)
        self.ref_enc = StyleEncoder(acoustic, config.audio)
        span = acoustic.frames_per_code
        self.ssl_proj = nn.Conv1d(acoustic.content_dim, acoustic.content_dim, span, span)
        self.quantizer = Quantizer(acoustic.codes, acoustic.code_dim)
        self.cfm = FlowMatching(config.dit)
        channels = config.dit.text
        self.bridge = nn.Sequential(nn.Conv1d(acoustic.hidden, channels, 1), nn.LeakyReLU(BRIDGE_SLOPE))
        self.wns1 = BridgeStack(channels, config.bridge_layers, acoustic.style)
        self.linear_mel = nn.Conv1d(channels, config.dit.mel, 1)
        # What a code means, and how text and codes are read, is the base's; upstream trains none of it either.
        for part in (self.ssl_proj, self.quantizer, self.enc_p):
            part.requires_grad_(False)

    @property
    def audio(self) -> AudioConfig:
        """The sound whose spectrogram the style encoder reads (32 kHz), not the mel's."""
        return self.config.audio

    @torch.no_grad()
    def encode_content(self, content: Tensor) -> Tensor:
        """Content frames B x content_dim x F at 50 Hz -> codes B x T int64 at 25 Hz."""
        return self.quantizer.encode(self.ssl_proj(content))

    def style(self, spec: Tensor, mask: Tensor) -> Tensor:
        """Linear magnitudes B x bins x F, mask B x 1 x F -> style B x G x 1."""
        out: Tensor = self.ref_enc(spec, mask)
        return out

    def reference_style(self, specs: Sequence[Tensor], speakers: Sequence[Tensor] | None = None) -> Tensor:
        """Mean style of references 1 x bins x F -> 1 x G x 1. Nothing here takes a speaker vector."""
        if not specs or speakers is not None:
            raise ValueError("at least one reference, and no speaker vectors")
        return torch.stack([self.style(spec, torch.ones_like(spec[:, :1])) for spec in specs]).mean(0)

    def frames(self, codes: int, speed: float = 1.0) -> int:
        """Mel frames that `features` gives for so many codes."""
        hidden = codes * self.config.acoustic.frames_per_code
        if speed != 1.0:
            hidden = int(hidden / speed) + 1
        return int(hidden * self.config.stretch)

    def features(self, codes: Tensor, phones: Tensor, style: Tensor, speed: float = 1.0) -> Tensor:
        """codes 1 x T, phones 1 x X (of the same words), style 1 x G x 1 -> 1 x C x F, what the flow matching reads.

        Raises ValueError for a speed out of range.
        """
        check_settings(speed, 0.0)
        hidden = self.hidden(codes, phones, style, speed)
        wide = F.interpolate(self.bridge(hidden), scale_factor=self.config.stretch, mode="nearest")
        per_code = V3_MASK_FRAMES if self.config.version == "v3" else self.config.frames_per_code
        real = int(codes.shape[1] * per_code)
        if speed != 1.0:
            real = int(codes.shape[1] * per_code / speed) + 1
        mask = length_mask(torch.tensor([real], device=codes.device), wide.shape[2])
        out: Tensor = self.wns1(wide, mask, style)
        return out

    def hidden(self, codes: Tensor, phones: Tensor, style: Tensor, speed: float = 1.0) -> Tensor:
        """The shared encoders' frames, 1 x hidden x F at 50 Hz, at `speed`."""
        frames = self.quantizer.decode(codes).repeat_interleave(self.config.acoustic.frames_per_code, dim=2)
        lengths = torch.tensor([frames.shape[2]], device=codes.device)
        phone_lengths = torch.tensor([phones.shape[1]], device=codes.device)
        hidden, *_ = self.enc_p(frames, lengths, phones, phone_lengths, style, speed)
        return hidden
