"""The network of v3 and v4: a diffusion transformer (Peebles and Xie 2023; F5-TTS, Chen et al. 2024) that says which
way a noisy mel should move.

Structure and parameter names are those of the official state dicts (`cfm.estimator.*`, GPT-SoVITS, MIT); the code is
our own. Shapes: B items, F mel frames, M mel bands, W width, C text channels, H heads of D channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from cloning.engine.diffusion_config import DitConfig
from cloning.engine.lowrank import Pair

#: Epsilon of every normalisation here, and of the global response norm.
EPSILON = 1e-6
#: Sinusoids of a time or step size, and the factor before them.
TIME_CHANNELS, TIME_SCALE = 256, 1000.0
#: Positions of the text table; later frames share the last one.
TEXT_POSITIONS = 4096
THETA = 10000.0
#: Of the position convolutions and of the text blocks.
POSITION_KERNEL, POSITION_GROUPS, TEXT_KERNEL = 31, 16, 7
#: Linear layers of a block that a LoRA file may change, by their official names.
ADAPTED = ("to_q", "to_k", "to_v", "to_out.0")

#: For each block, the pairs beside its layers by their names in ADAPTED; a layer without a pair is left out.
DitAdapters = Sequence[Mapping[str, Pair]]


#: Hidden B x F x W, one moment of `Condition.moments`, lengths B, cosines and sines F x D, adapters, frames at the
#: beginning that nobody asks for -> what the last norm gives for the others.
Run = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, Tensor], DitAdapters, int], Tensor]


@dataclass(frozen=True, slots=True)
class Condition:
    """What stays the same over all steps of one sampling: text B x F x C after its blocks, and the step size's
    embedding B x W."""

    text: Tensor
    step: Tensor
    #: Time -> every norm's numbers at that time, made ahead for all steps at once; {} where they are made as they are
    #: needed (see `Dit.ahead`).
    moments: Mapping[float, Tensor] = field(default_factory=dict)
    #: What the first call found and every other one finds again (see `Dit._entered`).
    known: dict[str, Tensor] = field(default_factory=dict)


class TimeEmbedding(nn.Module):
    """A number for each item, B -> B x W."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time_mlp = nn.Sequential(nn.Linear(TIME_CHANNELS, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        half = TIME_CHANNELS // 2
        rates = torch.exp(torch.arange(half, device=time.device).float() * -(math.log(THETA) / (half - 1)))
        angles = TIME_SCALE * time.float()[:, None] * rates
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1)
        out: Tensor = self.time_mlp(waves.to(next(self.parameters()).dtype))
        return out


