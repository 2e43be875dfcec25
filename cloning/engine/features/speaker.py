"""ERes2NetV2 (Chen et al. 2024): how a voice sounds, 20,480 numbers for one recording, as v2Pro and v2ProPlus take it.

Reads pretrained_eres2netv2w24s4ep4.ckpt (3D-Speaker, Apache-2.0); parameter names are its names, the code is our own.
The official service does not use the model's own embedding but the map before its pooling, averaged over time, so
the last linear layer is not built. Shapes: B x C x mels x frames inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.features.fbank import fbank
from cloning.engine.features.packed import pack
from cloning.engine.features.pretrained import built, read_weights

#: Length of a speaker vector: 2,048 channels x 10 mel places.
SPEAKER_DIM = 20_480
#: Shape of the published model: channels after the stem, blocks of each stage, width per 64 channels, splits, widening.
CHANNELS, BLOCKS, BASE_WIDTH, SPLITS, EXPANSION = 64, (3, 4, 6, 3), 24, 4, 4
BANDS = 80
#: Ceiling of the activations inside blocks (the original clips at 20).
CEILING = 20.0
#: Places of a map that usually come at once: 20 mels x 250 frames.
USUAL_ROWS = 5000
#: Names in the published file that the vector does not need.
UNUSED_START, UNUSED_END = "seg_1.", ".num_batches_tracked"


class _Norm(nn.Module):
    """Batch norm with its statistics frozen; they can be folded into the convolution before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, variance, self.weight, self.bias)


