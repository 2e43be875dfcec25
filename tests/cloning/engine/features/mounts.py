"""Small model folders in the layout of upstream's `pretrained_models`; every weight follows from its name (rule W1), so
that `transformers_oracle.npz` needs to hold only what the transformers library made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloning.engine.features.bert import Bert, BertConfig
from cloning.engine.features.hubert import Hubert, HubertConfig
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.weights import outline

ORACLE = Path(__file__).parent / "transformers_oracle.npz"
#: Characters of the small vocabulary, behind the marks.
CHARACTERS = "你好世界今天气很,.!?…-春眠不觉晓"
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Sentences whose token ids the oracle holds.
SENTENCES = ("你好,世界!今天天气很糟…", "春眠不觉晓", "", ",.!?…-", "葉", "\uf900好", CHARACTERS)

HUBERT_SETTINGS: dict[str, Any] = {
    "model_type": "hubert", "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 96, "conv_dim": [32] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_bias": False, "num_feat_extract_layers": 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "layer_norm_eps": 1e-5,
    "feat_extract_norm": "group", "feat_proj_layer_norm": True, "do_stable_layer_norm": False, "hidden_act": "gelu",
}  # fmt: skip
BERT_SETTINGS: dict[str, Any] = {
    "model_type": "bert", "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 5, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu", "pad_token_id": 0,
}  # fmt: skip

_POSITION = "encoder.pos_conv_embed.conv."


def wave() -> Tensor:
    """Two waves of 8000 samples, the second louder and off the middle."""
    one = torch.randn(1, 8000, generator=torch.Generator().manual_seed(1)) * 0.1
    return torch.cat((one, one.flip(1) * 3 + 0.2))


def write_settings(folder: Path, settings: dict[str, Any], **changed: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**settings, **changed}))


def write_hubert(folder: Path) -> dict[str, Tensor]:
    """The folder, and its weights under the library's present names."""
    config = HubertConfig(
        channels=(32,) * 7, width=48, layers=2, heads=4, inner=96, position_kernel=16, position_groups=4
    )
    state = recipe_state(outline(lambda: Hubert(config)), 71)
    direction = state.pop(_POSITION + "weight")
    state[_POSITION + "parametrizations.weight.original1"] = direction
    state[_POSITION + "parametrizations.weight.original0"] = torch.linspace(0.5, 2, 16)[None, None]
    state["masked_spec_embed"] = torch.zeros(48)
    write_settings(folder, HUBERT_SETTINGS)
    torch.save(state, folder / "pytorch_model.bin")
    return state


def write_bert(folder: Path) -> dict[str, Tensor]:
    """The folder, and its weights: all five layers and the language-model head."""
    config = BertConfig(vocabulary=40, positions=64, width=32, layers=7, heads=4, inner=64)
    state = {f"bert.{name}": value for name, value in recipe_state(outline(lambda: Bert(config)), 72).items()}
    head = {
        "bias": (40,), "transform.dense.weight": (32, 32), "transform.dense.bias": (32,),
        "transform.LayerNorm.weight": (32,), "transform.LayerNorm.bias": (32,), "decoder.bias": (40,),
    }  # fmt: skip
    state |= {f"cls.predictions.{name}": value for name, value in recipe_state(head, 73).items()}
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"].clone()
    write_settings(folder, BERT_SETTINGS)
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text("\n".join([*MARKS, *CHARACTERS]) + "\n", "utf-8")
    return state
