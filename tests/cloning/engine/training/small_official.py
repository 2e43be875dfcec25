"""A base in the official files' format, small where the format lets it, and the mounted models that go with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig, official
from cloning.engine.features.hubert import Hubert, HubertConfig
from cloning.engine.features.speaker import SpeakerEncoder
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.weights import outline
from tests.cloning.engine.features.mounts import HUBERT_SETTINGS, write_settings

_POSITION = "encoder.pos_conv_embed.conv."


def config(version: str = "v2") -> EngineConfig:
    """Widths the files may choose are small, the others are the published ones."""
    whole = official(version)
    return dataclasses.replace(
        whole,
        semantic=dataclasses.replace(whole.semantic, width=32, heads=2, layers=1),
        acoustic=dataclasses.replace(
            whole.acoustic, hidden=16, filter=24, latent=8, text_layers=2, code_layers=1, joint_layers=1,
            posterior_hidden=16, flow_hidden=16, upsample_initial=32,
        ),
    )  # fmt: skip


def write_base(folder: Path, *, posterior: bool = True, version: str = "v2", critics: bool = False) -> Path:
    """s1.ckpt, s2G.pth and perhaps s2D.pth with weights of the recipe W1, as plain dictionaries."""
    c = config(version)
    folder.mkdir(parents=True, exist_ok=True)
    s1 = recipe_state(outline(lambda: Text2Semantic(c.semantic)), 5)
    s2 = recipe_state(outline(lambda: AcousticModel(c.acoustic, c.audio, posterior=posterior)), 6)
    s = c.semantic
    model = {
        "vocab_size": s.vocabulary, "phoneme_vocab_size": s.phonemes, "embedding_dim": s.width, "hidden_dim": s.width,
        "head": s.heads, "n_layer": s.layers, "EOS": s.eos,
    }  # fmt: skip
    torch.save(
        {"weight": {f"model.{k}": v for k, v in s1.items()}, "config": {"model": model}, "info": ""}, folder / "s1.ckpt"
    )
    a, audio = c.acoustic, c.audio
    model = {
        "inter_channels": a.latent, "hidden_channels": a.hidden, "filter_channels": a.filter, "n_heads": a.heads,
        "n_layers": a.text_layers, "kernel_size": a.kernel, "p_dropout": a.dropout, "resblock": a.resblock,
        "resblock_kernel_sizes": list(a.resblock_kernels),
        "resblock_dilation_sizes": [list(row) for row in a.resblock_dilations],
        "upsample_rates": list(a.upsample_rates), "upsample_initial_channel": a.upsample_initial,
        "upsample_kernel_sizes": list(a.upsample_kernels), "gin_channels": a.style, "semantic_frame_rate": "25hz",
    }  # fmt: skip
    data = {
        "sampling_rate": audio.sample_rate, "filter_length": audio.n_fft, "hop_length": audio.hop,
        "win_length": audio.win, "n_mel_channels": audio.n_mels,
    }  # fmt: skip
    torch.save({"weight": s2, "config": {"model": model, "data": data}, "info": ""}, folder / "s2G.pth")
    if critics:
        torch.save({"weight": critic_weights(version)}, folder / "s2D.pth")
    return folder


def critic_weights(version: str = "v2") -> dict[str, torch.Tensor]:
    return recipe_state(outline(lambda: Discriminators(config(version).acoustic)), 7)


def write_models(folder: Path, *, speaker: bool = False) -> Path:
    """A models folder with one layer of HuBERT, 768 wide as the codebook wants it, and perhaps a speaker encoder."""
    if speaker:
        (folder / "sv").mkdir(parents=True)
        torch.save(recipe_state(outline(SpeakerEncoder), 72), folder / "sv" / "pretrained_eres2netv2w24s4ep4.ckpt")
    width = {"width": 768, "layers": 1, "heads": 4, "inner": 96, "position_kernel": 16, "position_groups": 16}
    shape = HubertConfig(channels=(32,) * 7, **width)  # type: ignore[arg-type]
    state = recipe_state(outline(lambda: Hubert(shape)), 71)
    direction = state.pop(_POSITION + "weight")
    state[_POSITION + "parametrizations.weight.original1"] = direction
    state[_POSITION + "parametrizations.weight.original0"] = torch.ones(1, 1, direction.shape[2])
    place = folder / "chinese-hubert-base"
    write_settings(
        place, HUBERT_SETTINGS, hidden_size=768, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=16,
    )  # fmt: skip
    torch.save(state, place / "pytorch_model.bin")
    return folder
