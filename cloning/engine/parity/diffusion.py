"""S2 of v3 and v4: whole files and LoRA files against the rule, and every boundary from codes to mel and losses."""

from __future__ import annotations

import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import Dit
from cloning.engine.acoustic.lora import beside as adapted
from cloning.engine.acoustic.lora import merged
from cloning.engine.diffusion_files import load_diffusion, load_lora
from cloning.engine.parity.acoustic import BOUNDARY, BOUNDARY_SHARE, beside
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.parity.weights import seeds

#: Mels out of the flow matching and the transformer's parts; losses; merged weights.
FLOW, LOSS_SHARE, MERGED = 2e-4, 1e-4, 1e-6
#: LoRA files are filled by the base's rule with this added to its seed, these biases raised.
LORA_SEED, RAISED, RAISE = 77, ("ref_enc.fc.fc.bias", "bridge.0.bias"), 0.125
LORA_SCALE = 2.0**-4


def whole_file(folder: Folder, name: str, group: str) -> Row:
    """`s2_v3_small.pth`: the version by the file, and every value by the recipe."""
    loaded = load_diffusion(folder.read(name))
    entry = folder.entry(name)
    if loaded.version != entry.get("config", {}).get("version"):
        raise FolderError(f"is another version by the manifest, recognised as {loaded.version}")
    size = {key: getattr(loaded.config.dit, ours) for key, ours in _SIZES.items()}
    found = loaded.model.state_dict()
    expected = recipe_state({key: tuple(value.shape) for key, value in found.items()}, int(seeds(folder, name)[0]))
    sheet = Sheet(expected)
    for key, value in found.items():
        sheet.exact(key, value)
    sheet.exact("size of the transformer", size, entry.get("dit"))
    return sheet.row(name, group, {"version": loaded.version, "tensors": len(found)})


_SIZES = {
    "dim": "width", "depth": "depth", "heads": "heads", "conv_layers": "text_layers", "dim_head": "head_width",
    "ff_mult": "feed", "text_dim": "text", "mel_dim": "mel",
}  # fmt: skip


def lora_file(folder: Folder, name: str, group: str) -> Row:
    """`s2_v3_lora_small.pth`: recognised by its header, pairs and whole parts by the recipe; it fits its base."""
    lora = load_lora(folder.read(name))
    stem = name.split(".")[0]
    base_name = beside(folder, stem.replace("_lora", ""))
    model = load_diffusion(folder.read(base_name)).model
    seed = int(seeds(folder, base_name)[0])
    wrapped = "cfm.base_model.model.estimator.transformer_blocks"
    shapes: dict[str, tuple[int, ...]] = {}
    values: dict[str, Tensor] = {}
    for key, pair in lora.pairs.items():
        number, layer = key.split(".", 1)
        for letter, value in zip("AB", pair, strict=True):
            full = f"{wrapped}.{number}.attn.{layer}.lora_{letter}.default.weight"
            shapes[full], values[full] = tuple(value.shape), value
    # Pairs are the plain walk of the rule at one scale, whatever their shape: as the walk of a gain less its 1.
    expected = {key: _walked(key, shape, seed + LORA_SEED) for key, shape in shapes.items()}
    own = recipe_state({key: tuple(value.shape) for key, value in lora.own.items()}, seed)
    for key in RAISED:
        own[key] = (own[key] + RAISE).half().float()
    sheet = Sheet({**expected, **own})
    for key, value in {**values, **lora.own}.items():
        sheet.exact(key, value)
    adapted(model, lora)
    listed = folder.entry(name).get("keys")
    if listed is not None:
        repeated = {key for key in listed if key.startswith("quantizer.") or key.endswith("inv_freq")}
        sheet.exact("names", sorted({*values, *lora.own} | repeated), sorted(listed))
    return sheet.row(name, group, {"version": lora.version, "rank": lora.rank})


