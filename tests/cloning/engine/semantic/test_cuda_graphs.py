"""The static step, uncaptured: the same codes as the plain batch. Capture itself needs a GPU."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.cuda_graphs import BUCKETS, decode_static
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.sampling import Sampling, Utterance, decode_batch

SAMPLINGS = [
    Sampling(),
    Sampling(top_k=1, repetition_penalty=1.0),
    Sampling(top_k=0, top_p=0.7, temperature=0.8),
    Sampling(top_k=5, top_p=0.4, temperature=1.5, repetition_penalty=2.0),
    Sampling(temperature=0.0),
]


@pytest.fixture(scope="module")
def model() -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Text2Semantic(tiny().semantic).eval()
    with torch.no_grad():
        model.ar_predict_layer.weight *= 4
    return model


def utterances(device: str) -> list[Utterance]:
    rows = []
    for number, sampling in enumerate(SAMPLINGS):
        drawn = torch.Generator().manual_seed(number)
        phones = torch.randint(0, 60, (4 + 5 * number,), generator=drawn)
        prompt = torch.randint(0, 60, (3 * number,), generator=drawn) if number else None
        generator = torch.Generator().manual_seed(number)
        prompt = None if prompt is None else prompt.to(device)
        rows.append(Utterance(phones.to(device), generator, sampling, 10 + 8 * number, prompt=prompt))
    return rows


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_static_steps_say_what_the_plain_batch_says(model: Text2Semantic, device: str) -> None:
    moved = model.to(device)
    expected = decode_batch(moved, utterances(device))
    got = decode_static(moved, utterances(device))
    model.to("cpu")
    assert [(d.codes.tolist(), d.ended) for d in got] == [(d.codes.tolist(), d.ended) for d in expected]
    assert len({len(d.codes) for d in got}) > 2


def test_what_fits_no_cache_is_refused(model: Text2Semantic) -> None:
    too_long = Utterance(torch.zeros(BUCKETS[-1], dtype=torch.long), torch.Generator(), Sampling(), 1)
    with pytest.raises(ValueError, match="places"):
        decode_static(model, [too_long])
    assert decode_static(model, []) == []
