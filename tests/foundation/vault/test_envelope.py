"""Sealed bytes: what comes back, and everything that must not open."""

import itertools
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.vault import envelope

KEY, OTHER = bytes(range(32)), bytes(32)
HERE = envelope.context("object", "1", "training", "person:1", "")


def sealed(data: bytes, bound_to: bytes = HERE) -> bytes:
    return b"".join(envelope.seal(KEY, [data], bound_to=bound_to))


def opened(data: bytes, key: bytes = KEY, bound_to: bytes = HERE) -> bytes:
    return b"".join(envelope.unseal(key, [data], bound_to=bound_to))


def chunks_of(stream: bytes) -> tuple[bytes, list[bytes]]:
    size = envelope.CHUNK + envelope.TAG
    body = stream[envelope.HEADER :]
    return stream[: envelope.HEADER], [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_what_is_sealed_comes_back(size: int) -> None:
    data = bytes(itertools.islice(itertools.cycle(range(251)), size))
    stream = sealed(data)
    assert opened(stream) == data
    chunks = max(1, -(-size // envelope.CHUNK))
    assert len(stream) == envelope.HEADER + size + chunks * envelope.TAG


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(1, 100_000))
@settings(max_examples=25, deadline=None)
def test_how_the_stream_is_cut_into_pieces_changes_nothing(pieces: list[bytes], cut: int) -> None:
    stream = b"".join(envelope.seal(KEY, pieces, bound_to=HERE))
    again = [stream[start : start + cut] for start in range(0, len(stream), cut)]
    assert b"".join(envelope.unseal(KEY, again, bound_to=HERE)) == b"".join(pieces)


def test_every_single_bit_flip_is_found() -> None:
    stream = sealed(b"a short secret")
    for bit in range(len(stream) * 8):
        bent = bytearray(stream)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(envelope.BrokenSeal):
            opened(bytes(bent))


def test_every_cut_and_every_addition_is_found() -> None:
    stream = sealed(b"a short secret")
    for length in range(len(stream)):
        with pytest.raises(envelope.BrokenSeal):
            opened(stream[:length])
    with pytest.raises(envelope.BrokenSeal):
        opened(stream + b"\x00")


def test_chunks_cannot_be_dropped_repeated_swapped_or_taken_from_elsewhere() -> None:
    head, (one, two, three) = chunks_of(sealed(b"x" * (envelope.CHUNK * 3)))
    foreign_head, (foreign, *_) = chunks_of(sealed(b"x" * (envelope.CHUNK * 3)))
    assert opened(head + one + two + three) == b"x" * (envelope.CHUNK * 3)
    for order in ([one, two], [one, three], [two, three], [two, one, three], [one, two, two, three], [one, one, three],
                  [one, two, three, three], [foreign, two, three], [one], []):  # fmt: skip
        with pytest.raises(envelope.BrokenSeal):
            opened(head + b"".join(order))
    with pytest.raises(envelope.BrokenSeal):
        opened(foreign_head + one + two + three)


def test_another_key_or_context_opens_nothing() -> None:
    stream = sealed(b"secret")
    with pytest.raises(envelope.BrokenSeal):
        opened(stream, key=OTHER)
    with pytest.raises(envelope.BrokenSeal):
        opened(stream, bound_to=envelope.context("object", "2", "training", "person:1", ""))


def test_contexts_cannot_be_shifted_into_one_another() -> None:
    assert envelope.context("ab", "c") != envelope.context("a", "bc")
    assert envelope.context("a", "") != envelope.context("a")


def test_the_same_bytes_never_look_the_same() -> None:
    assert sealed(b"secret") != sealed(b"secret")
    assert envelope.wrap(KEY, OTHER, bound_to=b"") != envelope.wrap(KEY, OTHER, bound_to=b"")


def test_a_wrapped_key_opens_only_as_it_was_wrapped() -> None:
    data_key = envelope.new_data_key()
    wrapped = envelope.wrap(KEY, data_key, bound_to=b"key 1")
    assert envelope.unwrap(KEY, wrapped, bound_to=b"key 1") == data_key
    assert data_key not in wrapped
    bent = [wrapped[:-1], wrapped + b"\x00", b""]
    for bit in range(len(wrapped) * 8):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        bent.append(bytes(changed))
    for bad in bent:
        with pytest.raises(envelope.BrokenSeal):
            envelope.unwrap(KEY, bad, bound_to=b"key 1")
    with pytest.raises(envelope.BrokenSeal):
        envelope.unwrap(KEY, wrapped, bound_to=b"key 2")
    with pytest.raises(envelope.BrokenSeal):
        envelope.unwrap(OTHER, wrapped, bound_to=b"key 1")
    with pytest.raises(envelope.BrokenSeal):
        envelope.wrap(b"short", data_key, bound_to=b"")


def test_memory_does_not_grow_with_the_stream() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(256):
            yield bytes(64 * 1024)

    tracemalloc.start()
    try:
        total = sum(
            len(piece) for piece in envelope.unseal(KEY, envelope.seal(KEY, pieces(), bound_to=b""), bound_to=b"")
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 16 * 1024 * 1024
    assert peak < 2 * 1024 * 1024
