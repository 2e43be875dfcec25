"""S1 against arrays computed by the official code (tolerances: the fixtures' README)."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.checkpoints import load_semantic
from cloning.engine.semantic.model import KeyValueCache, Text2Semantic, prefix_mask
from cloning.engine.semantic.sampling import Sampling, decode, penalise, probabilities

FIXTURES = Path(__file__).resolve().parents[5] / "shared" / "fixtures" / "gpt_sovits"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not on this machine")


@pytest.fixture(scope="module")
def model() -> Text2Semantic:
    torch.set_num_threads(1)
    return load_semantic(lzma.decompress((FIXTURES / "s1_small.ckpt.xz").read_bytes())).model.eval()


def arrays(name: str) -> dict[str, torch.Tensor]:
    with np.load(FIXTURES / name, allow_pickle=False) as data:
        return {key: torch.from_numpy(data[key]) for key in data.files}


def test_prefill_is_the_official_one(model: Text2Semantic) -> None:
    ref = arrays("s1_prefill.npz")
    with torch.inference_mode():
        text = model.embed_text(ref["x"], ref["bert"])
        codes = model.embed_codes(ref["prompt"])
        assert torch.equal(~prefix_mask(37, 20), ref["mask_true_is_blocked"])
        torch.testing.assert_close(text, ref["text_pos"], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(codes, ref["prompt_pos"], atol=1e-4, rtol=1e-5)
        cache = KeyValueCache(model.config, 60, text)
        out = model.h(torch.cat((text, codes), 1), prefix_mask(37, 20)[None, None], cache)
        torch.testing.assert_close(out, ref["prefill_out"], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(model.logits(out[:, -1]), ref["prefill_logits_last"], atol=2e-4, rtol=0)
        keys = cache.keys[0, :, :, :57].transpose(1, 2).flatten(2)
        values = cache.values[-1, :, :, :57].transpose(1, 2).flatten(2)
    torch.testing.assert_close(keys, ref["kcache0"], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(values, ref["vcache_last"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "penalty", "most", "prompted"),
    [
        ("greedy_prompt", 1.35, 1500, True),
        ("greedy_prompt_earlystop25", 1.35, 26, True),
        ("greedy_norep_earlystop60", 1.0, 61, True),
        ("greedy_no_prompt_earlystop80", 1.35, 81, False),
    ],
)
def test_greedy_decoding_gives_the_official_tokens(
    model: Text2Semantic, name: str, penalty: float, most: int, prompted: bool
) -> None:
    inputs = arrays("s1_decode_inputs.npz")
    expected = json.loads((FIXTURES / "s1_decode.json").read_text())[name]["y"]
    prompt = inputs["prompt"] if prompted else None
    got = decode(
        model,
        inputs["x"],
        bert=inputs["bert"],
        prompt=prompt,
        generator=torch.Generator().manual_seed(0),
        sampling=Sampling(top_k=1, repetition_penalty=penalty),
        most=most,
    )
    assert got.codes.tolist() == expected[20 if prompted else 0 :]


def test_sampler_gives_the_official_probabilities() -> None:
    ref = arrays("s1_sampler.npz")
    for row, (top_k, top_p, temperature, penalty) in enumerate(ref["params_topk_topp_temp_rep"].tolist()):
        sampling = Sampling(top_k=max(0, int(top_k)), top_p=top_p, temperature=temperature, repetition_penalty=penalty)
        chances = probabilities(penalise(ref["logits"], ref["prev"], penalty), sampling)
        torch.testing.assert_close(chances, ref[f"probs{row}"], atol=1e-6, rtol=1e-4)
        if row in (0, 4):
            assert torch.equal((chances / ref["expnoise"]).argmax(-1), ref[f"choice{row}"].squeeze())


def test_training_loss_of_one_item_is_the_official_one(model: Text2Semantic) -> None:
    ref = arrays("s1_train_forward.npz")
    phones, codes = int(ref["phoneme_ids_len"][0]), int(ref["semantic_ids_len"][0])
    with torch.inference_mode():
        out = model(
            ref["phoneme_ids"][:1, :phones],
            ref["phoneme_ids_len"][:1],
            ref["semantic_ids"][:1, :codes],
            ref["semantic_ids_len"][:1],
            bert=ref["bert_feature"][:1, :, :phones],
            reduction="sum",
        )
    torch.testing.assert_close(out.loss, ref["b1_loss"], atol=0, rtol=1e-5)
