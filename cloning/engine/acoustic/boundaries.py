"""Every named value on S2's way from codes to sound, one after the other, to be laid beside the official ones.

Names and inputs are those of the golden fixtures' `s2_*_infer.npz` and `full_s2_*.npz`. A value is computed from the
value before it in our own run, never from the reference, so the first name that differs names the part at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.streaming import streamed_hidden

#: Speeds of the whole decodes, and the official noise scale.
SPEEDS = (0.8, 1.3)
NOISE_SCALE = 0.5
#: Codes of the first streamed piece, codes and frames that the second one shares with it.
FIRST_CODES, SHARED_CODES, SHARED_FRAMES = 12, 2, 4


def walk(
    model: AcousticModel,
    inputs: Mapping[str, Tensor],
    *,
    speeds: Sequence[float] = SPEEDS,
    first_codes: int = FIRST_CODES,
) -> Iterator[tuple[str, Tensor]]:
    """Inputs by name -> (name, value) of every boundary whose inputs are there, in order of computation.

    Inputs: `ssl` 1 x content_dim x S content frames; `codes_in` (1 x 1 x T, int64), `text` (1 x X phone ids), `refer`
    and for a second reference `refer2` (1 x bins x F magnitudes), for Pro `sv` and `sv2` (1 x speaker_dim); for the
    flow forward `flow_forward_in`, for the noisy decode `noise` (both 1 x latent x F). `codes` in place of `codes_in`
    is the short form of full-size files: it yields only `extract_latent` and `wave`. Values are float32 except codes.
    speeds: of the whole decodes beside 1. first_codes: in the first of the two streamed pieces.
    """
    with torch.inference_mode():
        if "codes" in inputs:
            yield from _short(model, inputs)
        else:
            yield from _content(model, inputs)
            yield from _style(model, inputs)
            yield from _prior(model, inputs)
            yield from _whole(model, inputs, speeds)
            yield from _streamed(model, inputs, first_codes)


def _reference(model: AcousticModel, inputs: Mapping[str, Tensor], *names: str) -> Tensor:
    speakers = [inputs[f"sv{name}"] for name in names] if model.config.speaker_dim else None
    return model.reference_style([inputs[f"refer{name}"] for name in names], speakers)


def _short(model: AcousticModel, inputs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    yield "extract_latent", model.encode_content(inputs["ssl"]).unsqueeze(1)
    yield "wave", model.decode(inputs["codes"][0], inputs["text"], _reference(model, inputs, ""), noise_scale=0.0)


def _content(model: AcousticModel, inputs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    if "ssl" not in inputs:
        return
    projected = model.code_vectors(inputs["ssl"])
    yield "extract_latent_codes", model.quantizer.encode(projected).unsqueeze(1)
    yield "ssl_proj", projected
    yield "code_margin", code_margin(model, projected)[0]


def code_margin(model: AcousticModel, vectors: Tensor) -> Tensor:
    """Vectors B x code_dim x T -> B x T float32: the second-nearest entry's Euclidean distance less the nearest's."""
    entries = model.quantizer.book.embed
    flat = vectors.transpose(1, 2)
    # Differences of nearly equal distances: float32 products would leave only noise of the smallest margins.
    distance = torch.cdist(flat.double(), entries.double().expand(flat.shape[0], -1, -1))
    nearest = distance.topk(2, dim=-1, largest=False).values
    return (nearest[..., 1] - nearest[..., 0]).float()


def _style(model: AcousticModel, inputs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    spec = inputs["refer"]
    yield "ref_enc", model.ref_enc(spec, torch.ones_like(spec[:, :1]))
    if model.config.speaker_dim:
        style = _reference(model, inputs, "")
        yield "ge_after_sv_prelu", style
        yield "ge512", model.prior_style(style)


def _prior(model: AcousticModel, inputs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    codes, phones, style = inputs["codes_in"][0], inputs["text"], _reference(model, inputs, "")
    yield "quantizer_decode", model.quantizer.decode(codes)
    frames = model.code_frames(codes)
    mask, text_mask = torch.ones_like(frames[:, :1]), torch.ones(1, 1, phones.shape[1])
    prior = model.enc_p
    hidden = prior.encoder_ssl(prior.ssl_proj(frames), mask)
    yield "encoder_ssl", hidden
    text = prior.encoder_text(prior.text_embedding(phones).transpose(1, 2), text_mask)
    yield "encoder_text", text
    yield "mrte", prior.mrte(hidden, mask, text, text_mask, model.prior_style(style))
    hidden, _ = model.prior_hidden(codes, phones, style)
    yield "enc_p_x", hidden
    mean, log_deviation, _ = model.prior(hidden, mask)
    yield "m_p", mean
    yield "logs_p", log_deviation
    z = model.flow(mean, mask, style, reverse=True)
    yield "flow_reverse", z
    if "flow_forward_in" in inputs:
        yield "flow_forward", model.flow(inputs["flow_forward_in"], mask, style)
    yield "dec_wave", model.dec(z, style)


def _whole(model: AcousticModel, inputs: Mapping[str, Tensor], speeds: Sequence[float]) -> Iterator[tuple[str, Tensor]]:
    codes, phones, style = inputs["codes_in"][0], inputs["text"], _reference(model, inputs, "")
    yield "decode_ns0", model.decode(codes, phones, style, noise_scale=0.0)
    for speed in speeds:
        yield f"decode_ns0_speed{speed}", model.decode(codes, phones, style, noise_scale=0.0, speed=speed)
    if "refer2" in inputs:
        both = _reference(model, inputs, "", "2")
        yield "decode_ns0_tworefs", model.decode(codes, phones, both, noise_scale=0.0)
    if "noise" in inputs:
        noisy = model.decode(codes, phones, style, noise_scale=NOISE_SCALE, noise=inputs["noise"])
        yield "decode_ns05_noise", noisy


def _streamed(model: AcousticModel, inputs: Mapping[str, Tensor], first_codes: int) -> Iterator[tuple[str, Tensor]]:
    codes, phones, style = inputs["codes_in"][0], inputs["text"], _reference(model, inputs, "")
    if codes.shape[1] <= first_codes:
        return
    span = model.config.frames_per_code
    first, mask = streamed_hidden(model, codes[:, :first_codes], phones, style)
    yield "stream1_wave", model.render(*model.prior(first, mask), style, noise_scale=0.0)
    yield "stream1_latent", first
    frames = (codes.shape[1] - first_codes + SHARED_CODES) * span
    second, mask = streamed_hidden(
        model, codes, phones, style, frames=frames, earlier=first[:, :, -SHARED_FRAMES:], compat=True
    )
    yield "stream2_wave", model.render(*model.prior(second, mask), style, noise_scale=0.0)
    yield "stream2_latent", second
