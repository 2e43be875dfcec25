"""Speed, agreement and memory of the mounted encoders at full size, beside what the official code runs.

The plain forms do what the transformers library and 3D-Speaker do: convolutions in PyTorch's own order with the norm
after them, weight norm computed in every call, batch norm apart, single precision through MKL; BERT with all its layers
and its language-model head. Weights follow from their names; no file is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.bench.timing import MEGABYTE, added_memory, interleaved
from cloning.engine.features.bert import Bert, BertConfig
from cloning.engine.features.fbank import fbank
from cloning.engine.features.hubert import SAMPLE_RATE, Hubert, HubertConfig
from cloning.engine.features.packed import pack
from cloning.engine.features.speaker import SpeakerEncoder, speaker_encoder
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.weights import fill, outline

SEED = 3801
SECONDS, QUICK_SECONDS = 5, 1
TOKENS, QUICK_TOKENS = 32, 8
ROUNDS, QUICK_ROUNDS = 7, 2


def run(threads: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Rows for HuBERT (5 s), BERT (32 characters) and the speaker encoder (5 s): plain, then each form offered.

    `seconds` is CPU time of the best of interleaved rounds, `ratio` plain over this. `max_difference` is against the
    plain form; `cosine`, of bfloat16, the least over frames or characters. Memory is the form's weights plus the most
    that resident memory rose during one call (Linux only, else None).
    """
    torch.set_num_threads(threads)
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    return [
        *hubert_rows(HubertConfig(), samples=seconds * SAMPLE_RATE, rounds=rounds),
        *bert_rows(BertConfig(), characters=QUICK_TOKENS if quick else TOKENS, rounds=rounds),
        *speaker_rows(samples=seconds * SAMPLE_RATE, rounds=rounds),
    ]


@torch.inference_mode()
def hubert_rows(config: HubertConfig, *, samples: int, rounds: int) -> list[dict[str, Any]]:
    """HuBERT of any size over one wave."""
    model = fill(lambda: Hubert(config), recipe_state(outline(lambda: Hubert(config)), SEED))
    wave = _wave(samples)
    forms: dict[str, nn.Module] = {
        "plain": model, "float32": copy.deepcopy(model), "bfloat16": copy.deepcopy(model).narrow(torch.bfloat16),
    }  # fmt: skip
    sizes = {name: weight_bytes(form) for name, form in forms.items()}
    for name in ("float32", "bfloat16"):
        pack(forms[name], rows=config.frames(samples))
    calls: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain_hubert(model, wave),
        "float32": lambda: forms["float32"](wave),
        "bfloat16": lambda: forms["bfloat16"](wave),
    }
    return _rows("features hubert", calls, sizes, rounds, {"audio_seconds": samples / SAMPLE_RATE})


def plain_hubert(model: Hubert, wave: Tensor) -> Tensor:
    """What the transformers library computes, in its order: B x N -> B x F x width."""
    x = wave[:, None]
    for step in model.feature_extractor.conv_layers:
        assert isinstance(step.conv, nn.Conv1d)
        x = step.conv(x)
        if isinstance(norm := getattr(step, "layer_norm", None), nn.GroupNorm):
            x = norm(x)
        x = F.gelu(x)
    x = model.feature_projection(x.transpose(1, 2))
    encoder = model.encoder
    position = encoder.pos_conv_embed.conv
    gain = position.weight.norm(dim=(0, 1), keepdim=True)
    weight = torch._weight_norm(position.weight, gain, 2)
    placed = F.conv1d(x.transpose(1, 2), weight, position.bias, padding=position.padding, groups=position.groups)
    x = encoder.layer_norm(x + F.gelu(placed[..., : x.shape[1]]).transpose(1, 2))
    for layer in encoder.layers:
        x = layer(x)
    return x


