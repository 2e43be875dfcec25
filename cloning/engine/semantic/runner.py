"""What decoding needs of a model: read an utterance, then give scores code by code.

`PlainRunner` is the model itself, one row at a time, on any device. `packed.PackedRunner` is the fast one for CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from cloning.engine.config import SemanticConfig
from cloning.engine.errors import EngineError
from cloning.engine.semantic.adapters import BlockPairs, SemanticAdapters
from cloning.engine.semantic.model import KeyValueCache, Text2Semantic, prefix_mask


class State(Protocol):
    """One utterance under way: its keys and values, and how many places are filled."""

    @property
    def length(self) -> int: ...


class Runner(Protocol):
    """A model ready to decode. It holds nothing of an utterance, so threads may share it.

    `precision`: "float32", "bfloat16" or "int8", how weights are kept.
    """

    config: SemanticConfig
    precision: str

    @property
    def device(self) -> torch.device: ...

    def begin(
        self,
        phones: Tensor,
        prompt: Tensor,
        bert: Tensor | None,
        most: int,
        adapters: SemanticAdapters | None = None,
    ) -> tuple[State, Tensor]:
        """phones X, prompt P (int64, may be empty), bert bert_dim x X or None; room for `most` codes -> the state and
        the scores of the first code, V float32.

        With `adapters` the utterance is spoken by that voice; the states of a batch may have different ones. Raises
        EngineError `wrong_adapters` for those of a model of another size.
        """
        ...

    def advance(self, states: Sequence[State], codes: Tensor) -> Tensor:
        """The codes just chosen, B int64, one for each state -> scores of the next, B x V float32. States move on by
        one place."""
        ...


class PlainState:
    """The model's own cache, the place of the next code among the codes, and the voice's adapters."""

    def __init__(self, cache: KeyValueCache, spoken: int, pairs: list[BlockPairs] | None) -> None:
        self.cache = cache
        self.spoken = spoken
        self.pairs = pairs

    @property
    def length(self) -> int:
        return self.cache.length


class PlainRunner:
    """Every row by itself through the module, so that a row's scores cannot depend on its neighbours."""

    def __init__(self, model: Text2Semantic) -> None:
        self.model = model
        self.config = model.config
        self.precision = "float32"

    @property
    def device(self) -> torch.device:
        return self.model.ar_predict_layer.weight.device

    @torch.inference_mode()
    def begin(
        self,
        phones: Tensor,
        prompt: Tensor,
        bert: Tensor | None,
        most: int,
        adapters: SemanticAdapters | None = None,
    ) -> tuple[PlainState, Tensor]:
        """See `Runner.begin`."""
        pairs = None if adapters is None else adapters.pairs(self.config, self.model.ar_predict_layer.weight)
        x = self.model.embed_text(phones[None], None if bert is None else bert[None])
        if prompt.shape[0]:
            x = torch.cat((x, self.model.embed_codes(prompt[None])), dim=1)
        cache = KeyValueCache(self.config, x.shape[1] + most, x)
        visible = prefix_mask(phones.shape[0], prompt.shape[0], x.device)[None, None]
        scores = self.model.logits(self.model.h(x, visible, cache, pairs)[:, -1])[0].float()
        return PlainState(cache, prompt.shape[0], pairs), scores

    @torch.inference_mode()
    def advance(self, states: Sequence[State], codes: Tensor) -> Tensor:
        scores = []
        for state, code in zip(states, codes, strict=True):
            if not isinstance(state, PlainState):
                raise EngineError("wrong_state", "the utterance was begun by another runner")
            x = self.model.embed_codes(code[None, None], start=state.spoken)
            scores.append(self.model.logits(self.model.h(x, None, state.cache, state.pairs)[:, -1]).float())
            state.spoken += 1
        return torch.cat(scores)
