"""LoRA voices of v3 and v4: merged, kept beside a shared base, eight in one batch, and adapters that do not belong."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import Lora, beside, check, merged, together
from cloning.engine.errors import CheckpointError
from tests.cloning.engine.acoustic.tiny_diffusion import adapter, model


@pytest.fixture(scope="module")
def base() -> DiffusionModel:
    return model()


def spoken(voice: DiffusionModel, seed: int, codes: int = 9) -> tuple[torch.Tensor, ...]:
    """Features, prompt and noise of one utterance of a voice."""
    generator = torch.Generator().manual_seed(seed)
    said = torch.randint(0, 64, (1, codes), generator=generator)
    phones = torch.randint(0, 732, (1, 7), generator=generator)
    style = voice.reference_style([torch.rand(1, 1025, 20, generator=generator)])
    features = voice.features(said, phones, style)
    frames = features.shape[2]
    return features, torch.randn(1, 100, 5, generator=generator), torch.randn(1, 100, frames, generator=generator)


def mel_of(voice: DiffusionModel, seed: int, codes: int = 9) -> torch.Tensor:
    features, prompt, noise = spoken(voice, seed, codes)
    lengths = torch.tensor([features.shape[2]])
    return voice.cfm.sample(features, lengths, prompt, 4, noise=noise, adapters=voice.adapters)


def refusal(base: DiffusionModel, lora: Lora) -> str:
    for way in (check, merged, beside):
        with pytest.raises(CheckpointError) as refused:
            way(base, lora)
    return refused.value.code


def test_merged_and_kept_beside_say_the_same(base: DiffusionModel) -> None:
    lora = adapter(base, 5)
    whole, kept = merged(base, lora), beside(base, lora)
    assert kept.cfm is base.cfm
    assert whole.cfm is not base.cfm
    torch.testing.assert_close(mel_of(kept, 1), mel_of(whole, 1), atol=2e-5, rtol=1e-4)
    assert (mel_of(kept, 1) - mel_of(base, 1)).abs().max() > 1e-2


def test_the_base_is_not_changed(base: DiffusionModel) -> None:
    before = {name: value.clone() for name, value in base.state_dict().items()}
    merged(base, adapter(base, 5))
    beside(base, adapter(base, 6))
    for name, value in base.state_dict().items():
        assert torch.equal(before[name], value), name


def test_eight_voices_in_one_batch_are_each_as_alone(base: DiffusionModel) -> None:
    """Ranks, lengths and prompts differ, one speaks with the bare base, one with pairs alone."""
    voices = [beside(base, adapter(base, seed, rank=1 + seed % 4, own=seed != 3)) for seed in range(7)] + [base]
    parts = [spoken(voice, 10 + index, codes=6 + index) for index, voice in enumerate(voices)]
    lengths = torch.tensor([features.shape[2] for features, _, _ in parts])
    longest = int(lengths.max())

    def wide(row: int) -> torch.Tensor:
        return torch.cat([torch.nn.functional.pad(part[row], (0, longest - part[row].shape[2])) for part in parts])

    batch = base.cfm.sample(
        wide(0),
        lengths,
        torch.cat([prompt for _, prompt, _ in parts]),
        4,
        noise=wide(2),
        adapters=together(voices),
    )
    for row, voice in enumerate(voices):
        alone = mel_of(voice, 10 + row, codes=6 + row)
        torch.testing.assert_close(batch[row : row + 1, :, : int(lengths[row])], alone, atol=2e-5, rtol=1e-4)
    assert (batch[0] - batch[1])[..., 5 : int(lengths.min())].abs().max() > 1e-2


def test_parts_that_are_not_trained_are_the_bases_own(base: DiffusionModel) -> None:
    kept = beside(base, adapter(base, 5, own=False))
    assert kept.wns1 is base.wns1
    assert kept.ref_enc is base.ref_enc


def test_voices_of_two_bases_do_not_share_a_batch(base: DiffusionModel) -> None:
    with pytest.raises(ValueError, match="one base"):
        together([base, model(seed=9)])


def test_bare_voices_need_no_adapters(base: DiffusionModel) -> None:
    assert together([base, base]) == ()


def test_a_v3_adapter_is_refused_by_v4(base: DiffusionModel) -> None:
    assert refusal(base, adapter(model("v3"), 1)) == "wrong_version"


def test_an_adapter_of_another_width_is_refused(base: DiffusionModel) -> None:
    lora = adapter(base, 1)
    down, up = lora.pairs["0.to_q"]
    for pair in ((down[:, :-1], up), (down, up[:-1])):
        assert refusal(base, dataclasses.replace(lora, pairs={**lora.pairs, "0.to_q": pair})) == "wrong_base"


def test_an_adapter_of_a_deeper_base_is_refused(base: DiffusionModel) -> None:
    lora = adapter(base, 1)
    assert refusal(base, dataclasses.replace(lora, pairs={"7.to_q": lora.pairs["0.to_q"]})) == "wrong_base"


def test_an_adapter_with_another_codebook_is_refused(base: DiffusionModel) -> None:
    lora = dataclasses.replace(adapter(base, 1), codebook=base.quantizer.book.embed + 1)
    assert refusal(base, lora) == "wrong_base"
    check(base, dataclasses.replace(lora, codebook=base.quantizer.book.embed.half().float()))


def test_a_part_that_is_not_whole_is_refused(base: DiffusionModel) -> None:
    lora = adapter(base, 1)
    own = {name: value for name, value in lora.own.items() if name != "wns1.pre.bias"}
    assert refusal(base, dataclasses.replace(lora, own=own)) == "wrong_weights"
    wider = {**lora.own, "wns1.pre.bias": torch.zeros(17)}
    assert refusal(base, dataclasses.replace(lora, own=wider)) == "wrong_base"
