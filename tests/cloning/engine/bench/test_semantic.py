"""The speed figures: the plain path computes the same function, and every row says what it measured."""

from __future__ import annotations

import torch

from cloning.engine.bench import semantic
from cloning.engine.bench.plain_semantic import PlainBatch
from cloning.engine.bench.timing import added_memory, interleaved
from cloning.engine.config import tiny
from cloning.engine.semantic.runner import PlainRunner
from cloning.engine.semantic.sampling import Sampling


def test_the_plain_path_is_the_same_function() -> None:
    torch.set_num_threads(1)
    model = semantic.recipe_model(tiny().semantic)
    phones = [torch.arange(5), torch.arange(9)]
    prompts = torch.tensor([[1, 2, 3], [4, 5, 6]])
    plain = PlainBatch(model, phones, prompts, Sampling(top_k=1))
    runner = PlainRunner(model)
    begun = [runner.begin(p, q, None, 8) for p, q in zip(phones, prompts, strict=True)]
    scores = torch.stack([first for _, first in begun])
    for _ in range(6):
        torch.testing.assert_close(plain.scores, scores, atol=1e-4, rtol=1e-4)
        scores = runner.advance([state for state, _ in begun], plain.step())


def test_every_row_names_what_was_measured() -> None:
    rows = semantic.run(threads=1, quick=True, config=tiny().semantic, rounds=2)
    assert {(r["part"], r["batch"]) for r in rows} == {
        ("semantic prefill", 1),
        ("semantic prefill", 8),
        ("semantic decode", 1),
        ("semantic decode", 8),
    }
    assert len(rows) == 20
    for row in rows:
        assert row["seconds"] > 0
        assert row["ratio"] > 0
        if row["variant"] == "reference":
            assert row["ratio"] == 1.0
        if row["part"] == "semantic decode":
            assert row["tokens_per_second"] > 0


def test_variants_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert sorted(calls) == ["a"] * 4 + ["b"] * 4
    assert all(calls[n : n + 2] in (["a", "b"], ["b", "a"]) for n in range(0, 8, 2))
    assert set(times) == {"a", "b"}
    assert all(0 <= t.cpu < 1 and 0 <= t.wall < 1 for t in times.values())


def test_added_memory_sees_a_large_array() -> None:
    # A system short of memory may take other pages back meanwhile, which hides some: the most of three counts.
    seen = [added_memory(lambda: torch.ones(40 * 1024 * 1024 // 4)) for _ in range(3)]
    told = [one for one in seen if one is not None]
    assert not told or 30 < max(told) < 60
