"""Many utterances together, and streams: nobody hears the neighbours, and the pieces are the whole."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import (
    STEPS_WITHOUT_END,
    Sampling,
    Utterance,
    decode,
    decode_batch,
    decode_stream,
    mute_similarity,
    prepare,
)


@pytest.fixture(scope="module")
def model() -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Text2Semantic(tiny().semantic).eval()
    with torch.no_grad():
        model.ar_predict_layer.weight *= 4
    return model


@pytest.fixture(scope="module")
def runners(model: Text2Semantic) -> dict[str, Text2Semantic | Runner]:
    return {"module": model, **{name: prepare(model, name) for name in ("float32", "bfloat16", "int8")}}


rows = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "phones": st.integers(1, 40),
        "prompt": st.integers(0, 20),
        "most": st.integers(0, 40),
        "top_k": st.sampled_from([0, 1, 5, 15]),
        "top_p": st.sampled_from([0.5, 0.9, 1.0]),
        "temperature": st.sampled_from([0.0, 0.7, 1.0, 2.0]),
        "repetition_penalty": st.sampled_from([1.0, 1.35, 2.0]),
    }
)


def utterance(row: dict[str, float]) -> Utterance:
    seed = int(row["seed"])
    drawn = torch.Generator().manual_seed(seed)
    phones = torch.randint(0, 60, (int(row["phones"]),), generator=drawn)
    prompt = torch.randint(0, 60, (int(row["prompt"]),), generator=drawn) if row["prompt"] else None
    sampling = Sampling(int(row["top_k"]), row["top_p"], row["temperature"], row["repetition_penalty"])
    return Utterance(phones, torch.Generator().manual_seed(seed), sampling, int(row["most"]), prompt=prompt)


@given(batch=st.lists(rows, max_size=6), precision=st.sampled_from(["module", "float32", "bfloat16", "int8"]))
@settings(max_examples=25, deadline=None)
def test_each_row_says_what_it_says_alone(
    runners: dict[str, Text2Semantic | Runner], batch: list[dict[str, float]], precision: str
) -> None:
    runner = runners[precision]
    together = decode_batch(runner, [utterance(row) for row in batch])
    for row, decoded in zip(batch, together, strict=True):
        own = utterance(row)
        alone = decode(
            runner,
            own.phones[None],
            generator=own.generator,
            sampling=own.sampling,
            most=own.most,
            prompt=None if own.prompt is None else own.prompt[None],
        )
        assert (decoded.codes.tolist(), decoded.ended) == (alone.codes.tolist(), alone.ended)
        assert len(decoded.codes) <= own.most
        assert not decoded.ended or len(decoded.codes) >= STEPS_WITHOUT_END


@given(batch=st.lists(rows, min_size=1, max_size=6), patience=st.floats(1.0, 3.0))
@settings(max_examples=25, deadline=None)
def test_patience_cuts_only_what_goes_on_long_after_half_have_ended(
    model: Text2Semantic, batch: list[dict[str, float]], patience: float
) -> None:
    whole = decode_batch(model, [utterance(row) for row in batch])
    cut = decode_batch(model, [utterance(row) for row in batch], patience=patience)
    # The end takes a step of its own.
    ends = sorted(len(one.codes) + 1 for one in whole if one.ended)
    half = -(-len(batch) // 2)
    last = math.ceil(patience * ends[half - 1]) if len(ends) >= half else math.inf
    for one, other in zip(whole, cut, strict=True):
        in_time = len(one.codes) + one.ended <= last
        assert other.ended == (one.ended and in_time)
        assert other.codes.tolist() == (one.codes.tolist() if in_time else one.codes[: int(last)].tolist())


@given(row=rows, chunk=st.integers(1, 15), muted=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_pieces_of_a_stream_are_the_whole(
    model: Text2Semantic, row: dict[str, float], chunk: int, muted: bool
) -> None:
    whole = decode_batch(model, [utterance(row)])[0]
    mute = mute_similarity(model, 5) if muted else None
    pieces = list(decode_stream(model, utterance(row), chunk=chunk, mute=mute))
    assert torch.cat([p.codes for p in pieces]).tolist() == whole.codes.tolist()
    assert [p.final for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].ended == whole.ended
    assert all(len(p.codes) >= chunk for p in pieces[:-1])
    if not muted:
        assert all(len(p.codes) == chunk for p in pieces[:-1])


def test_a_stream_computes_only_what_is_asked_for(model: Text2Semantic) -> None:
    row = {"seed": 1, "phones": 8, "prompt": 3, "most": 40, "top_k": 15, "top_p": 1.0, "temperature": 1.0}
    spoken = utterance({**row, "repetition_penalty": 1.35})
    before = spoken.generator.get_state()
    stream = decode_stream(model, spoken, chunk=4)
    assert torch.equal(spoken.generator.get_state(), before)
    next(stream)
    fresh = torch.Generator().manual_seed(1)
    for _ in range(4):
        torch.empty(model.config.codes).exponential_(generator=fresh)
    assert torch.equal(spoken.generator.get_state(), fresh.get_state())


def test_a_cut_at_a_pause_is_said_twice_only_on_request(model: Text2Semantic) -> None:
    row = {"seed": 4, "phones": 8, "prompt": 3, "most": 40, "top_k": 0, "top_p": 1.0, "temperature": 2.0}
    row["repetition_penalty"] = 1.0
    mute = torch.linspace(-1, 1, model.config.vocabulary)
    plain = [p.codes.tolist() for p in decode_stream(model, utterance(row), chunk=5, mute=mute)]
    doubled = [p.codes.tolist() for p in decode_stream(model, utterance(row), chunk=5, mute=mute, compat=True)]
    assert len(plain) == len(doubled) > 1
    assert all(theirs[: len(mine)] == mine for mine, theirs in zip(plain, doubled, strict=True))
    assert sum(map(len, doubled)) > sum(map(len, plain))


def test_limits_lose_nothing_unless_the_official_loss_is_asked_for(model: Text2Semantic) -> None:
    row = {"seed": 4, "phones": 8, "prompt": 3, "most": 6, "top_k": 15, "top_p": 1.0, "temperature": 1.0}
    row["repetition_penalty"] = 1.35

    def alone(compat: bool) -> list[int]:
        own = utterance(row)
        assert own.prompt is not None
        options = {"generator": own.generator, "sampling": own.sampling, "most": own.most, "compat": compat}
        return decode(model, own.phones[None], prompt=own.prompt[None], **options).codes.tolist()  # type: ignore[arg-type]

    codes = alone(compat=False)
    assert len(codes) == 6
    assert alone(compat=True) == codes[1:]
    assert decode_batch(model, [utterance(row)], compat=True)[0].codes.tolist() == codes[:-1]


def test_progress_counts_all_codes_of_a_batch(model: Text2Semantic) -> None:
    row = {"seed": 4, "phones": 8, "prompt": 3, "most": 6, "top_k": 1, "top_p": 1.0, "temperature": 1.0}
    row["repetition_penalty"] = 1.35
    counts: list[int] = []
    decode_batch(model, [utterance(row), utterance({**row, "most": 3})], progress=counts.append)
    assert counts == [2, 4, 6, 7, 8, 9]


def test_the_pause_code_is_most_like_itself(model: Text2Semantic) -> None:
    similarity = mute_similarity(model, 7)
    assert similarity.shape == (model.config.vocabulary,)
    assert int(similarity.argmax()) == 7
    assert float(similarity[7]) == pytest.approx(1.0)
    assert float(similarity.abs().max()) <= 1.0 + 1e-6


def test_nothing_to_say_is_refused(model: Text2Semantic) -> None:
    generator = torch.Generator()
    with pytest.raises(ValueError, match="non-empty"):
        Utterance(torch.empty(0, dtype=torch.long), generator, Sampling(), 5)
    with pytest.raises(ValueError, match="prompt"):
        Utterance(torch.tensor([1]), generator, Sampling(), 5, prompt=torch.tensor([[1]]))
    with pytest.raises(ValueError, match="bert"):
        Utterance(torch.tensor([1]), generator, Sampling(), 5, bert=torch.zeros(4, 2))
    with pytest.raises(ValueError, match="at least one code"):
        list(decode_stream(model, Utterance(torch.tensor([1]), generator, Sampling(), 5), chunk=0))
    assert decode_batch(model, []) == []
