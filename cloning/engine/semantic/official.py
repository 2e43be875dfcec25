"""Decoding as the official service reports it: whole rows `y`, the step `idx` of the stop, and what it keeps, `pred`.

Its quirks, all of them only here and behind `compat`: at a limit (`early_stop_num`, 1500 steps) the one-by-one path
loses the first predicted code, the batched path the last; a stream cut at a pause says the rest of its chunk twice.
For comparison with recorded results; a deployment uses `sampling`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cloning.engine.errors import EngineError
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import (
    MOST_CODES,
    Decoded,
    Sampling,
    Utterance,
    decode,
    decode_batch,
    decode_stream,
    official_result,
    prepare,
)

#: Values that recorded results do not repeat.
GREEDY: Mapping[str, float] = {"top_k": 1, "top_p": 1.0, "temperature": 1.0, "repetition_penalty": 1.35}
BATCH_LIMIT = 120


@dataclass(frozen=True, slots=True)
class OfficialDecode:
    """`y`: prompt and kept codes; `idx`: index of the last step, 0 without a prompt; `pred`: the codes that are
    spoken."""

    y: list[int]
    idx: int
    pred: list[int]


def run_case(
    model: Text2Semantic | Runner, phones: Tensor, prompt: Tensor | None, bert: Tensor | None, args: Mapping[str, float]
) -> OfficialDecode:
    """One utterance by the one-by-one path. phones 1 x X, prompt 1 x P or None, bert 1 x bert_dim x X.

    args: top_k, top_p, temperature, repetition_penalty, early_stop_num (-1 = none), each optional. The draws of a
    greedy decoding (top_k 1) have no influence; anything else uses seed 0.
    """
    generator = torch.Generator().manual_seed(0)
    whole = decode(model, phones, generator=generator, prompt=prompt, bert=bert, **_settings(args))
    kept = official_result(whole, prompted=prompt is not None, batched=False)
    before = [] if prompt is None else prompt[0].tolist()
    return OfficialDecode(before + whole.codes.tolist(), _stop(whole, prompt), kept.codes.tolist())


def run_batch(
    model: Text2Semantic | Runner,
    phones: Sequence[Tensor],
    prompts: Sequence[Tensor],
    berts: Sequence[Tensor],
    args: Mapping[str, float],
) -> list[OfficialDecode]:
    """Many utterances by the batched path: X each, P each, bert_dim x X each."""
    settings = _settings(args)
    rows = [
        Utterance(x, torch.Generator().manual_seed(0), prompt=p, bert=b, **settings)
        for x, p, b in zip(phones, prompts, berts, strict=True)
    ]
    out = []
    for row, decoded in zip(rows, decode_batch(model, rows, compat=True), strict=True):
        before = [] if row.prompt is None else row.prompt.tolist()
        codes = decoded.codes.tolist()
        out.append(OfficialDecode(before + codes, len(codes), codes))
    return out


def run_stream(
    model: Text2Semantic | Runner,
    utterance: Utterance,
    *,
    chunk: int,
    mute: Tensor | None = None,
    threshold: float = 0.0,
) -> list[list[Any]]:
    """[codes, final] for each piece; codes None where the last piece has nothing left to say."""
    pieces = decode_stream(model, utterance, chunk=chunk, mute=mute, threshold=threshold, compat=True)
    return [[p.codes.tolist() if p.codes.numel() or not p.final else None, p.final] for p in pieces]


def recorded(
    model: Text2Semantic, inputs: Mapping[str, Tensor], document: Mapping[str, Any], *, precision: str | None = None
) -> Iterator[tuple[str, Any, Any]]:
    """Replay a file of recorded decodings (the forms of s1_decode.json and s1_decode_eos.json).

    inputs: x 1 x X, bert 1 x D x X, prompt 1 x P, x0.., bert0.. (rows of a batch, the same prompt), mute_sim V.
    Yields (name of the value, got, expected) for every recorded value. precision None decodes with the module itself.
    Raises EngineError("unknown_case") for a name it does not understand.
    """
    if "eos_row_scale" in document:
        model = copy.deepcopy(model)
        with torch.no_grad():
            model.ar_predict_layer.weight[model.config.eos] *= float(document["eos_row_scale"])
    runner: Text2Semantic | Runner = model if precision is None else prepare(model, precision)
    shared = document.get("args", {})
    count = len([name for name in inputs if re.fullmatch(r"x\d+", name)])
    phones, berts = ([inputs[f"{key}{n}"] for n in range(count)] for key in ("x", "bert"))
    prompts = [inputs["prompt"][0]] * count
    for name, expected in document.items():
        if name in ("eos_row_scale", "args"):
            continue
        if name.startswith("stream"):
            yield name, _stream(runner, name, inputs, shared), expected
            continue
        args = {"early_stop_num": BATCH_LIMIT, **shared}
        if name in ("batch_infer", "batch"):
            got = run_batch(runner, phones, prompts, berts, expected.get("args", args))
        elif name in ("naive_batched", "naive"):
            args = expected.get("args", args)
            each = zip(phones, prompts, berts, strict=True)
            got = [run_case(runner, x[None], p[None], b[None], args) for x, p, b in each]
        elif name.startswith("greedy"):
            prompt = None if "no_prompt" in name else inputs["prompt"]
            args = expected.get("args") or _from_name(name)
            one = run_case(runner, inputs["x"], prompt, inputs["bert"], args)
            for key, value in expected.items():
                if key != "args":
                    yield f"{name}.{key}", getattr(one, key.removeprefix("official_")), value
            continue
        else:
            raise EngineError("unknown_case", f"no recorded decoding is called {name}")
        for key, value in expected.items():
            if key != "args":
                yield f"{name}.{key}", [getattr(row, key) for row in got], value


def _stream(runner: Text2Semantic | Runner, name: str, inputs: Mapping[str, Tensor], args: Mapping[str, float]) -> Any:
    found = re.fullmatch(r"stream(\d*)_(?:fixed_|mute_split_)?chunk(\d+)(?:_thr(\d+(?:\.\d+)?))?", name)
    if found is None:
        raise EngineError("unknown_case", f"no recorded stream is called {name}")
    row, chunk, threshold = found.groups()
    x, bert = (inputs["x"][0], inputs["bert"][0]) if not row else (inputs[f"x{row}"], inputs[f"bert{row}"])
    generator = torch.Generator().manual_seed(0)
    utterance = Utterance(x, generator, prompt=inputs["prompt"][0], bert=bert, **_settings(args))
    mute = inputs["mute_sim"] if "mute" in name else None
    return run_stream(runner, utterance, chunk=int(chunk), mute=mute, threshold=float(threshold or 0.0))


def _from_name(name: str) -> dict[str, float]:
    """What a recorded case without arguments says of itself."""
    limit = re.search(r"earlystop(\d+)", name)
    return {
        "repetition_penalty": 1.0 if "norep" in name else GREEDY["repetition_penalty"],
        "early_stop_num": int(limit[1]) if limit else -1,
    }


def _settings(args: Mapping[str, float]) -> dict[str, Any]:
    values = {**GREEDY, **args}
    limit = int(values.get("early_stop_num", -1))
    sampling = Sampling(
        max(0, int(values["top_k"])), values["top_p"], values["temperature"], values["repetition_penalty"]
    )
    return {"sampling": sampling, "most": MOST_CODES if limit == -1 else min(MOST_CODES, limit + 1)}


def _stop(whole: Decoded, prompt: Tensor | None) -> int:
    if prompt is None:
        return 0
    count = int(whole.codes.shape[0])
    return count if whole.ended else count - 1