class ResponseNorm(nn.Module):
    """Global response normalisation (ConvNeXt V2, Woo et al. 2023): each channel by its energy over all frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, channels))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        energy = torch.linalg.vector_norm(x if mask is None else x * mask, dim=1, keepdim=True)
        return self.gamma * (x * (energy / (energy.mean(-1, keepdim=True) + EPSILON))) + self.beta + x


class TextBlock(nn.Module):
    """A ConvNeXt V2 block, B x F x C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(channels, channels, TEXT_KERNEL, padding=TEXT_KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.pwconv1 = nn.Linear(channels, 2 * channels)
        self.grn = ResponseNorm(2 * channels)
        self.pwconv2 = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        seen = x if mask is None else x * mask
        inner = self.norm(self.dwconv(seen.transpose(1, 2)).transpose(1, 2))
        out: Tensor = self.pwconv2(self.grn(F.gelu(self.pwconv1(inner)), mask))
        return x + out


class TextEmbedding(nn.Module):
    """Features of what is said, with their places added, through the text blocks: B x F x C -> B x F x C."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.text_blocks = nn.ModuleList(TextBlock(channels) for _ in range(blocks))
        self.channels = channels

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        x = text + text_places(text.shape[1], self.channels, text.device).to(text.dtype)
        for block in self.text_blocks:
            x = block(x, mask)
        return x


def text_places(count: int, channels: int, device: torch.device) -> Tensor:
    """count x channels float32: cosines of the place in the first half, sines in the second."""
    rates = 1.0 / THETA ** (torch.arange(0, channels, 2, device=device)[: channels // 2].float() / channels)
    places = torch.arange(count, device=device).clamp(max=TEXT_POSITIONS - 1)
    angles = torch.outer(places.float(), rates)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class PositionConvolution(nn.Module):
    """Two wide grouped convolutions that tell a frame where it stands among its neighbours: B x F x W -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def convolution() -> nn.Conv1d:
            return nn.Conv1d(
                width, width, POSITION_KERNEL, padding=POSITION_KERNEL // 2, groups=math.gcd(POSITION_GROUPS, width)
            )

        self.conv1d = nn.Sequential(convolution(), nn.Mish(), convolution(), nn.Mish())

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x.transpose(1, 2)
        if mask is None:
            out: Tensor = self.conv1d(x)
        else:
            columns = mask.transpose(1, 2)
            first, act, second, last = self.conv1d
            out = last(second(act(first(x * columns)) * columns))
        return out.transpose(1, 2)


class InputEmbedding(nn.Module):
    """Noisy mel, prompt mel and text of each frame to one vector: B x F x (2 M + C) -> B x F x W."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * config.mel + config.text, config.width)
        self.conv_pos_embed = PositionConvolution(config.width)

    def forward(self, x: Tensor, prompt: Tensor, text: Tensor, mask: Tensor | None) -> Tensor:
        joined = self.proj(torch.cat((x, prompt, text), dim=-1))
        out: Tensor = self.conv_pos_embed(joined, mask) + joined
        return out


class Rotary(nn.Module):
    """Angles of the rotary embedding (Su et al. 2021). `inv_freq` D / 2 comes from the file."""

    inv_freq: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rates = torch.empty(channels // 2)
        if not rates.is_meta:  # a model without memory (weights.bare) has only shapes
            rates = 1.0 / THETA ** (torch.arange(0, channels, 2).float() / channels)
        self.register_buffer("inv_freq", rates)

    def forward(self, count: int) -> Tensor:
        """count x D float32; neighbouring channels turn together."""
        places = torch.arange(count, device=self.inv_freq.device).float()
        return torch.outer(places, self.inv_freq.float()).repeat_interleave(2, dim=-1)


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """B x F x W with its first D channels turned by the angles. Upstream turns before the heads are split, so only the
    first head knows places; weights were trained that way."""
    width = cosine.shape[-1]
    head = x[..., :width]
    even, odd = head[..., 0::2], head[..., 1::2]
    crossed = torch.stack((-odd, even), dim=-1).flatten(-2)
    return torch.cat((head * cosine + crossed * sine, x[..., width:]), dim=-1)


class DitAttention(nn.Module):
    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.to_q = nn.Linear(config.width, inner)
        self.to_k = nn.Linear(config.width, inner)
        self.to_v = nn.Linear(config.width, inner)
        self.to_out = nn.ModuleList([nn.Linear(inner, config.width), nn.Dropout(config.dropout)])

    def forward(
        self, x: Tensor, mask: Tensor | None, rope: tuple[Tensor, Tensor], adapters: Mapping[str, Pair]
    ) -> Tensor:
        """x B x F x W; mask B x F x 1 (None: all frames are real); rope cosines and sines F x D."""
        query, key, value = (
            with_pair(layer, name, x, adapters)
            for name, layer in (("to_q", self.to_q), ("to_k", self.to_k), ("to_v", self.to_v))
        )
        query, key = turned(query, *rope), turned(key, *rope)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        visible = None if mask is None else (mask > 0).transpose(1, 2)[:, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible).transpose(1, 2).flatten(-2)
        out: Tensor = self.to_out[1](with_pair(self.to_out[0], "to_out.0", mixed, adapters))
        return out if mask is None else out * mask


def with_pair(layer: nn.Module, name: str, x: Tensor, adapters: Mapping[str, Pair]) -> Tensor:
    """The layer's result, and its adapter's beside it where there is one."""
    out: Tensor = layer(x)
    return out + adapters[name](x) if name in adapters else out


class AdaptiveNorm(nn.Module):
    """Layer norm without gains of its own; `parts` x W numbers for each item come from the time (adaLN-zero)."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, parts * width)
        self.parts = parts

    def forward(self, time: Tensor) -> tuple[Tensor, ...]:
        """time B x W -> `parts` tensors B x 1 x W."""
        values: Tensor = self.linear(F.silu(time))
        return values[:, None].chunk(self.parts, dim=-1)


def normed(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift


class DitFeedForward(nn.Module):
    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        inner = config.feed * config.width
        first = nn.Sequential(nn.Linear(config.width, inner), nn.GELU(approximate="tanh"))
        self.ff = nn.Sequential(first, nn.Dropout(config.dropout), nn.Linear(inner, config.width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.ff(x)
        return out


class DitBlock(nn.Module):
    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.attn_norm = AdaptiveNorm(config.width, 6)
        self.attn = DitAttention(config)
        self.ff = DitFeedForward(config)
        inner = config.heads * config.head_width
        #: Outputs and inputs of every layer that may have an adapter.
        self.adaptable = dict.fromkeys(ADAPTED[:3], (inner, config.width)) | {ADAPTED[3]: (config.width, inner)}

    def forward(
        self, x: Tensor, time: Tensor, mask: Tensor | None, rope: tuple[Tensor, Tensor], adapters: Mapping[str, Pair]
    ) -> Tensor:
        shift, scale, gate, feed_shift, feed_scale, feed_gate = self.attn_norm(time)
        x = x + gate * self.attn(normed(x, scale, shift), mask, rope, adapters)
        return x + feed_gate * self.ff(normed(x, feed_scale, feed_shift))


class Dit(nn.Module):
    """`cfm.estimator`. `checkpointing` True: training keeps only each block's input and computes the rest again."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.time_embed = TimeEmbedding(config.width)
        self.d_embed = TimeEmbedding(config.width)
        self.text_embed = TextEmbedding(config.text, config.text_layers)
        self.input_embed = InputEmbedding(config)
        self.rotary_embed = Rotary(config.head_width)
        self.transformer_blocks = nn.ModuleList(DitBlock(config) for _ in range(config.depth))
        self.norm_out = AdaptiveNorm(config.width, 2)
        self.proj_out = nn.Linear(config.width, config.mel)
        #: The blocks as one function, where `dit_fast` has made them so.
        self.run: Run | None = None

    def condition(
        self, text: Tensor, lengths: Tensor, step: Tensor, *, isolated: bool = False, times: Sequence[float] = ()
    ) -> Condition:
        """text B x C x F, lengths B, step sizes B -> what all steps share. `times`: of all calls to come, when all
        items have one step size."""
        mask = self._mask(lengths, text.shape[2], isolated)
        inside = self.proj_out.weight.dtype
        told = self.d_embed(step)
        return Condition(self.text_embed(text.transpose(1, 2).to(inside), mask), told, self.ahead(times, told[:1]))

    def ahead(self, times: Sequence[float], step: Tensor) -> dict[float, Tensor]:
        """What all norms make of each time: a vector is as quick as many, and reading their matrices for each step is
        a fiftieth of its work. Only for `run`; step 1 x W."""
        if self.run is None or not times:
            return {}
        moments = F.silu(self.time_embed(torch.tensor(times)) + step)
        norms = [block.get_submodule("attn_norm.linear") for block in self.transformer_blocks]
        linears = [*norms, self.norm_out.linear]
        rows = torch.cat([linear(moments).float() for linear in linears], dim=-1)
        return dict(zip(times, rows, strict=True))

    def forward(
        self,
        x: Tensor,
        prompt: Tensor,
        lengths: Tensor,
        time: Tensor,
        condition: Condition,
        *,
        adapters: DitAdapters = (),
        isolated: bool = False,
        skip: int = 0,
    ) -> Tensor:
        """Noisy mel and prompt mel B x M x F, lengths B in frames, time B in 0..1 -> velocity B x M x F.

        As upstream trains, convolutions see what stands behind a shorter item; `isolated`: they see zeros, as they
        would if the item were alone. adapters: one entry for each block, () for none. skip: frames at the beginning
        where x is 0 in every call with this condition, and whose velocity nobody asks for; it may be 0 there.
        """
        if adapters and len(adapters) != len(self.transformer_blocks):
            raise ValueError("adapters need one entry for each block")
        frames, outside = x.shape[2], x.dtype
        inside = self.proj_out.weight.dtype
        x, prompt = x.to(inside), prompt.to(inside)
        real = self._mask(lengths, frames, True)
        seen = real if isolated else None
        angles = self.rotary_embed(frames)
        moments = condition.moments.get(float(time[0])) if condition.moments else None
        if self.run is not None and moments is not None:
            hidden = self._entered(x.transpose(1, 2), prompt.transpose(1, 2), condition, seen, skip)
            made = self.run(hidden, moments, lengths, (angles.cos(), angles.sin()), adapters, min(skip, frames - 1))
            velocity: Tensor = self.proj_out(made)
            return F.pad(velocity.transpose(1, 2), (frames - velocity.shape[1], 0)).to(outside)
        hidden = self.input_embed(x.transpose(1, 2), prompt.transpose(1, 2), condition.text, seen)
        moment = self.time_embed(time) + condition.step
        rope = angles.cos().to(hidden.dtype), angles.sin().to(hidden.dtype)
        for index, block in enumerate(self.transformer_blocks):
            beside = adapters[index] if adapters else {}
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(block, hidden, moment, real, rope, beside, use_reentrant=False)
            else:
                hidden = block(hidden, moment, real, rope, beside)
        scale, shift = self.norm_out(moment)
        out: Tensor = self.proj_out(normed(hidden, scale, shift))
        return out.transpose(1, 2).to(outside)

    def _entered(self, x: Tensor, prompt: Tensor, condition: Condition, seen: Tensor | None, skip: int) -> Tensor:
        """`input_embed`, for frames that only see the first `skip` ones once for all calls."""
        reach = 2 * (POSITION_KERNEL // 2)
        parts: list[Tensor | None] = [x, prompt, condition.text, seen]
        before = condition.known.get("entered")
        if before is not None:
            parts = [None if part is None else part[:, skip - 2 * reach :] for part in parts]
        made: Tensor = self.input_embed(*parts)
        if before is not None:
            return torch.cat((before, made[:, reach:]), dim=1)
        if skip > 2 * reach:
            condition.known["entered"] = made[:, : skip - reach].clone()
        return made

    def _mask(self, lengths: Tensor, frames: int, wanted: bool) -> Tensor | None:
        """B x F x 1 of 0 and 1, None when it is not wanted or every frame is real."""
        if not wanted or bool((lengths >= frames).all()):
            return None
        places = torch.arange(frames, device=lengths.device)
        return (places[None] < lengths[:, None]).to(self.proj_out.weight.dtype)[..., None]
