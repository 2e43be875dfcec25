"""The training forward, losses, gradients and optimiser of both models, in evaluation mode (no dropout)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import (
    FEATURE_WEIGHT,
    KL_WEIGHT,
    MEL_WEIGHT,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    kl_loss,
)
from cloning.engine.checkpoints import load_acoustic
from cloning.engine.config import official
from cloning.engine.features.spectrogram import linear, log_mel
from cloning.engine.parity.acoustic import beside
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.semantic import model_of
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.training.scaled_adam import ScaledAdam
from cloning.engine.training.upstream_semantic import (
    UpstreamPass,
    preference_loss,
    upstream_forward,
    upstream_mask,
    upstream_rate,
)
from cloning.engine.weights import fill, outline

LOGITS, HALF_LOGITS = 2e-4, 4e-3
SEMANTIC_LOSS, SEMANTIC_NORM = 1e-5, 1e-3
ACOUSTIC_LOSS, ACOUSTIC_NORM = 1e-4, 5e-3
GRADIENT_SUM = 5e-3
STEP, STEP_SHARE = 1e-6, 1e-5
LATENT, SAMPLE = 1e-4, 1e-5
#: Zero in exact arithmetic: softmax does not see a shift of all keys. Only their size is bounded.
_SHIFTS = ("conv_k.bias", "w_ks.bias")
_NOISE_SHARE = 1e-6


def semantic_forward(folder: Folder, name: str, group: str) -> Row:
    """`s1_train_forward.npz`: a padded batch of two, its first item alone, and the preference loss."""
    sheet = Sheet(folder.arrays(name))
    model = model_of(folder)
    phones, phone_lengths, codes, code_lengths, bert = sheet.take(
        "phoneme_ids", "phoneme_ids_len", "semantic_ids", "semantic_ids_len", "bert_feature"
    )
    with torch.inference_mode():
        batch = upstream_forward(model, phones, phone_lengths, codes, code_lengths, bert)
        sheet.exact("targets", batch.targets)
        mask = upstream_mask(phone_lengths, code_lengths, phones.shape[1], codes.shape[1])
        for item, key in enumerate(("attn_mask_b0h0", "attn_mask_b1h0")):
            sheet.exact(key, torch.zeros(mask.shape[2:]).masked_fill(~mask[item, 0], -math.inf))
        sheet.close("logits", batch.logits, atol=HALF_LOGITS)
        sheet.close("logits_row0_f32", batch.logits[0], atol=LOGITS)
        sheet.close("loss", batch.loss, atol=0.0, rtol=SEMANTIC_LOSS)
        sheet.close("top3_acc", batch.accuracy.double(), atol=1e-6)
        alone = _alone(model, phones, phone_lengths, codes, code_lengths, bert)
        sheet.close("b1_loss", alone.loss, atol=0.0, rtol=SEMANTIC_LOSS)
        sheet.close("b1_acc", alone.accuracy.double(), atol=1e-6)
        sheet.close("b1_logits", alone.logits[:, : sheet.golden["b1_logits"].shape[1]], atol=LOGITS)
        spoiled, lengths = sheet.take("reject_y", "reject_lens")
        rejected = upstream_forward(model, phones, phone_lengths, spoiled, lengths, bert)
        sheet.close("dpo_A", batch.log_likelihood, atol=0.0, rtol=SEMANTIC_LOSS)
        sheet.close("dpo_R", rejected.log_likelihood, atol=0.0, rtol=SEMANTIC_LOSS)
        preference = preference_loss(batch, rejected)
        # A difference of two large sums: as far off as their tolerance allows.
        sheet.close("dpo_loss_2", preference, atol=1e-4)
        sheet.close("dpo_total_loss", batch.loss + preference, atol=0.0, rtol=SEMANTIC_LOSS)
    return sheet.row(name, group)


def _alone(
    model: Any, phones: Tensor, phone_lengths: Tensor, codes: Tensor, code_lengths: Tensor, bert: Tensor
) -> UpstreamPass:
    x, t = int(phone_lengths[0]), int(code_lengths[0])
    return upstream_forward(model, phones[:1, :x], phone_lengths[:1], codes[:1, :t], code_lengths[:1], bert[:1, :, :x])


def semantic_gradients(folder: Folder, name: str, group: str) -> Row:
    """`s1_grads.json`: norm and sum of every parameter's gradient for the batch of `s1_train_forward.npz`."""
    golden = folder.table(name)
    data = folder.arrays("s1_train_forward.npz")
    model = model_of(folder)
    keys = ("phoneme_ids", "phoneme_ids_len", "semantic_ids", "semantic_ids_len", "bert_feature")
    out = upstream_forward(model, *(data[key] for key in keys))
    out.loss.backward()
    sheet = Sheet(golden)
    sheet.close_to("loss", out.loss, torch.tensor(sheet.take("loss")), atol=0.0, rtol=SEMANTIC_LOSS)
    _gradients(sheet, sheet.take("grads"), model, SEMANTIC_NORM, prefix="model.")
    return sheet.row(name, group)


