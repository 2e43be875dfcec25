"""S1: prefill, every recorded decoding, the sampler, and the model at full size."""

from __future__ import annotations

import re

import torch

from cloning.engine.checkpoints import load_semantic
from cloning.engine.config import official
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.parity.weights import seeds
from cloning.engine.semantic.model import KeyValueCache, Text2Semantic, prefix_mask
from cloning.engine.semantic.official import recorded, run_case
from cloning.engine.semantic.sampling import Sampling, penalise, probabilities
from cloning.engine.weights import fill, outline

BOUNDARY, BOUNDARY_SHARE = 1e-4, 1e-5
LOGITS = 2e-4
PROBABILITY, PROBABILITY_SHARE = 1e-6, 1e-4
LOSS_SHARE = 1e-5
#: Greedy decoding of the full-size file when its description does not say otherwise.
PROMPT_CODES, EARLY_STOP = 12, 20


def model_of(folder: Folder) -> Text2Semantic:
    """The small S1 model of the folder. Raises FolderError when the manifest names none, or several."""
    found = [name for name in folder.entries if re.fullmatch(r"s1_\w+\.ckpt(\.xz)?", name)]
    if len(found) != 1:
        raise FolderError("needs exactly one s1_*.ckpt.xz beside it")
    return load_semantic(folder.read(found[0])).model


@torch.inference_mode()
def prefill(folder: Folder, name: str, group: str) -> Row:
    """`s1_prefill.npz`: embeddings, mask, output, last logits, keys of the first and values of the last layer."""
    sheet = Sheet(folder.arrays(name))
    model = model_of(folder)
    phones, bert, prompt = sheet.take("x", "bert", "prompt")
    text, codes = model.embed_text(phones, bert), model.embed_codes(prompt)
    sheet.close("text_pos", text, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    sheet.close("prompt_pos", codes, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    mask = prefix_mask(phones.shape[1], prompt.shape[1])
    sheet.exact("mask_true_is_blocked", ~mask)
    x = torch.cat((text, codes), dim=1)
    cache = KeyValueCache(model.config, x.shape[1], x)
    hidden = model.h(x, mask[None, None], cache)
    sheet.close("prefill_out", hidden, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    sheet.close("prefill_logits_last", model.logits(hidden[:, -1]), atol=LOGITS)
    # Ours are B x heads x places x head width, the golden ones B x places x width.
    keys, values = (part.transpose(1, 2).flatten(2) for part in (cache.keys[0], cache.values[-1]))
    sheet.close("kcache0", keys, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    sheet.close("vcache_last", values, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    return sheet.row(name, group)


def decode(folder: Folder, name: str, group: str) -> Row:
    """`s1_decode.json` and `s1_decode_eos.json`: every token, stop and chunk border, exactly."""
    document = folder.table(name)
    sheet = Sheet(document)
    cases = 0
    for key, got, expected in recorded(model_of(folder), folder.arrays("s1_decode_inputs.npz"), document):
        sheet.exact(key, got, expected)
        cases += 1
    sheet.ignore(document)
    return sheet.row(name, group, {"compared": cases})


def decode_inputs(folder: Folder, name: str, group: str) -> Row:
    """`s1_decode_inputs.npz` has no results of its own: it passes when it is whole and the decodings can read it."""
    arrays = folder.arrays(name)
    sheet = Sheet(arrays)
    for key, value in arrays.items():
        sheet.exact(key, value)
        if value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
            raise FolderError(f"{key} holds values that are not numbers")
    return sheet.row(name, group)


def sampler(folder: Folder, name: str, group: str) -> Row:
    """`s1_sampler.npz`: logits to probabilities for every row of parameters, and the choices."""
    sheet = Sheet(folder.arrays(name))
    logits, previous, parameters, race = sheet.take("logits", "prev", "params_topk_topp_temp_rep", "expnoise")
    for index, (top_k, top_p, temperature, penalty) in enumerate(parameters.tolist()):
        sampling = Sampling(max(0, int(top_k)), top_p, temperature, penalty)
        chances = probabilities(penalise(logits, previous, penalty), sampling)
        sheet.close(f"probs{index}", chances, atol=PROBABILITY, rtol=PROBABILITY_SHARE)
        if f"choice{index}" in sheet.golden:
            sheet.exact(f"choice{index}", (chances / race).argmax(-1))
    return sheet.row(name, group)


@torch.inference_mode()
def full(folder: Folder, name: str, group: str) -> Row:
    """`full_s1_<version>.npz`: the published size; teacher-forced logits, summed loss, greedy tokens."""
    sheet = Sheet(folder.arrays(name))
    config = official(name.removeprefix("full_s1_").removesuffix(".npz")).semantic

    def build() -> Text2Semantic:
        return Text2Semantic(config)

    shapes = {f"model.{key}": shape for key, shape in outline(build).items()}
    state = recipe_state(shapes, int(seeds(folder, name)[0]))
    model = fill(build, {key.removeprefix("model."): value for key, value in state.items()})
    phones, bert, codes = sheet.take("x", "bert", "y")
    lengths = [torch.tensor([row.shape[1]]) for row in (phones, codes)]
    out = model(phones, lengths[0], codes, lengths[1], bert=bert, reduction="sum")
    sheet.close("logits", out.logits, atol=LOGITS)
    sheet.close("loss", out.codes_loss, atol=0.0, rtol=LOSS_SHARE)
    described = str(folder.entry(name).get("what", ""))
    prompt = _stated(r"y\[:, ?:(\d+)\]", described, PROMPT_CODES)
    limit = _stated(r"early_stop (\d+)", described, EARLY_STOP)
    greedy = run_case(model, phones, codes[:, :prompt], bert, {"early_stop_num": limit})
    sheet.exact("greedy_y", torch.tensor([greedy.y]))
    sheet.exact("greedy_idx", torch.tensor(greedy.idx))
    return sheet.row(name, group)


def _stated(pattern: str, text: str, default: int) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else default
