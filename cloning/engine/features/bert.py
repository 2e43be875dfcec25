"""BERT (Devlin et al. 2019) as a source of prosody: 1,024 numbers for every phone of a Chinese sentence.

Reads the folder of chinese-roberta-wwm-ext-large (HFL, Apache-2.0) in the layout of the `transformers` library;
parameter names are its names, the code is our own. S1 was trained on the third-last hidden state, so the last two
layers and the language-model head, which the official code computes and throws away, are not even loaded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.errors import CheckpointError, TextError
from cloning.engine.features.packed import pack
from cloning.engine.features.pretrained import (
    bounded_text,
    built,
    epsilon,
    read_settings,
    read_weights,
    weights_path,
    whole_number,
)

#: Which hidden state is read, counted from the end (the official choice); layers behind it are not built.
STATE = -3
#: Largest `vocab.txt`; the published one has 110 KB.
MOST_VOCABULARY_BYTES = 8 * 2**20
#: Vectors that usually come at once, one per character of a sentence.
USUAL_ROWS = 32
#: Parts of published files that the third-last state does not need.
UNUSED = ("cls.", "pooler.", "embeddings.position_ids")

START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes; the defaults are those of chinese-roberta-wwm-ext-large, whose `layers` are 24 of which 22 are built."""

    vocabulary: int = 21128
    positions: int = 512
    kinds: int = 2
    width: int = 1024
    layers: int = 24
    heads: int = 16
    inner: int = 4096
    epsilon: float = 1e-12

    @property
    def built_layers(self) -> int:
        """Hidden states are counted with the embeddings as the first: state -3 comes out of layer `layers - 2`."""
        return self.layers + 1 + STATE


class _Embeddings(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(config.kinds, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        normed: Tensor = self.LayerNorm(x + self.position_embeddings.weight[: ids.shape[1]])
        return normed


class _SelfAttention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class _AddNorm(nn.Module):
    """Project, add what came before, normalise."""

    def __init__(self, before: int, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(before, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.dense(x) + residual)
        return normed


class _Attention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _AddNorm(config.width, config)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output(self.self(x), x)
        return out


class _Intermediate(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.inner)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class _Layer(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _AddNorm(config.inner, config)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(x)
        out: Tensor = self.output(self.intermediate(x), x)
        return out


class _Encoder(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.built_layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x)
        return x


class Bert(nn.Module):
    """Token ids B x T int64, marks included, no padding -> third-last hidden state B x T x width, float32."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)

    @torch.inference_mode()
    def forward(self, ids: Tensor) -> Tensor:
        state: Tensor = self.encoder(self.embeddings(ids))
        return state.float()


class Prosody:
    """A sentence to BERT features at the rate of phones. Holds no state between calls; may be shared by threads."""

    def __init__(self, model: Bert, vocabulary: Mapping[str, int]) -> None:
        """`vocabulary` maps tokens to ids and must hold [CLS], [SEP] and [UNK]. Raises CheckpointError
        `bad_vocabulary`."""
        for mark in (START, END, UNKNOWN):
            if not 0 <= vocabulary.get(mark, -1) < model.config.vocabulary:
                raise CheckpointError("bad_vocabulary", f"the vocabulary lacks {mark}")
        self.model = model
        self.vocabulary = vocabulary

    def ids(self, text: str) -> list[int]:
        """One id for every character between [CLS] and [SEP]; unknown characters are [UNK].

        The official tokenizer gives the same for Chinese text with punctuation; it would join Latin letters and digits
        to words, but normalised Chinese has none.
        """
        known, unknown = self.vocabulary, self.vocabulary[UNKNOWN]
        return [known[START], *(known.get(_plain(character), unknown) for character in text), known[END]]

    def __call__(self, text: str, word2ph: Sequence[int]) -> Tensor:
        """Normalised text of X characters and the number of phones of each -> width x sum(word2ph) float32.

        Raises TextError: `bad_alignment` unless there is one count for each character, `too_long` for more characters
        than the model has positions.
        """
        if len(word2ph) != len(text) or any(count < 0 for count in word2ph):
            raise TextError("bad_alignment", f"{len(text)} characters cannot be aligned with {len(word2ph)} words")
        if len(text) + 2 > self.model.config.positions:
            raise TextError("too_long", f"more than {self.model.config.positions - 2} characters in one sentence")
        device = self.model.embeddings.LayerNorm.weight.device
        state = self.model(torch.tensor([self.ids(text)], device=device))[0, 1:-1]
        return state.repeat_interleave(torch.tensor(word2ph, dtype=torch.long, device=device), dim=0).T


def config_from(settings: Mapping[str, Any]) -> BertConfig:
    """The folder's settings as sizes. Raises CheckpointError `unsupported_model` or `bad_config`."""
    if settings.get("model_type") != "bert" or settings.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError("unsupported_model", "the folder does not hold a BERT model with GELU")
    if settings.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError("unsupported_model", "only absolute positions are built")
    config = BertConfig(
        vocabulary=whole_number(settings, "vocab_size", 1, 2**20),
        positions=whole_number(settings, "max_position_embeddings", 3, 8192),
        kinds=whole_number(settings, "type_vocab_size", 1, 16),
        width=whole_number(settings, "hidden_size", 1, 4096),
        layers=whole_number(settings, "num_hidden_layers", 3, 96),
        heads=whole_number(settings, "num_attention_heads", 1, 64),
        inner=whole_number(settings, "intermediate_size", 1, 16384),
        epsilon=epsilon(settings, "layer_norm_eps"),
    )
    if config.width % config.heads:
        raise CheckpointError("bad_config", "the width of the BERT model does not divide into its heads")
    return config


def read_vocabulary(path: Path) -> dict[str, int]:
    """`vocab.txt`: one token a line, its number is its id. Raises CheckpointError."""
    lines = bounded_text(path, MOST_VOCABULARY_BYTES).split("\n")
    return {line.rstrip("\r"): number for number, line in enumerate(lines) if line.strip()}


def load_prosody(folder: Path, *, dtype: torch.dtype = torch.float32) -> Prosody:
    """The model of a folder with `config.json`, `vocab.txt` and `model.safetensors` or `pytorch_model.bin`, on the CPU.

    dtype bfloat16 halves the memory; see `cloning.engine.bench.features` for what it wins. Raises CheckpointError.
    """
    config = config_from(read_settings(folder))
    vocabulary = read_vocabulary(folder / "vocab.txt")
    model = built(lambda: Bert(config), _named(read_weights(weights_path(folder)), config), dtype)
    pack(model, rows=USUAL_ROWS)
    return Prosody(model, vocabulary)


def _named(found: Mapping[str, Tensor], config: BertConfig) -> dict[str, Tensor]:
    """The file's tensors under the names of `Bert`: heads and late layers dropped, TensorFlow's words for norms
    replaced."""
    late = tuple(f"encoder.layer.{index}." for index in range(config.built_layers, config.layers))
    kept = {}
    for name, value in found.items():
        name = name.removeprefix("bert.")
        if not name.startswith(UNUSED + late):
            kept[name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = (
                value
            )
    return kept


def _plain(character: str) -> str:
    """Lower case without accents, as the model was trained; a character that consists of accents stays itself."""
    parts = unicodedata.normalize("NFD", character.lower())
    return "".join(part for part in parts if unicodedata.category(part) != "Mn") or character
