"""Decoding against results recorded from the official code: one by one, batched, streamed, small and at full size."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.checkpoints import load_semantic
from cloning.engine.config import official as official_config
from cloning.engine.errors import EngineError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.official import OfficialDecode, recorded, run_case
from cloning.engine.semantic.sampling import prepare
from tests.cloning.engine.official import arrays, manifest, needs_fixtures, rows, unpacked

pytestmark = needs_fixtures
PRECISIONS = (None, "float32", "bfloat16", "int8")


@pytest.fixture(scope="module")
def small() -> Text2Semantic:
    torch.set_num_threads(1)
    return load_semantic(unpacked("s1_small.ckpt.xz")).model.eval()


@pytest.fixture(scope="module")
def full() -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.device("meta"):
        model = Text2Semantic(official_config("v2").semantic)
    shapes = {f"model.{name}": tuple(value.shape) for name, value in model.state_dict().items()}
    state = recipe_state(shapes, manifest("full_s1_v2.npz")["recipe_seed"])
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()}, assign=True)
    return model.eval()


@pytest.mark.parametrize("file", ["s1_decode.json", "s1_decode_eos.json"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_recorded_decoding_is_repeated(small: Text2Semantic, file: str, precision: str | None) -> None:
    replayed = list(recorded(small, arrays("s1_decode_inputs.npz"), rows(file), precision=precision))
    assert [name for name, got, expected in replayed if got != expected] == []
    assert len(replayed) == (18 if file == "s1_decode.json" else 7)


def test_a_case_nobody_knows_is_an_error(small: Text2Semantic) -> None:
    inputs = arrays("s1_decode_inputs.npz")
    for name in ("beam_search", "stream_of_consciousness"):
        with pytest.raises(EngineError, match="unknown_case"):
            list(recorded(small, inputs, {name: {}}))


@torch.inference_mode()
def test_full_size_logits_and_loss_are_the_official_ones(full: Text2Semantic) -> None:
    ref = arrays("full_s1_v2.npz")
    lengths = torch.tensor([24]), torch.tensor([30])
    out = full(ref["x"], lengths[0], ref["y"], lengths[1], bert=ref["bert"], reduction="sum")
    torch.testing.assert_close(out.logits, ref["logits"], atol=2e-4, rtol=0)
    torch.testing.assert_close(out.loss, ref["loss"], atol=0, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_full_size_greedy_codes_are_the_official_ones(full: Text2Semantic, precision: str | None) -> None:
    ref = arrays("full_s1_v2.npz")
    runner = full if precision is None else prepare(full, precision)
    got = run_case(runner, ref["x"], ref["y"][:, :12], ref["bert"], {"early_stop_num": 20})
    y = ref["greedy_y"][0].tolist()
    assert got == OfficialDecode(y, int(ref["greedy_idx"]), y[-int(ref["greedy_idx"]) :])


@pytest.mark.parametrize(("precision", "most"), [("float32", 2e-4), ("bfloat16", 0.05), ("int8", 0.05)])
@torch.inference_mode()
def test_full_size_scores_stay_near_the_official_ones(full: Text2Semantic, precision: str, most: float) -> None:
    ref = arrays("full_s1_v2.npz")
    runner = prepare(full, precision)
    state, first = runner.begin(ref["x"][0], ref["y"][0, :12], ref["bert"][0], 30)
    scores = [first] + [runner.advance([state], code[None])[0] for code in ref["y"][0, 12:]]
    torch.testing.assert_close(torch.stack(scores), ref["logits"][0, 12:], atol=most, rtol=0)