def _walked(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """The rule's row laid out in this shape, times LORA_SCALE."""
    vector = recipe_state({f"{name}": (int(torch.tensor(shape).prod()),)}, seed)[name]
    return (vector - 1).view(shape)


def inference(folder: Folder, name: str, group: str) -> Row:
    """`s2_v3_small_infer.npz`: features, flow matching, one call of the transformer with its parts, both losses."""
    model = load_diffusion(folder.read(beside(folder, name.removesuffix("_infer.npz")))).model
    sheet = Sheet(folder.arrays(name))
    with torch.inference_mode():
        _features(sheet, model)
        _flow(sheet, model)
        _transformer(sheet, model.cfm.estimator)
        _losses(sheet, model)
    return sheet.row(name, group)


def merged_lora(folder: Folder, name: str, group: str) -> Row:
    """`s2_v3_lora_small_merged.npz`, merged and kept beside the base."""
    stem = name.removesuffix("_merged.npz")
    base = load_diffusion(folder.read(beside(folder, stem.replace("_lora", "")))).model
    lora = load_lora(folder.read(beside(folder, stem)))
    given = folder.arrays(f"{stem.replace('_lora', '')}_infer.npz")
    sheet = Sheet(folder.arrays(name))
    whole, kept = merged(base, lora), adapted(base, lora)
    blocks = whole.cfm.estimator.transformer_blocks
    first, last = blocks[0].attn, blocks[len(blocks) - 1].attn  # type: ignore[union-attr]
    sheet.close("merged_to_q_0", first.to_q.weight, atol=MERGED)  # type: ignore[union-attr,arg-type]
    sheet.close("merged_to_out_last", last.to_out[0].weight, atol=MERGED)  # type: ignore[union-attr,index,arg-type]
    codes, text, refer = given["codes"][0], given["text"], given["refer"]
    with torch.inference_mode():
        for model in (whole, kept):
            style = model.reference_style([refer])
            features = model.features(codes, text, style)
            sheet.close("ge", style, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
            sheet.close("fea", features, atol=FLOW)
            mel = model.cfm.sample(
                features, torch.tensor([features.shape[2]]), given["prompt_mel"], 4, noise=given["noise"],
                adapters=model.adapters,
            )  # fmt: skip
            sheet.close("cfm_steps4", mel, atol=FLOW)
    return sheet.row(name, group)


def _features(sheet: Sheet, model: DiffusionModel) -> None:
    codes, text, refer = sheet.take("codes", "text", "refer")
    style = model.reference_style([refer])
    sheet.close("ge", style, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
    sheet.close("bridge", model.bridge(model.hidden(codes[0], text, style)), atol=FLOW)
    sheet.close("fea", model.features(codes[0], text, style), atol=FLOW)
    for key in [key for key in sheet.golden if key.startswith("fea_speed")]:
        speed = float(key.removeprefix("fea_speed"))
        sheet.close(key, model.features(codes[0], text, style, speed), atol=FLOW)


def _flow(sheet: Sheet, model: DiffusionModel) -> None:
    features, prompt, noise = sheet.take("fea", "prompt_mel", "noise")
    lengths = torch.tensor([features.shape[2]])
    for key in [key for key in sheet.golden if key.startswith("cfm_steps")]:
        steps, *settings = key.removeprefix("cfm_steps").split("_")
        read = {part[:3]: float(part.lstrip("cfgtemp")) for part in settings}
        mel = model.cfm.sample(
            features, lengths, prompt, int(steps), noise=noise, guidance=read.get("cfg", 0.0),
            temperature=read.get("tem", 1.0),
        )  # fmt: skip
        sheet.close(key, mel, atol=FLOW)


def _transformer(sheet: Sheet, dit: Dit) -> None:
    x, prompt, text, time, size, lengths = sheet.take("est_x", "est_cond", "est_text", "est_time", "est_dt", "est_lens")
    condition = dit.condition(text, lengths, size)
    sheet.close("est_time_embed", dit.time_embed(time), atol=FLOW)
    sheet.close("est_text_embed", condition.text, atol=FLOW)
    hidden = dit.input_embed(x.transpose(1, 2), prompt.transpose(1, 2), condition.text, None)
    sheet.close("est_input_embed", hidden, atol=FLOW)
    angles = dit.rotary_embed(x.shape[2])
    sheet.close("rope_freqs", angles[None], atol=FLOW)
    real = (torch.arange(x.shape[2])[None] < lengths[:, None]).float()[..., None]
    # The stored block was told the time alone, without the step size; `est_out` has both.
    block = dit.transformer_blocks[0](hidden, dit.time_embed(time), real, (angles.cos(), angles.sin()), {})
    sheet.close("est_block0", block, atol=FLOW)
    out = dit(x, prompt, lengths, time, condition)
    sheet.close("est_out", out.transpose(1, 2), atol=FLOW)


def _losses(sheet: Sheet, model: DiffusionModel) -> None:
    mel, noise, time, held, text, lengths, bases = sheet.take(
        "tr_x1", "tr_x0", "tr_t", "tr_prompt_lens", "tr_mu", "tr_lens", "tr_base"
    )
    plain = model.cfm.loss(mel, lengths, held, text, noise=noise, time=time)
    sheet.close("tr_loss_plain", plain, atol=0.0, rtol=LOSS_SHARE)
    long = model.cfm.loss(mel, lengths, held, text, noise=noise, time=time, bases=bases)
    sheet.close("tr_loss_bootstrap", long, atol=0.0, rtol=LOSS_SHARE)
