"""Adapters in a model that trains: the base is frozen, every adapted layer adds its low-rank part (see engine/lowrank).

One model can carry the adapters of several voices. A batch then is V blocks of equally many items, block v being voice
v's, and each block meets its own adapter in one batched product (as Punica and S-LoRA do for inference; Chen et al.
2023, Sheng et al. 2023). The blocks share the base's big products and nothing else, so no voice moves another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.lowrank import DOWN, MOST_ALPHA, MOST_RANK, PLACES, UP, Target, layers, merged
from cloning.engine.semantic.model import KeyValueCache, SelfAttention, Text2Semantic

#: Name of the child module that an adapted layer gets.
CHILD = "adapter"


@dataclass(frozen=True)
class AdapterRecipe:
    """`rank` of every adapter, `alpha` (a layer adds alpha / rank times its pair), and `rate`: how much higher the
    learning rate is than in full fine-tuning, because low-rank pairs start from nothing.

    Measured with 51 s of a voice that the starter had never heard: at 20 the held-out loss of S1 falls as far as in
    full fine-tuning with the same steps; at 3 hardly, at 30 further than a recipe that must not unlearn reading wants.
    Rank 8 is 6.4 MB a voice for v2 (half precision), 7.2 MB for v2ProPlus; rank 12 is the most below 10 MB for v2.
    """

    rank: int = 8
    alpha: float = 16.0
    rate: float = 20.0

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MOST_RANK:
            raise ValueError(f"rank must be 1..{MOST_RANK}")
        if not 0 < self.alpha <= MOST_ALPHA:
            raise ValueError(f"alpha must be above 0 and at most {MOST_ALPHA:g}")
        if not 0 < self.rate <= 1000:
            raise ValueError("rate must be above 0 and at most 1000")

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class Adapter(nn.Module):
    """The pairs of one layer for V voices: `down` V x the target's shape, `up` V x out x R."""

    def __init__(self, target: Target, recipe: AdapterRecipe, voices: int, settings: Mapping[str, Any] | None) -> None:
        super().__init__()
        down, up = target.shapes(recipe.rank)
        self.down = nn.Parameter(torch.zeros(voices, *down))
        self.up = nn.Parameter(torch.zeros(voices, *up))
        self.scale = recipe.scale
        self.transposed = target.transposed
        #: None for a linear layer, else the convolution's stride, padding and dilation.
        self.settings = settings
        self.pointwise = (
            settings is not None and not self.transposed and down[-1] == 1 and settings["stride"] in (1, (1,))
        )
        #: The voices that the rows of a batch belong to, in blocks; all of them unless `Attached.only` says otherwise.
        self.block = slice(None)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer adds for x, the layer's own input: rows in V equal blocks."""
        down, up = self.down[self.block], self.up[self.block]
        voices = down.shape[0]
        if self.settings is None:
            blocks = x.reshape(voices, -1, x.shape[-1])
            out = blocks @ down.transpose(1, 2) @ (up.transpose(1, 2) * self.scale)
            return out.view(*x.shape[:-1], -1)
        items = x.shape[0] // voices
        if self.pointwise:
            rows = down[:, None, :, :, 0] @ x.view(voices, items, *x.shape[1:])
            return ((up * self.scale)[:, None] @ rows).flatten(0, 1)
        # One grouped convolution: the voices stand side by side as groups of channels.
        side = x.view(voices, items, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
        convolve = F.conv_transpose1d if self.transposed else F.conv1d
        inner = convolve(side, down.flatten(0, 1), groups=voices, **self.settings)
        rows = inner.view(items, voices, -1, inner.shape[-1]).transpose(0, 1)
        return ((up * self.scale)[:, None] @ rows).flatten(0, 1)


class Attached:
    """The adapters of a model, for as long as they are in it."""

    def __init__(self, model: nn.Module, part: str, recipe: AdapterRecipe) -> None:
        self.model = model
        self.part = part
        self.recipe = recipe
        self.adapters: dict[str, Adapter] = {}
        self.targets: dict[str, Target] = {}
        self._handles: list[RemovableHandle] = []
        self._modules: list[nn.Module] = []
        #: The attentions' own ways forward, where they had one.
        self._before: dict[nn.Module, Callable[..., Tensor]] = {}

    @property
    def voices(self) -> int:
        return next(iter(self.adapters.values())).down.shape[0]

    def pairs(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every adapter tensor under its name in files, V x its shape there, in one fixed order."""
        for name in sorted(self.adapters):
            yield f"{name}.{DOWN}", self.adapters[name].down
            yield f"{name}.{UP}", self.adapters[name].up

    def state(self, voice: int = 0) -> dict[str, Tensor]:
        """A copy of one voice's adapters, float32 on the CPU."""
        return {name: value[voice].detach().float().cpu().clone() for name, value in self.pairs()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor], voice: int = 0) -> None:
        """The inverse of `state`. Raises KeyError or RuntimeError for other names or shapes."""
        for name, value in self.pairs():
            value[voice].copy_(state[name])

    @contextmanager
    def only(self, start: int, end: int) -> Iterator[None]:
        """Within, a batch is made of blocks of the voices start..end-1 only."""
        for adapter in self.adapters.values():
            adapter.block = slice(start, end)
        try:
            yield
        finally:
            for adapter in self.adapters.values():
                adapter.block = slice(None)

    def remove(self) -> None:
        """Take the adapters out; the model is the base again (its parameters stay frozen)."""
        for handle in self._handles:
            handle.remove()
        for module in self._modules:
            delattr(module, CHILD)
            if isinstance(module, SelfAttention):
                del module.forward
                vars(module).update({"forward": self._before[module]} if module in self._before else {})
        self._handles.clear()
        self._modules.clear()
        self._before.clear()

    def merged(self, voice: int = 0) -> dict[str, Tensor]:
        """The model's state dict with one voice's adapters added in, under the names of the plain model."""
        weights = {
            k: v for k, v in self.model.state_dict().items() if not k.endswith((f".{CHILD}.down", f".{CHILD}.up"))
        }
        return merged(weights, self.state(voice), self.targets, self.recipe.scale)

    def fold(self, voice: int = 0) -> None:
        """Add one voice's adapters into the model's own weights and take them out: same function, plain layers."""
        whole = self.merged(voice)
        self.remove()
        self.model.load_state_dict(whole)


def attach(model: nn.Module, recipe: AdapterRecipe, *, seeds: Sequence[int] = (0,)) -> Attached:
    """Freeze the model and give its layers the adapters of len(seeds) voices, where the model now lies.

    `model` is a Text2Semantic or an AcousticModel. At the start nothing changes (`up` is zero, `down` uniform as for a
    linear layer), and a voice's start depends on its own seed alone. The adapters are children of the layers, so
    `model.parameters()` and `model.state_dict()` include them.
    """
    part = "semantic" if isinstance(model, Text2Semantic) else "acoustic"
    found = list(layers(model, PLACES[part]))
    if any(hasattr(module, CHILD) for _, module in found):
        raise ValueError("this model has adapters already")
    model.requires_grad_(False)
    attached = Attached(model, part, recipe)
    for target, module in found:
        adapter = Adapter(target, recipe, len(seeds), _settings(module))
        for voice, seed in enumerate(seeds):
            _begin(adapter, voice, f"{seed}/{part}/{target.name}")
        setattr(module, CHILD, adapter.to(next(module.parameters()).device))
        attached.adapters[target.name], attached.targets[target.name] = adapter, target
        attached._modules.append(module)
        if isinstance(module, SelfAttention):
            if "forward" in vars(module):
                attached._before[module] = module.forward
            vars(module)["forward"] = MethodType(_attend, module)
        else:
            attached._handles.append(module.register_forward_hook(_added))
    return attached


def _begin(adapter: Adapter, voice: int, key: str) -> None:
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
    row = adapter.down.data[voice]
    inputs = row.numel() // row.shape[1 if adapter.transposed else 0]
    bound = 1 / math.sqrt(inputs)
    row.copy_(torch.empty(row.shape).uniform_(-bound, bound, generator=torch.Generator().manual_seed(number)))


def _settings(module: nn.Module) -> dict[str, Any] | None:
    if isinstance(module, NormedTransposedConv):
        return {"stride": module.rate, "padding": module.padding}
    if isinstance(module, NormedConv):
        return {key: value for key, value in module.settings.items() if key != "groups"}
    if isinstance(module, nn.Conv1d):
        return {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
    return None


def _added(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
    added: Tensor = module.adapter(inputs[0])  # type: ignore[operator]
    return out + added


def _attend(
    self: SelfAttention, x: Tensor, visible: Tensor | None, cache: KeyValueCache | None = None, layer: int = 0
) -> Tensor:
    """SelfAttention.forward with the adapter of the fused input matrix, which is no layer of its own to hook into."""
    if cache is not None:
        raise ValueError("decoding with a cache needs folded adapters")
    batch, count, width = x.shape
    fused = F.linear(x, self.in_proj_weight, self.in_proj_bias) + self.adapter(x)  # type: ignore[operator]
    query, key, value = fused.view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(
        query, key, value, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
    )
    out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, count, width))
    return out
