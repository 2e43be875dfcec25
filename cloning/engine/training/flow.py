"""S2 of v3 and v4 on a batch: upstream's flow-matching loss, and what of the model is trained.

Facts of upstream that decide the shape of this (GPT-SoVITS 48b1a01): the encoders up to the bridge run without
gradients and without dropout; the gated layers behind it are told of the style without a gradient. So the style
encoder and `linear_mel`, which fine-tuning is said to train, never move, and a file without them speaks alike.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.cfm import LEAST_BASE, LONG_STEP_SHARE, MOST_BASE
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import ADAPTED, DitAdapters
from cloning.engine.acoustic.layers import length_mask
from cloning.engine.errors import TrainingRefused
from cloning.engine.features.reference_audio import sinc_resample
from cloning.engine.features.spectrogram import linear, log_mel, to_unit
from cloning.engine.lowrank import Pair
from cloning.engine.training.batches import stack
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import FlowRecipe

#: Longest prompt, as a share of the item.
MOST_PROMPT = 2 / 3
#: Parts that learn beside the pairs, by recipe.
LEARNING: Mapping[str, tuple[str, ...]] = {"upstream": ("bridge", "wns1"), "lean": ("bridge",)}


class Trained(nn.Module):
    """What fine-tuning changes, and nothing else: its state dict is what a checkpoint needs.

    With a rank: pairs beside the transformer's attention (`adapters`; peft's start: down uniform, up zero), and the
    model's own bridge and, perhaps, gated layers. Without one: transformer, bridge and gated layers. All else of the
    model is frozen. Raises TrainingRefused `bad_recipe` for a rank above the transformer's width.
    """

    def __init__(self, model: DiffusionModel, recipe: FlowRecipe, *, seed: int) -> None:
        super().__init__()
        model.requires_grad_(False)
        names = (*LEARNING[recipe.parts],) if recipe.rank is not None else ("cfm", "bridge", "wns1")
        self.parts = nn.ModuleDict({name: getattr(model, name).requires_grad_(True) for name in names})
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for name, layer in _attention(model) if recipe.rank is not None else ():
            rank = recipe.rank or 1
            outputs, inputs = layer.weight.shape
            if rank > min(outputs, inputs):
                raise TrainingRefused("bad_recipe", f"rank {rank} is more than the base's width of {inputs}")
            # A bound of 1 / sqrt(inputs) is peft's kaiming_uniform_(a=sqrt(5)).
            key = int.from_bytes(hashlib.sha256(f"{seed}/flow/{name}".encode()).digest()[:8], "big") >> 1
            start = torch.rand(rank, inputs, generator=torch.Generator().manual_seed(key)) * 2 - 1
            self.down[name.replace(".", "/")] = nn.Parameter(start / math.sqrt(inputs))
            self.up[name.replace(".", "/")] = nn.Parameter(torch.zeros(outputs, rank))

    def pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """ "BLOCK.LAYER" -> down R x in, up out x R, as `acoustic.lora.Lora` has them."""
        return {name.replace("/", "."): (self.down[name], self.up[name]) for name in self.down}

    def adapters(self, blocks: int) -> DitAdapters:
        """The pairs as the transformer takes them; () without a rank."""
        if not len(self.down):
            return ()
        rows: list[dict[str, Pair]] = [{} for _ in range(blocks)]
        for name, (down, up) in self.pairs().items():
            number, layer = name.split(".", 1)
            rows[int(number)][layer] = Pair(down, up, 1.0)
        return rows


def _attention(model: DiffusionModel) -> Iterator[tuple[str, nn.Linear]]:
    for number, block in enumerate(model.cfm.estimator.transformer_blocks):
        for name in ADAPTED:
            layer = block.get_submodule(f"attn.{name}")
            assert isinstance(layer, nn.Linear)
            yield f"{number}.{name}", layer


def learning_mode(model: DiffusionModel) -> None:
    """Training mode but for the encoders that stay as they are."""
    model.train()
    for part in (model.ssl_proj, model.quantizer, model.enc_p):
        part.eval()


def flow_mels(model: DiffusionModel, wave: Tensor) -> Tensor:
    """B x N at the model's rate (32 kHz) -> the mels that the flow makes, B x M x F in the unit range."""
    audio = model.config.mel
    if audio.sample_rate != model.audio.sample_rate:
        wave = sinc_resample(wave, model.audio.sample_rate, audio.sample_rate)
    return to_unit(log_mel(linear(wave, audio), audio))


def flow_loss(
    model: DiffusionModel, items: Sequence[Item], generator: torch.Generator, adapters: DitAdapters = ()
) -> Tensor:
    """Upstream's loss of one batch, plain or (with probability LONG_STEP_SHARE) bootstrap. All draws come from
    `generator` (CPU), dropout from torch's global one."""
    device = next(model.parameters()).device
    span = model.config.acoustic.frames_per_code
    codes, counts = stack([item.codes for item in items], 2)
    phones, phone_counts = stack([item.phones for item in items], 1)
    hop = model.audio.hop
    specs = [linear(item.wave[None], model.audio)[0] for item in items]
    spec = torch.stack([F.pad(one, (0, codes.shape[1] * span - one.shape[1])) for one in specs]).to(device)
    lengths = (counts * span).to(device)
    with torch.no_grad():
        mask = length_mask(lengths, spec.shape[2])
        style = model.style(spec * mask, mask)
        frames = model.quantizer.decode(codes.to(device)).repeat_interleave(span, dim=2)
        hidden, _ = model.enc_p.hidden(frames, lengths, phones.to(device), phone_counts.to(device), style)
        mels = [flow_mels(model, item.wave[None, : int(n) * span * hop]) for item, n in zip(items, counts, strict=True)]
    wide = F.interpolate(model.bridge(hidden), scale_factor=model.config.stretch, mode="nearest")
    real = torch.tensor([min(one.shape[2], wide.shape[2]) for one in mels])
    text = model.wns1(wide, length_mask(real.to(device), wide.shape[2]), style)
    width = int(real.max())
    mel = torch.cat([F.pad(one[..., :width], (0, width - min(width, one.shape[2]))) for one in mels]).to(device)
    draw = torch.rand(2 * len(items) + 1, generator=generator)
    held = (draw[: len(items)] * (real * MOST_PROMPT)).floor().long()
    bases = torch.randint(LEAST_BASE, MOST_BASE + 1, (len(items),), generator=generator)
    noise = torch.randn(mel.shape, generator=generator)
    return model.cfm.loss(
        mel, real.to(device), held.to(device), text[..., :width], noise=noise.to(device),
        time=draw[len(items) : -1].to(device), bases=bases.to(device) if float(draw[-1]) < LONG_STEP_SHARE else None,
        adapters=adapters,
    )  # fmt: skip
