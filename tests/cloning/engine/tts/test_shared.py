"""Shared memory: found by content, counted once, measured."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from cloning.engine.tts.shared import Shared, memory


def linear(seed: int) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(64, 64).requires_grad_(False)


def test_equal_tensors_become_one_and_values_stay() -> None:
    shared, x = Shared(), torch.ones(1, 64)
    one, two, other = linear(1), linear(1), linear(2)
    before = [module(x) for module in (one, two, other)]
    keys = [shared.take([module]) for module in (one, two, other)]
    assert one.weight.data_ptr() == two.weight.data_ptr() != other.weight.data_ptr()
    for module, wanted in zip((one, two, other), before, strict=True):
        assert torch.equal(module(x), wanted)
    # Biases are too small to be worth it.
    assert [len(found) for found in keys] == [1, 1, 1]
    assert [shared.own_bytes(found) for found in keys] == [0, 0, 16384]
    assert shared.total_bytes == 2 * 16384
    shared.release(keys[0])
    assert shared.own_bytes(keys[1]) == 16384
    shared.release(keys[1])
    assert shared.total_bytes == 16384


def test_layout_and_kind_are_a_part_of_what_a_tensor_is() -> None:
    module = nn.Module()
    plain = torch.ones(8, 8, 8, 8)
    module.register_buffer("plain", plain)
    module.register_buffer("turned", plain.contiguous(memory_format=torch.channels_last))
    module.register_buffer("narrow", plain.half())
    assert len(Shared().take([module])) == 3
    assert module.get_buffer("turned").is_contiguous(memory_format=torch.channels_last)


def test_a_part_is_made_once_and_goes_with_its_last_user() -> None:
    shared, made = Shared(), []

    def make() -> list[int]:
        made.append(1)
        return [len(made)]

    first = shared.part("a", make, lambda _: 10)
    assert shared.part("a", make, lambda _: 10) is first
    assert shared.own_bytes({"a"}) == 0
    shared.release({"a"})
    assert shared.own_bytes({"a"}) == 10
    shared.release({"a"})
    assert shared.part("a", make, lambda _: 10) == [2]


def test_what_nobody_holds_any_more_is_let_go() -> None:
    shared, one, other = Shared(), linear(1), linear(2)
    keys = shared.take([one, other])
    kept = shared.keep(keys, memory(one))
    assert len(kept) == 1
    assert shared.total_bytes == 16384
    shared.release(kept)
    assert shared.total_bytes == 0


def test_what_a_part_took_for_itself_goes_with_it() -> None:
    shared, module = Shared(), linear(1)

    def make() -> frozenset[str]:
        return shared.take([module])

    for _ in range(2):
        shared.part("base", make, lambda _: 10, lambda keys: keys)
    assert shared.total_bytes == 16384 + 10
    assert shared.own_bytes({"base"}) == 0
    shared.release({"base"})
    assert shared.own_bytes({"base"}) == 16384 + 10
    shared.release({"base"})
    assert shared.total_bytes == 0


def test_a_part_that_many_ask_for_at_once_is_made_once() -> None:
    shared, made, started = Shared(), [], threading.Barrier(6)

    def make() -> list[int]:
        made.append(1)
        return made

    def ask() -> None:
        started.wait()
        shared.part("a", make, lambda _: 10)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    shared.release(["a"] * 6)
    assert shared.total_bytes == 0


def test_after_a_failed_making_the_next_one_tries_again() -> None:
    shared = Shared()

    def fail() -> int:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        shared.part("a", fail, lambda _: 1)
    assert shared.part("a", lambda: 7, lambda _: 1) == 7


def test_memory_counts_every_place_once() -> None:
    weights = torch.zeros(100)
    array = np.zeros(50)
    things = [weights, weights[:10], {"a": array[:5], "b": (array, 7, "text")}]
    assert sorted(memory(things).values()) == [400, 400]
    assert sum(memory(linear(1)).values()) == (64 * 64 + 64) * 4