class _Head(nn.Module):
    """The language-model head, whose result the official code throws away."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, config.epsilon)
        self.decoder = nn.Linear(config.width, config.vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.decoder(self.norm(F.gelu(self.dense(x))))
        return scores


@torch.inference_mode()
def bert_rows(config: BertConfig, *, characters: int, rounds: int) -> list[dict[str, Any]]:
    """BERT of any size over one sentence."""
    model = fill(lambda: Bert(config), recipe_state(outline(lambda: Bert(config)), SEED))
    # The layers that are not built have other weights than the official ones would; their time is the same.
    late = copy.deepcopy(nn.ModuleList(list(model.encoder.layer)[: config.layers - config.built_layers]))
    head = fill(lambda: _Head(config), recipe_state(outline(lambda: _Head(config)), SEED))
    ids = torch.randint(0, config.vocabulary, (1, characters + 2), generator=torch.Generator().manual_seed(SEED))
    forms = _narrowed(model)
    for form in forms.values():
        pack(form, rows=characters + 2)

    def plain() -> Tensor:
        state: Tensor = model(ids)
        x = state
        for layer in late:
            x = layer(x)
        head(x)
        return state

    calls: dict[str, Callable[[], Tensor]] = {
        "plain": plain,
        "float32": lambda: forms["float32"](ids),
        "bfloat16": lambda: forms["bfloat16"](ids),
    }
    sizes = _sizes(weight_bytes(model), extra=weight_bytes(late) + weight_bytes(head))
    return _rows("features bert", calls, sizes, rounds, {"characters": characters})


@torch.inference_mode()
def speaker_rows(*, samples: int, rounds: int) -> list[dict[str, Any]]:
    """The speaker encoder over one wave."""
    state = recipe_state(outline(SpeakerEncoder), SEED)
    plain, folded = fill(SpeakerEncoder, state), speaker_encoder(state)
    size = weight_bytes(plain)
    features = fbank(_wave(samples))

    def apart() -> Tensor:
        x = F.relu(plain.bn1(plain.conv1(features.transpose(1, 2)[:, None])))
        third = plain.layer3(plain.layer2(plain.layer1(x)))
        return plain.fuse34(plain.layer4(third), plain.layer3_ds(third)).mean(3).flatten(1)

    calls: dict[str, Callable[[], Tensor]] = {"plain": apart, "float32": lambda: folded(features)}
    return _rows("features speaker", calls, _sizes(size), rounds, {"audio_seconds": samples / SAMPLE_RATE})


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def _wave(samples: int) -> Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(SEED)) * 0.1


def _narrowed(model: nn.Module) -> dict[str, nn.Module]:
    return {"float32": copy.deepcopy(model), "bfloat16": copy.deepcopy(model).to(torch.bfloat16)}


def _sizes(size: int, extra: int = 0) -> dict[str, int]:
    return {"plain": size + extra, "float32": size, "bfloat16": size // 2}


def _rows(
    part: str,
    calls: Mapping[str, Callable[[], Tensor]],
    sizes: Mapping[str, int],
    rounds: int,
    about: Mapping[str, float],
) -> list[dict[str, Any]]:
    reference = calls["plain"]().clone()
    times = interleaved(calls, rounds=rounds)
    rows = []
    for name, call in calls.items():
        row: dict[str, Any] = {
            "part": part,
            "variant": "plain" if name == "plain" else "packed",
            "precision": "float32" if name == "plain" else name,
            "seconds": times[name].cpu,
            **about,
            "reference_seconds": times["plain"].cpu,
            "ratio": times["plain"].cpu / times[name].cpu,
            "wall_seconds": times[name].wall,
        }
        if name == "float32":
            row["max_difference"] = float((call() - reference).abs().max())
        elif name == "bfloat16":
            row["cosine"] = float(F.cosine_similarity(call(), reference, dim=2).min())
        added = added_memory(call)
        row["peak_memory_mb"] = None if added is None else sizes[name] / MEGABYTE + added
        rows.append(row)
    return rows
