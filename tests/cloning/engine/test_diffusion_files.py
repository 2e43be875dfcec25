"""Reading v3 and v4 files: whole, LoRA, and everything that is not one of them."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import ADAPTED
from cloning.engine.acoustic.lora import Lora, beside
from cloning.engine.diffusion_files import is_lora, load_diffusion, load_lora
from cloning.engine.errors import CheckpointError
from cloning.engine.parity.diffusion import inference, lora_file, merged_lora, whole_file
from cloning.engine.parity.folder import Folder
from tests.cloning.engine.acoustic.tiny_diffusion import adapter, model
from tests.cloning.engine.official import FIXTURES, needs_fixtures


def config(version: str) -> dict[str, Any]:
    acoustic = {
        "inter_channels": 16, "hidden_channels": 16, "filter_channels": 24, "n_heads": 2, "n_layers": 2,
        "kernel_size": 3, "p_dropout": 0.0, "resblock": "1", "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3, "upsample_rates": [10, 8, 2, 2, 2],
        "upsample_initial_channel": 512, "upsample_kernel_sizes": [16, 16, 8, 2, 2], "gin_channels": 512,
        "semantic_frame_rate": "25hz", "version": version,
    }  # fmt: skip
    audio = {
        "sampling_rate": 32000,
        "filter_length": 2048,
        "win_length": 2048,
        "hop_length": 640,
        "n_mel_channels": 128,
    }
    return {"model": acoustic, "data": audio}


def saved(content: Any, header: bytes = b"PK") -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return header + file.getvalue()[2:]


def lora_content(base: DiffusionModel, lora: Lora, **more: object) -> dict[str, Any]:
    """As upstream writes it."""
    weight = OrderedDict((name, value.half()) for name, value in lora.own.items())
    for name, pair in lora.pairs.items():
        number, layer = name.split(".", 1)
        for letter, value in zip("AB", pair, strict=True):
            weight[
                f"cfm.base_model.model.estimator.transformer_blocks.{number}.attn.{layer}.lora_{letter}.default.weight"
            ] = value.half()
    weight["quantizer.vq.layers.0._codebook.embed"] = base.quantizer.book.embed.half()
    weight["cfm.base_model.model.estimator.rotary_embed.inv_freq"] = base.cfm.estimator.rotary_embed.inv_freq.half()
    return {"weight": weight, "config": config("v4"), "info": "2epoch_8iteration", "lora_rank": lora.rank, **more}


@pytest.fixture(scope="module")
def base() -> DiffusionModel:
    return model()


def refusal(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(CheckpointError) as refused:
        call(*arguments)
    return refused.value.code


def test_a_lora_file_comes_back_as_it_was_written(base: DiffusionModel) -> None:
    lora = adapter(base, 3)
    data = saved(lora_content(base, lora), b"04")
    assert is_lora(data)
    read = load_lora(data)
    assert (read.version, read.rank, read.info) == ("v4", 3, "2epoch_8iteration")
    assert {name.split(".", 1)[1] for name in read.pairs} == set(ADAPTED)
    for name, pair in lora.pairs.items():
        for got, wanted in zip(read.pairs[name], pair, strict=True):
            assert torch.equal(got, wanted.half().float())
    beside(base, read)


def test_a_lora_file_without_its_base_is_refused_by_name(base: DiffusionModel) -> None:
    assert refusal(load_diffusion, saved(lora_content(base, adapter(base, 3)), b"04")) == "needs_base"


def test_the_header_says_the_version(base: DiffusionModel) -> None:
    lora = load_lora(saved(lora_content(base, adapter(base, 3)), b"03"))
    assert lora.version == "v3"
    assert refusal(beside, base, lora) == "wrong_version"


def test_a_rank_that_contradicts_the_weights_is_refused(base: DiffusionModel) -> None:
    lora = adapter(base, 3)
    assert refusal(load_lora, saved(lora_content(base, lora, lora_rank=4), b"04")) == "wrong_rank"
    mixed = {**lora.pairs, "0.to_q": (torch.zeros(5, 32), torch.zeros(32, 5))}
    content = lora_content(base, Lora("v4", 3, mixed, lora.own))
    assert refusal(load_lora, saved(content, b"04")) == "wrong_weights"


def test_a_plain_file_is_no_lora(base: DiffusionModel) -> None:
    assert refusal(load_lora, saved(lora_content(base, adapter(base, 3)))) == "not_lora"


@pytest.mark.parametrize("name", ["enc_p.proj.weight", "cfm.base_model.model.estimator.proj_out.weight", "x"])
def test_a_foreign_part_of_a_lora_file_is_refused(base: DiffusionModel, name: str) -> None:
    content = lora_content(base, adapter(base, 3))
    content["weight"][name] = torch.zeros(2, 2)
    assert refusal(load_lora, saved(content, b"04")) == "wrong_weights"


def test_half_a_pair_and_broken_values_are_refused(base: DiffusionModel) -> None:
    content = lora_content(base, adapter(base, 3))
    name = next(key for key in content["weight"] if "lora_A" in key)
    kept = content["weight"].pop(name)
    assert refusal(load_lora, saved(content, b"04")) == "wrong_weights"
    content["weight"][name] = kept * float("nan")
    assert refusal(load_lora, saved(content, b"04")) == "not_finite"


def test_a_v2_file_is_no_flow_matching_model() -> None:
    content = {"weight": {"dec.conv_pre.weight": torch.zeros(2, 2)}, "config": config("v2"), "info": ""}
    assert refusal(load_diffusion, saved(content)) == "unsupported_version"


def test_a_file_that_hides_its_version_needs_to_be_told(base: DiffusionModel) -> None:
    content = {"weight": {"cfm.x": torch.zeros(2)}, "config": config("v9"), "info": ""}
    assert refusal(load_diffusion, saved(content)) == "unknown_version"
    assert refusal(load_diffusion, saved({**content, "config": config("v4")}), "v3") == "wrong_version"
    assert refusal(load_diffusion, saved(content), "v3") == "bad_config"  # told, it is read: no transformer inside


@needs_fixtures
@pytest.mark.parametrize("version", ["v3", "v4"])
def test_the_golden_files_pass(version: str) -> None:
    torch.set_num_threads(1)
    folder = Folder(FIXTURES)
    for compare, name in (
        (inference, f"s2_{version}_small_infer.npz"),
        (merged_lora, f"s2_{version}_lora_small_merged.npz"),
    ):
        row = compare(folder, name, "v3_v4")
        assert row.status == "passed", row.line()


@needs_fixtures
@pytest.mark.slow
@pytest.mark.parametrize("version", ["v3", "v4"])
def test_the_golden_weights_are_the_rules(version: str) -> None:
    folder = Folder(FIXTURES)
    for compare, name in (
        (whole_file, f"s2_{version}_small.pth.xz"),
        (lora_file, f"s2_{version}_lora_small.pth.xz"),
    ):
        row = compare(folder, name, "v3_v4")
        assert row.status == "passed", row.line()
