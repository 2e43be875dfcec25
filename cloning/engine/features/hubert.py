"""HuBERT (Hsu et al. 2021), base form: what is being said, 768 numbers for every 20 ms.

Reads the folder of chinese-hubert-base (TencentGameMate, MIT) in the layout of the `transformers` library; parameter
names are its names, the code is our own. Weight norm of the positional convolution is folded at load. Only what that
model uses is built: group norm after the first convolution, layer norm after each sublayer, no adapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.errors import CheckpointError
from cloning.engine.features.packed import pack
from cloning.engine.features.pretrained import built, epsilon, read_settings, read_weights, weights_path, whole_number

#: Rate of the wave it listens to, in Hz.
SAMPLE_RATE = 16_000
#: Vectors that usually come at once: five seconds.
USUAL_ROWS = 250
#: Parts of published files that inference does not use: the mask vector and heads of pre-training.
UNUSED = ("masked_spec_embed", "final_proj.", "label_embs_concat")
#: Settings with the only value that is built.
FIXED = {
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "hidden_act": "gelu",
    "do_stable_layer_norm": False,
    "conv_pos_batch_norm": False,
    "adapter_attn_dim": None,
}

_POSITION = "encoder.pos_conv_embed.conv."


@dataclass(frozen=True, slots=True)
class HubertConfig:
    """Sizes; the defaults are those of chinese-hubert-base."""

    channels: tuple[int, ...] = (512,) * 7
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    projection_norm: bool = True
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    position_kernel: int = 128
    position_groups: int = 16
    epsilon: float = 1e-5

    def frames(self, samples: int) -> int:
        """Frames that a wave of `samples` gives; 0 when it is too short for one."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = max(0, (samples - kernel) // stride + 1)
        return samples


class _Convolution(nn.Module):
    """One step of the feature extractor, B x 1 x T x C to B x 1 x T' x C' (the order that suits the CPU's kernels)."""

    def __init__(self, config: HubertConfig, index: int) -> None:
        super().__init__()
        before = config.channels[index - 1] if index else 1
        channels = config.channels[index]
        self.conv = nn.Conv1d(before, channels, config.kernels[index], config.strides[index], bias=config.conv_bias)
        if index == 0:
            self.layer_norm = nn.GroupNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv.weight[:, :, None].to(memory_format=torch.channels_last)
        x = F.conv2d(x.permute(0, 3, 1, 2), weight, self.conv.bias, (1, self.conv.stride[0]))
        return F.gelu(x).permute(0, 2, 3, 1)

    def first(self, wave: Tensor) -> Tensor:
        """The first step with its norm, N samples to T x C'.

        Every channel is a weighted sum of the same few samples, so its mean and variance over time follow from those
        of the samples (a kernel x kernel covariance). The norm becomes part of the weights, and the long row of
        channels is written once instead of read three times. Moments in float64, the rest in float32.
        """
        windows = wave.float().unfold(0, self.conv.kernel_size[0], self.conv.stride[0]).contiguous()
        exact = windows.double()
        weight = self.conv.weight[:, 0].double()
        middle = exact.mean(0)
        centred = exact - middle
        covariance = centred.T @ centred / len(exact)
        variance = ((weight @ covariance) * weight).sum(1).clamp(min=0)
        # A bias of the convolution moves the mean with it and vanishes.
        scale = self.layer_norm.weight.double() * torch.rsqrt(variance + self.layer_norm.eps)
        shift = self.layer_norm.bias.double() - (weight @ middle) * scale
        return F.gelu(F.linear(windows, (weight * scale[:, None]).float(), shift.float()))


class _Extractor(nn.Module):
    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(_Convolution(config, index) for index in range(len(config.channels)))

    def forward(self, wave: Tensor) -> Tensor:
        """B x N to B x F x C."""
        steps = cast("list[_Convolution]", list(self.conv_layers))
        x = torch.stack([steps[0].first(row) for row in wave])[:, None].to(steps[0].conv.weight.dtype)
        for step in steps[1:]:
            x = step(x)
        return x[:, 0]


class _Projection(nn.Module):
    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        channels = config.channels[-1]
        self.layer_norm = nn.LayerNorm(channels, config.epsilon) if config.projection_norm else None
        self.projection = nn.Linear(channels, config.width)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(x if self.layer_norm is None else self.layer_norm(x))
        return projected