def scaled_adam(folder: Folder, name: str, group: str) -> Row:
    """`s1_scaledadam_*.npz`: the stored gradients replayed; parameters after the stored steps."""
    sheet = Sheet(folder.arrays(name))
    count = sum(key.startswith("init") for key in sheet.golden)
    params = [nn.Parameter(sheet.take(f"init{index}").clone()) for index in range(count)]
    rate, period = sheet.take("lr", "period")
    optimiser = ScaledAdam(params, lr=float(rate), clipping_update_period=int(period), compat=True)
    steps = 1 + max(int(key.split("_")[1][1:]) for key in sheet.golden if key.startswith("grad_s"))
    for step in range(steps):
        for index, param in enumerate(params):
            param.grad = sheet.take(f"grad_s{step}_p{index}").clone()
        optimiser.step()
        if f"after_s{step}_p0" in sheet.golden:
            for index, param in enumerate(params):
                sheet.close(f"after_s{step}_p{index}", param, atol=STEP, rtol=STEP_SHARE)
    return sheet.row(name, group)


def rates(folder: Folder, name: str, group: str) -> Row:
    """`s1_lr.json`: the learning rate at the start and after every step of the schedule."""
    sheet = Sheet(folder.table(name))
    sheet.ignore(["note"])
    stored = sheet.take("lr_before_and_after_steps")
    sheet.exact("lr_before_and_after_steps", [upstream_rate(step) for step in range(len(stored))], stored)
    return sheet.row(name, group)


def acoustic_training(folder: Folder, name: str, group: str) -> Row:
    """`s2_<version>_small_train.npz` or `.json`: forward, losses, gradients, feature maps of a batch of two."""
    stem = name.rsplit(".", 1)[0]
    loaded = load_acoustic(folder.read(beside(folder, stem.removesuffix("_train"))))
    seed = int(folder.entry(f"{stem}.npz").get("rebuild_seed", -1))
    if seed < 0:
        raise FolderError("has no rebuild_seed in the manifest")

    def build() -> AcousticModel:
        return AcousticModel(loaded.config, loaded.audio)

    model = fill(build, recipe_state(outline(build), seed))
    sheet = Sheet(folder.arrays(f"{stem}.npz"))
    sheet.ignore(["ssl", "spec", "wav"])
    inputs = _rebuilt(sheet, seed, int(loaded.audio.hop))
    out = model(
        model.encode_content(inputs["ssl"]), inputs["spec"], inputs["spec_lengths"], inputs["text"],
        inputs["text_lengths"], noise=inputs["posterior_noise"], starts=inputs["starts"], speaker=inputs.get("sv"),
    )  # fmt: skip
    segment = loaded.config.segment_frames
    real = slice_segments(inputs["wav"], out.starts * loaded.audio.hop, segment * loaded.audio.hop)
    critics_config = official(loaded.version).acoustic

    def build_critics() -> Discriminators:
        return Discriminators(critics_config)

    table = folder.table(f"{stem}.json")
    critics = fill(build_critics, recipe_state(outline(build_critics), int(table["disc_recipe_seed"])))
    judged_real, judged_fake = critics(real), critics(out.wave)
    if name.endswith(".npz"):
        return _forward(sheet, out, judged_real, judged_fake).row(name, group)
    theirs = slice_segments(log_mel(inputs["spec"], loaded.audio), out.starts, segment)
    ours = log_mel(linear(out.wave[:, 0], loaded.audio), loaded.audio)
    losses = {
        "disc": discriminator_loss(judged_real, judged_fake),
        "gen": adversarial_loss(judged_fake),
        "fm": feature_loss(judged_real, judged_fake) * FEATURE_WEIGHT,
        "mel": (ours - theirs).abs().mean() * MEL_WEIGHT,
        "kl": kl_loss(out) * KL_WEIGHT,
    }
    losses["total"] = losses["gen"] + losses["fm"] + losses["mel"] + losses["kl"]
    losses["total"].backward()
    return _losses(table, losses, judged_real, judged_fake, model).row(name, group)


