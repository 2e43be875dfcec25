"""The pool: within its budget, never out of order, never from under anybody's feet."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from cloning.engine.tts.pool import NoRoom, VoicePool
from cloning.engine.tts.shared import Shared

KILO = 1024


class Small:
    """A voice of a base of `base` and an own part of `own` kilobytes (plus a few bytes of other tensors)."""

    def __init__(self, base: int, own: int, seed: int) -> None:
        module = nn.Module()
        if base:
            module.register_parameter("base", nn.Parameter(torch.full((base * 256,), 0.5), requires_grad=False))
        generator = torch.Generator().manual_seed(seed)
        module.register_buffer("own", torch.randn(own * 256, generator=generator))
        self.module = module

    def settle(self, shared: Shared) -> frozenset[str]:
        return shared.take([self.module])

    def unshared_bytes(self) -> int:
        return 0


def test_a_voice_is_loaded_once_and_kept() -> None:
    pool, loads = VoicePool[Small](100 * KILO), []

    def load() -> Small:
        loads.append(1)
        return Small(0, 10, 1)

    with pool.lease("a", load) as first, pool.lease("a", load) as second:
        assert first is second
        assert pool.report().leases == 2
    with pool.lease("a", load) as third:
        assert third is first
    assert (len(loads), pool.report().leases) == (1, 0)


def test_the_one_not_used_for_longest_goes_and_its_memory_with_it() -> None:
    pool = VoicePool[Small](25 * KILO)
    with pool.lease("a", lambda: Small(0, 10, 1)) as voice:
        gone = weakref.ref(voice)
        tensor = weakref.ref(voice.module.own)
        del voice
    with pool.lease("b", lambda: Small(0, 10, 2)):
        pass
    with pool.lease("c", lambda: Small(0, 10, 3)):
        assert list(pool.report().own_bytes) == ["b", "c"]
    gc.collect()
    assert gone() is None
    assert tensor() is None


def test_one_in_use_stays_and_another_is_refused_by_name() -> None:
    pool = VoicePool[Small](25 * KILO)
    with pool.lease("a", lambda: Small(0, 10, 1)), pool.lease("b", lambda: Small(0, 10, 2)):
        with pytest.raises(NoRoom, match="no_room"), pool.lease("c", lambda: Small(0, 10, 3)):
            pass
        assert list(pool.report().own_bytes) == ["a", "b"]
        assert pool.report().total_bytes == 20 * KILO
    with pool.lease("c", lambda: Small(0, 10, 3)):
        assert list(pool.report().own_bytes) == ["b", "c"]


def test_a_voice_larger_than_the_budget_is_refused_and_does_not_stay() -> None:
    pool = VoicePool[Small](5 * KILO)
    with pytest.raises(NoRoom), pool.lease("a", lambda: Small(0, 10, 1)):
        pass
    assert pool.report().total_bytes == 0


def test_voices_of_one_base_cost_their_own_part_only() -> None:
    pool = VoicePool[Small](200 * KILO)
    with ExitStack() as stack:
        voices = [stack.enter_context(pool.lease(n, lambda n=n: Small(100, 10, n))) for n in range(3)]
        assert len({voice.module.base.data_ptr() for voice in voices}) == 1
        report = pool.report()
        assert report.own_bytes == dict.fromkeys(range(3), 10 * KILO)
        assert report.total_bytes == 130 * KILO
    assert pool.drop(0)
    assert pool.drop(1)
    # The last one left has the base to itself.
    assert pool.report().own_bytes == {2: 110 * KILO}
    assert pool.drop(2)
    assert pool.report().total_bytes == 0


def test_many_who_ask_at_once_wait_for_one_loading() -> None:
    pool, loads, started = VoicePool[Small](100 * KILO), [], threading.Barrier(8)

    def load() -> Small:
        loads.append(1)
        return Small(0, 10, 1)

    def ask() -> None:
        started.wait()
        with pool.lease("a", load):
            pass

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


def test_a_failed_loading_leaves_nothing_and_the_next_one_tries_again() -> None:
    pool = VoicePool[Small](100 * KILO)

    def fail() -> Small:
        raise OSError("no such file")

    for _ in range(2):
        with pytest.raises(OSError, match="no such file"), pool.lease("a", fail):
            pass
    with pool.lease("a", lambda: Small(0, 10, 1)):
        assert pool.report().leases == 1


def test_an_error_while_speaking_gives_the_voice_back() -> None:
    pool = VoicePool[Small](100 * KILO)
    with pytest.raises(RuntimeError), pool.lease("a", lambda: Small(0, 10, 1)):
        raise RuntimeError
    assert pool.report().leases == 0
    assert pool.drop("a")


def test_a_voice_in_use_is_not_dropped() -> None:
    pool = VoicePool[Small](100 * KILO)
    with pool.lease("a", lambda: Small(0, 10, 1)):
        assert not pool.drop("a")
    assert not pool.drop("b")