class _Position(nn.Module):
    """Relative position as a wide grouped convolution; an even kernel gives one place too many, which is cut."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        kernel = config.position_kernel
        self.conv = nn.Conv1d(config.width, config.width, kernel, padding=kernel // 2, groups=config.position_groups)

    def forward(self, x: Tensor) -> Tensor:
        placed = self.conv(x.transpose(1, 2).to(self.conv.weight.dtype))
        return F.gelu(placed[..., : x.shape[1]]).transpose(1, 2).to(x.dtype)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(width, inner)
        self.output_dense = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output_dense(F.gelu(self.intermediate_dense(x)))
        return out


class _Layer(nn.Module):
    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config.width, config.heads)
        self.layer_norm = nn.LayerNorm(config.width, config.epsilon)
        self.feed_forward = _FeedForward(config.width, config.inner)
        self.final_layer_norm = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.attention(x))
        out: Tensor = self.final_layer_norm(x + self.feed_forward(x))
        return out


class _Encoder(nn.Module):
    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.pos_conv_embed = _Position(config)
        self.layer_norm = nn.LayerNorm(config.width, config.epsilon)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.pos_conv_embed(x))
        for layer in self.layers:
            x = layer(x)
        return x


class Hubert(nn.Module):
    """Wave at 16 kHz, B x N in any scale (the first norm removes it) -> B x F x width float32, 50 frames a second.

    N must give at least one frame (400 samples for the base form); F = `config.frames(N)`.
    """

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = _Extractor(config)
        self.feature_projection = _Projection(config)
        self.encoder = _Encoder(config)

    def narrow(self, dtype: torch.dtype) -> Hubert:
        """In `dtype`, all but the convolution of positions: on processors with AMX oneDNN turns one of few channels a
        group into noise in bfloat16 (torch 2.11), and it is a tenth of the weights."""
        self.to(dtype).encoder.pos_conv_embed.float()
        return self

    @torch.inference_mode()
    def forward(self, wave: Tensor) -> Tensor:
        if wave.dim() != 2 or self.config.frames(wave.shape[1]) < 1:
            raise ValueError("waves must have the shape (B, N) and be long enough for one frame")
        frames: Tensor = self.encoder(self.feature_projection(self.feature_extractor(wave)))
        return frames.float()


def config_from(settings: Mapping[str, Any]) -> HubertConfig:
    """The folder's settings as sizes. Raises CheckpointError `unsupported_model` for another kind of model and
    `bad_config` for sizes that are missing or out of range."""
    if settings.get("model_type") != "hubert":
        raise CheckpointError("unsupported_model", "the folder does not hold a HuBERT model")
    for name, value in FIXED.items():
        if settings.get(name, value) != value:
            raise CheckpointError("unsupported_model", f"a HuBERT model with `{name}` other than {value} is not built")
    kernels = _row(settings, "conv_kernel", 1, 64)
    config = HubertConfig(
        channels=_row(settings, "conv_dim", 1, 4096),
        kernels=kernels,
        strides=_row(settings, "conv_stride", 1, 64),
        conv_bias=settings.get("conv_bias", False) is True,
        projection_norm=settings.get("feat_proj_layer_norm", True) is True,
        width=whole_number(settings, "hidden_size", 1, 4096),
        layers=whole_number(settings, "num_hidden_layers", 1, 48),
        heads=whole_number(settings, "num_attention_heads", 1, 64),
        inner=whole_number(settings, "intermediate_size", 1, 16384),
        position_kernel=whole_number(settings, "num_conv_pos_embeddings", 1, 512),
        position_groups=whole_number(settings, "num_conv_pos_embedding_groups", 1, 512),
        epsilon=epsilon(settings, "layer_norm_eps"),
    )
    if not len(config.channels) == len(config.kernels) == len(config.strides):
        raise CheckpointError(
            "bad_config", "the convolutions of the HuBERT model are described by rows of unequal length"
        )
    if config.width % config.heads or config.width % config.position_groups:
        raise CheckpointError("bad_config", "the width of the HuBERT model does not divide into its heads and groups")
    return config


def load_hubert(folder: Path, *, dtype: torch.dtype = torch.float32) -> Hubert:
    """The model of a folder with `config.json` and `model.safetensors` or `pytorch_model.bin`, on the CPU.

    dtype bfloat16 halves the memory; see `cloning.engine.bench.features` for what it wins. Raises CheckpointError.
    """
    config = config_from(read_settings(folder))
    model = built(lambda: Hubert(config), _named(read_weights(weights_path(folder))), dtype)
    pack(model.narrow(dtype), rows=USUAL_ROWS)
    return model


def _named(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under the names of `Hubert`: heads dropped, weight norm (in either spelling) folded."""
    kept = {name.removeprefix("hubert."): value for name, value in found.items()}
    kept = {name: value for name, value in kept.items() if not name.startswith(UNUSED)}
    for gain, direction in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        g, v = kept.get(_POSITION + gain), kept.get(_POSITION + direction)
        if g is None or v is None:
            continue
        if v.dim() != 3 or tuple(g.shape) != (1, 1, v.shape[2]):
            raise CheckpointError("wrong_weights", f"{_POSITION}{gain} does not fit {_POSITION}{direction}")
        del kept[_POSITION + gain], kept[_POSITION + direction]
        kept[_POSITION + "weight"] = torch._weight_norm(v.float(), g.float(), 2)
    return kept


def _row(settings: Mapping[str, Any], name: str, low: int, high: int) -> tuple[int, ...]:
    value = settings.get(name)
    if not isinstance(value, list) or not 1 <= len(value) <= 16:
        raise CheckpointError("bad_config", f"`{name}` is not a short list")
    if not all(type(item) is int and low <= item <= high for item in value):
        raise CheckpointError("bad_config", f"`{name}` holds something outside {low}..{high}")
    return tuple(value)
