"""Scoring many codewords against many soft vectors at every rotation of the period.

A rotation is a circular shift in time, so all 32 come from one product per frequency of the Fourier transform over
chips: about fifteen times less work than one by one. Rotations r and r + 16 share it once more: even frequencies add to
both alike and odd ones with opposite signs, so that the better of the two is even + |odd|. Everything is written as
real matrix products whose results lie as the next one wants them, which is what processors and graphics cards do best.
``device`` "cpu" runs in numpy on all cores; anything else is handed to torch.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from watermark.codec.grid import BANDS, CHIPS

Floats = NDArray[np.float32]

#: Payloads and vectors scored at a time: what one step makes stays in a core's cache (about 1 MB).
PAYLOAD_BLOCK = 64
VECTOR_BLOCK = 48
#: Payloads up to which threads cost more than they save.
ONE_THREAD = 1_024
#: The same for a graphics card: about 4 GB.
DEVICE_BLOCK = 16_384
_HALF = CHIPS // 2
#: Frequencies of the transform over chips, even ones first.
_ORDER = (*range(0, _HALF + 1, 2), *range(1, _HALF + 1, 2))
_EVEN = len(range(0, _HALF + 1, 2))


def _transforms() -> tuple[Floats, Floats]:
    """There (2 * FREQUENCIES, CHIPS) and back (_HALF, 2 * FREQUENCIES) for the first half of the rotations; real and
    imaginary part of each frequency next to each other, in _ORDER."""
    angle = 2 * np.pi / CHIPS * np.outer(_ORDER, np.arange(CHIPS))
    there = np.stack([np.cos(angle), -np.sin(angle)], axis=1).reshape(-1, CHIPS)
    share = np.array([1 if frequency % _HALF == 0 else 2 for frequency in _ORDER for _ in range(2)]) / CHIPS
    return there.astype(np.float32), np.ascontiguousarray((there[:, :_HALF] * share[:, None]).T, np.float32)


_THERE, _BACK = _transforms()
_BACK_EVEN, _BACK_ODD = np.ascontiguousarray(_BACK[:, : 2 * _EVEN]), np.ascontiguousarray(_BACK[:, 2 * _EVEN :])
#: For codewords: even frequencies see the sum of both halves of a period, odd ones the difference; signs are halved.
_THERE_EVEN = np.ascontiguousarray(2 * _THERE[: 2 * _EVEN, :_HALF])
_THERE_ODD = np.ascontiguousarray(2 * _THERE[2 * _EVEN :, :_HALF])


def _heard(vectors: Floats) -> Floats:
    """(FREQUENCIES, 2 * vectors, 2 * BANDS): what a code's [real | imaginary] parts are multiplied by, for the real and
    then the imaginary parts of conj(code) * heard."""
    count = len(vectors)
    spectrum = (_THERE @ vectors.transpose(1, 0, 2).reshape(CHIPS, -1)).reshape(-1, 2, count, BANDS)
    real, imaginary = spectrum[:, 0], spectrum[:, 1]
    pairs = [np.concatenate([real, imaginary], axis=2), np.concatenate([imaginary, -real], axis=2)]
    return np.concatenate(pairs, axis=1)


def best(packed: NDArray[np.uint8], vectors: Floats, *, device: str = "cpu") -> tuple[Floats, NDArray[np.int64]]:
    """For each codeword, packed bits (payloads, CODE_LENGTH / 8), the best tau over ``vectors`` (vectors, CHIPS,
    BANDS; unit length) and rotations, and the index of its vector: (payloads,), (payloads,)."""
    scores = np.full(len(packed), -np.inf, np.float32)
    where = np.zeros(len(packed), np.int64)
    if not len(vectors) or not len(packed):
        return scores, where
    parts = np.array_split(vectors, -(-len(vectors) // VECTOR_BLOCK))
    firsts = np.cumsum([0, *map(len, parts[:-1])])
    heard = [_heard(part) for part in parts]
    run = _numpy_block if device == "cpu" else _torch_block(device, heard)

    def work(start: int, size: int) -> None:
        block = slice(start, start + size)
        for first, (value, place) in zip(firsts, run(packed[block], heard), strict=True):
            better = value > scores[block]
            scores[block] = np.where(better, value, scores[block])
            where[block] = np.where(better, place + first, where[block])

    if device != "cpu":
        for start in range(0, len(packed), DEVICE_BLOCK):
            work(start, DEVICE_BLOCK)
        return scores, where
    starts = range(0, len(packed), PAYLOAD_BLOCK)
    if len(packed) <= ONE_THREAD:
        for start in starts:
            work(start, PAYLOAD_BLOCK)
        return scores, where
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda start: work(start, PAYLOAD_BLOCK), starts))
    return scores, where


class _Room(threading.local):
    """Arrays that a thread fills again and again: memory fetched anew for each block costs as much as the products."""

    def __init__(self) -> None:
        self._kept: dict[str, Floats] = {}

    def array(self, name: str, *shape: int) -> Floats:
        """An array of that shape whose contents are whatever was left in it."""
        size = math.prod(shape)
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.float32)
        return self._kept[name][:size].reshape(shape)


_ROOM = _Room()
_SHIFTS = np.arange(7, -1, -1, dtype=np.uint8)[:, None]


def _numpy_block(packed: NDArray[np.uint8], heard: list[Floats]) -> list[tuple[Floats, NDArray[np.int64]]]:
    count, room = len(packed), _ROOM
    bits = (np.ascontiguousarray(packed.T)[:, None] >> _SHIFTS) & np.uint8(1)
    first, second = bits.reshape(2, _HALF, -1)
    code = room.array("code", 2 * len(_ORDER), BANDS * count)
    signs = room.array("signs", _HALF, BANDS * count)
    # A bit b stands for the sign 2 b - 1; the doubling is in _THERE_EVEN and _THERE_ODD.
    np.subtract(first + second, 1, out=signs, dtype=np.float32)
    np.matmul(_THERE_EVEN, signs, out=code[: 2 * _EVEN])
    np.subtract(first, second, out=signs, dtype=np.float32)
    np.matmul(_THERE_ODD, signs, out=code[2 * _EVEN :])
    code = code.reshape(-1, 2 * BANDS, count)
    out = []
    for part in heard:
        size = part.shape[1] // 2 * count
        product = np.matmul(part, code, out=room.array("product", len(part), part.shape[1], count))
        even, odd = room.array("even", _HALF, size), room.array("odd", _HALF, size)
        np.matmul(_BACK_EVEN, product[:_EVEN].reshape(-1, size), out=even)
        np.matmul(_BACK_ODD, product[_EVEN:].reshape(-1, size), out=odd)
        even += np.abs(odd, out=odd)
        tau = even.max(axis=0).reshape(-1, count)
        place = tau.argmax(axis=0)
        out.append((tau[place, np.arange(count)], place))
    return out


def _torch_block(
    device: str, heard: list[Floats]
) -> Callable[[NDArray[np.uint8], list[Floats]], list[tuple[Floats, NDArray[np.int64]]]]:
    import torch

    on = torch.device(device.removeprefix("torch:"))
    parts = [torch.from_numpy(part).to(on) for part in heard]
    there = [torch.from_numpy(part).to(on) for part in (_THERE_EVEN, _THERE_ODD)]
    back = [torch.from_numpy(part).to(on) for part in (_BACK_EVEN, _BACK_ODD)]
    shifts = torch.arange(7, -1, -1, device=on, dtype=torch.uint8)

    def run(packed: NDArray[np.uint8], _: list[Floats]) -> list[tuple[Floats, NDArray[np.int64]]]:
        count = len(packed)
        bits = (torch.tensor(packed, device=on).T[:, None] >> shifts[:, None]) & 1
        halves = bits.reshape(2, _HALF, -1).float()
        sums = there[0] @ (halves[0] + halves[1] - 1), there[1] @ (halves[0] - halves[1])
        code = torch.cat(sums).reshape(-1, 2 * BANDS, count)
        out = []
        for part in parts:
            product = torch.matmul(part, code)
            even = back[0] @ product[:_EVEN].reshape(2 * _EVEN, -1)
            tau = even.add_((back[1] @ product[_EVEN:].reshape(back[1].shape[1], -1)).abs_()).amax(dim=0)
            value, place = tau.reshape(-1, count).max(dim=0)
            out.append((value.cpu().numpy(), place.cpu().numpy()))
        return out

    return run


def each(code: Floats, vectors: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """tau of one codeword (CHIPS, BANDS) with every vector, and the rotation r at which it is reached: chip i of the
    vector then holds chip (i - r) mod CHIPS of the code. (vectors,), (vectors,)."""
    turned = np.stack([np.roll(code, rotation, axis=0) for rotation in range(CHIPS)]).reshape(CHIPS, -1)
    tau = vectors.reshape(len(vectors), -1) @ turned.T
    rotation = tau.argmax(axis=1)
    return tau[np.arange(len(tau)), rotation], rotation