def _rebuilt(sheet: Sheet, seed: int, hop: int) -> dict[str, Tensor]:
    """The float32 inputs: large ones are drawn again from their seeds (the stored copies are half precision)."""
    names = ["spec_lengths", "text", "text_lengths", "posterior_noise", *(["sv"] if "sv" in sheet.golden else [])]
    found = {key: sheet.take(key) for key in names}
    batch, _, frames = sheet.golden["ssl"].shape
    bins = sheet.golden["spec"].shape[1]
    content = np.random.RandomState(seed + 20).standard_normal(tuple(sheet.golden["ssl"].shape))
    spec = torch.zeros(batch, bins, frames)
    for row, length in enumerate(found["spec_lengths"].tolist()):
        drawn = np.abs(np.random.RandomState(seed + 21 + row).standard_normal((bins, length)))
        spec[row, :, :length] = torch.from_numpy(drawn.astype(np.float32))
    wave = 0.1 * np.random.RandomState(seed + 27).standard_normal(tuple(sheet.golden["wav"].shape))
    found["ssl"] = torch.from_numpy(content.astype(np.float32))
    found["spec"] = spec
    found["wav"] = torch.from_numpy(wave.astype(np.float32))
    room = found["spec_lengths"] - sheet.golden["y_hat"].shape[2] // hop + 1
    found["starts"] = (sheet.take("slice_u") * room).long()
    sheet.exact("ids_slice", found["starts"])
    return found


def _forward(sheet: Sheet, out: Any, real: Any, fake: Any) -> Sheet:
    for key, value in (
        ("m_p", out.prior_mean), ("logs_p", out.prior_log), ("m_q", out.posterior_mean), ("logs_q", out.posterior_log),
        ("y_hat", out.wave),
    ):  # fmt: skip
        sheet.close(key, value, atol=LATENT)
    for key, value in (("z", out.z), ("z_p", out.z_prior)):
        sheet.close(key, value, atol=SAMPLE * float(sheet.golden[key].abs().max()))
    for key in [key for key in sheet.golden if key.startswith(("d_real", "d_fake"))]:
        side, index = (real if key.startswith("d_real") else fake), key[6:]
        sheet.close(key, side.scores[-1 if index == "_last" else int(index)], atol=LATENT)
    return sheet


def _losses(table: dict[str, Any], losses: dict[str, Tensor], real: Any, fake: Any, model: nn.Module) -> Sheet:
    sheet = Sheet(table)
    sheet.ignore(["disc_recipe_seed", "gen_recipe_seed"])
    stored = sheet.take("losses")
    for key, value in stored.items():
        if key in ("disc_r", "disc_g"):
            side = [(1 - s).square().mean() for s in real.scores] if key == "disc_r" else [
                s.square().mean() for s in fake.scores
            ]  # fmt: skip
            sheet.close_to(f"losses.{key}", torch.stack(side), torch.tensor(value), atol=1e-7, rtol=ACOUSTIC_LOSS)
        elif key == "kl_ssl":  # the codebook never moves
            sheet.close_to("losses.kl_ssl", torch.zeros(()), torch.tensor(value), atol=1e-12)
        else:
            sheet.close_to(f"losses.{key}", losses[key], torch.tensor(value), atol=0.0, rtol=ACOUSTIC_LOSS)
    _gradients(sheet, sheet.take("grads"), model, ACOUSTIC_NORM)
    found = dict(model.named_parameters())
    none = [key for key in sheet.take("no_grad") if found[key].grad is not None]
    sheet.exact("no_grad", none, [])
    for key, (shape, mean, size) in sheet.take("fmap").items():
        _, which, critic, layer = key.split("_")
        value = (real if which == "real" else fake).features[int(critic)][int(layer)].detach()
        statistics = torch.stack((value.mean(), value.abs().mean()))
        sheet.exact(f"{key}.shape", list(value.shape), list(shape))
        sheet.close_to(key, statistics, torch.tensor([mean, size]), atol=1e-5, rtol=1e-3)
    return sheet


def _gradients(sheet: Sheet, stored: dict[str, list[float]], model: nn.Module, share: float, prefix: str = "") -> None:
    """Norms and sums of gradients; a parameter that should have one and has none, or the other way round, differs."""
    found = {f"{prefix}{key}": value.grad for key, value in model.named_parameters() if value.grad is not None}
    sheet.exact("names with a gradient", sorted(found), sorted(stored))
    whole = math.sqrt(sum(norm**2 for norm, _ in stored.values()))
    for key, (norm, total) in stored.items():
        grad = found.get(key)
        if grad is None:
            continue
        if key.endswith(_SHIFTS):
            sheet.close_to(f"{key} norm", grad.norm(), torch.zeros(()), atol=_NOISE_SHARE * whole)
            continue
        sheet.close_to(f"{key} norm", grad.double().norm(), torch.tensor(norm), atol=1e-9, rtol=share)
        room = GRADIENT_SUM * max(norm, 1e-9) * math.sqrt(grad.numel())
        sheet.close_to(f"{key} sum", grad.double().sum(), torch.tensor(total), atol=room)