class _Fusion(nn.Module):
    """Attentional feature fusion: how much of either map to take, decided place by place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.local_att = nn.Sequential(
            nn.Conv2d(2 * channels, inner, 1), _Norm(inner), nn.SiLU(), nn.Conv2d(inner, channels, 1), _Norm(channels)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        lean = self.local_att(torch.cat((x, y), dim=1)).tanh_()
        return torch.addcmul(x + y, lean, x - y)


class _Block(nn.Module):
    """Bottleneck whose middle is a chain of narrow convolutions, each hearing the one before it (Res2Net).

    `fused`: the chain is joined by attention instead of addition.
    """

    def __init__(self, before: int, planes: int, stride: int, *, fused: bool) -> None:
        super().__init__()
        width = planes * BASE_WIDTH // 64
        after = planes * EXPANSION
        self.width = width
        self.conv1 = nn.Conv2d(before, width * SPLITS, 1, stride, bias=False)
        self.bn1 = _Norm(width * SPLITS)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(SPLITS))
        self.bns = nn.ModuleList(_Norm(width) for _ in range(SPLITS))
        self.fuse_models = nn.ModuleList(_Fusion(width) for _ in range(SPLITS - 1)) if fused else None
        self.conv3 = nn.Conv2d(width * SPLITS, after, 1, bias=False)
        self.bn3 = _Norm(after)
        same = stride == 1 and before == after
        self.shortcut = (
            nn.Sequential() if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), _Norm(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = _clipped(self.bn1(self.conv1(x))).split(self.width, dim=1)
        heard: list[Tensor] = []
        for index, part in enumerate(parts):
            if index:
                fuse = None if self.fuse_models is None else self.fuse_models[index - 1]
                part = heard[-1] + part if fuse is None else fuse(heard[-1], part)
            heard.append(_clipped(self.bns[index](self.convs[index](part))))
        out = self.bn3(self.conv3(torch.cat(heard, dim=1)))
        return _clipped(out.add_(self.shortcut(x)))


def _clipped(x: Tensor) -> Tensor:
    """In place: the maps of a ten-second recording have 80 MB each."""
    return x.clamp_(0.0, CEILING)


def _stage(before: int, planes: int, blocks: int, stride: int, *, fused: bool) -> nn.Sequential:
    after = planes * EXPANSION
    return nn.Sequential(
        *(_Block(after if index else before, planes, 1 if index else stride, fused=fused) for index in range(blocks))
    )


class SpeakerEncoder(nn.Module):
    """Wave at 16 kHz to a speaker vector. `fbank` and `forward` can be called apart."""

    def __init__(self) -> None:
        super().__init__()
        c, wide = CHANNELS, CHANNELS * EXPANSION
        self.conv1 = nn.Conv2d(1, c, 3, padding=1, bias=False)
        self.bn1 = _Norm(c)
        self.layer1 = _stage(c, c, BLOCKS[0], 1, fused=False)
        self.layer2 = _stage(wide, 2 * c, BLOCKS[1], 2, fused=False)
        self.layer3 = _stage(2 * wide, 4 * c, BLOCKS[2], 2, fused=True)
        self.layer4 = _stage(4 * wide, 8 * c, BLOCKS[3], 2, fused=True)
        self.layer3_ds = nn.Conv2d(4 * wide, 8 * wide, 3, 2, padding=1, bias=False)
        self.fuse34 = _Fusion(8 * wide)

    @torch.inference_mode()
    def forward(self, features: Tensor) -> Tensor:
        """Filter banks B x F x 80 -> B x 20480 float32 (upstream's forward3)."""
        x = features.transpose(1, 2)[:, None].to(memory_format=torch.channels_last)
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        x = self.layer3(x)
        x = self.fuse34(self.layer4(x), self.layer3_ds(x))
        return x.mean(3).flatten(1)

    def embed(self, wave: Tensor) -> Tensor:
        """Waves B x N at 16 kHz, N >= 400 -> B x 20480 float32."""
        vector: Tensor = self(fbank(wave, bands=BANDS))
        return vector


def fold(part: nn.Module) -> None:
    """Work every frozen norm into the convolution before it, in place; equal up to the rounding of float32.

    A norm is taken to belong to the convolution that was registered before it under the matching name.
    """
    for owner in list(part.modules()):
        if isinstance(owner, nn.Sequential):
            for index, norm in enumerate(owner):
                if isinstance(norm, _Norm):
                    _merge(owner[index - 1], norm)
                    owner[index] = nn.Identity()
            continue
        for name, norm in list(owner.named_children()):
            if isinstance(norm, _Norm):
                _merge(owner.get_submodule(name.replace("bn", "conv")), norm)
                setattr(owner, name, nn.Identity())
        if isinstance(owner, _Block):
            for index, norm in enumerate(owner.bns):
                _merge(owner.convs[index], norm)
                owner.bns[index] = nn.Identity()


def _merge(convolution: nn.Module, norm: nn.Module) -> None:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, _Norm)
    mean, variance = norm.get_buffer("running_mean").double(), norm.get_buffer("running_var").double()
    scale = norm.weight.double() * torch.rsqrt(variance + 1e-5)
    bias = 0.0 if convolution.bias is None else convolution.bias.double()
    weight = convolution.weight
    shift = norm.bias.double() + (bias - mean) * scale
    convolution.weight = nn.Parameter((weight.double() * scale[:, None, None, None]).to(weight.dtype), False)
    convolution.bias = nn.Parameter(shift.to(weight.dtype), False)


def speaker_encoder(found: Mapping[str, Tensor]) -> SpeakerEncoder:
    """The model from the tensors of the published file, norms folded. Single precision only: half the digits of
    bfloat16 are visible in the vector. Raises CheckpointError."""
    kept = {
        name: value
        for name, value in found.items()
        if not name.startswith(UNUSED_START) and not name.endswith(UNUSED_END)
    }
    model = built(SpeakerEncoder, kept, torch.float32)
    fold(model)
    pack(model, rows=USUAL_ROWS)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
    return model


def load_speaker_encoder(path: Path) -> SpeakerEncoder:
    """The model of pretrained_eres2netv2w24s4ep4.ckpt, on the CPU. Raises CheckpointError."""
    return speaker_encoder(read_weights(path))
