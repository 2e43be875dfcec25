"""Scoring many codewords against many soft vectors at every rotation of the period.

A rotation is a circular shift in time, so all 32 come from one product per frequency of the Fourier transform over
chips: about fifteen times less work than one by one. Everything is written as real matrix products, which is what
processors and graphics cards do best. ``device`` "cpu" runs in numpy on all cores; anything else is handed to torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from watermark.codec.grid import BANDS, CHIPS

Floats = NDArray[np.float32]

#: Payloads and vectors scored at a time: what one step makes stays in a core's cache (about 1 MB), which is twice as
#: fast as 512 payloads.
PAYLOAD_BLOCK = 128
VECTOR_BLOCK = 32
#: The same for a graphics card: about 4 GB.
DEVICE_BLOCK = 16_384
_FREQUENCIES = CHIPS // 2 + 1


def _transforms() -> tuple[Floats, Floats]:
    """Forward (2 * FREQUENCIES, CHIPS), real parts then imaginary, and back (CHIPS, 2 * FREQUENCIES)."""
    spectrum = np.fft.rfft(np.eye(CHIPS), axis=0)  # (frequencies, chips)
    forward = np.concatenate([spectrum.real, spectrum.imag])
    unit = np.eye(_FREQUENCIES)
    back = np.concatenate([np.fft.irfft(unit, n=CHIPS, axis=0), np.fft.irfft(1j * unit, n=CHIPS, axis=0)], axis=1)
    return forward.astype(np.float32), back.astype(np.float32)


_FORWARD, _BACK = _transforms()


def _heard(vectors: Floats) -> Floats:
    """(2, FREQUENCIES, 2 * BANDS, vectors): what a code's [real | imaginary] parts are multiplied with, for the real
    and the imaginary part of conj(code) * heard."""
    spectrum = np.fft.rfft(vectors, axis=1).transpose(1, 2, 0)
    real, imaginary = spectrum.real, spectrum.imag
    pairs = [np.concatenate([real, imaginary], axis=1), np.concatenate([imaginary, -real], axis=1)]
    return np.stack(pairs).astype(np.float32)


def best(packed: NDArray[np.uint8], vectors: Floats, *, device: str = "cpu") -> tuple[Floats, NDArray[np.int64]]:
    """For each codeword, packed bits (payloads, CODE_LENGTH / 8), the best tau over ``vectors`` (vectors, CHIPS,
    BANDS; unit length) and rotations, and the index of its vector: (payloads,), (payloads,)."""
    scores = np.full(len(packed), -np.inf, np.float32)
    where = np.zeros(len(packed), np.int64)
    if not len(vectors) or not len(packed):
        return scores, where
    heard = [_heard(vectors[first : first + VECTOR_BLOCK]) for first in range(0, len(vectors), VECTOR_BLOCK)]
    run = _numpy_block if device == "cpu" else _torch_block(device, heard)

    def work(start: int, size: int) -> None:
        block = slice(start, start + size)
        for index, (value, place) in enumerate(run(packed[block], heard)):
            better = value > scores[block]
            scores[block] = np.where(better, value, scores[block])
            where[block] = np.where(better, place + index * VECTOR_BLOCK, where[block])

    if device != "cpu":
        for start in range(0, len(packed), DEVICE_BLOCK):
            work(start, DEVICE_BLOCK)
        return scores, where
    starts = range(0, len(packed), PAYLOAD_BLOCK)
    if len(starts) == 1:
        work(0, PAYLOAD_BLOCK)
        return scores, where
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda start: work(start, PAYLOAD_BLOCK), starts))
    return scores, where


def _numpy_block(packed: NDArray[np.uint8], heard: list[Floats]) -> list[tuple[Floats, NDArray[np.int64]]]:
    count = len(packed)
    signs = np.unpackbits(packed, axis=1).reshape(count, CHIPS, BANDS).transpose(1, 0, 2).astype(np.float32)
    signs *= 2
    signs -= 1
    spectrum = (_FORWARD @ signs.reshape(CHIPS, -1)).reshape(2, _FREQUENCIES, count, BANDS)
    code = np.concatenate([spectrum[0], spectrum[1]], axis=2)  # (frequencies, payloads, 2 * bands)
    out = []
    for part in heard:
        product = np.matmul(code, part)  # (2, frequencies, payloads, vectors)
        size = part.shape[-1]
        tau = (_BACK @ product.reshape(2 * _FREQUENCIES, -1)).max(axis=0).reshape(count, size)
        place = tau.argmax(axis=1)
        out.append((tau[np.arange(count), place], place))
    return out


def _torch_block(
    device: str, heard: list[Floats]
) -> Callable[[NDArray[np.uint8], list[Floats]], list[tuple[Floats, NDArray[np.int64]]]]:
    import torch

    on = torch.device(device.removeprefix("torch:"))
    parts = [torch.from_numpy(part).to(on) for part in heard]
    forward, back = torch.from_numpy(_FORWARD).to(on), torch.from_numpy(_BACK).to(on)
    shifts = torch.arange(7, -1, -1, device=on, dtype=torch.uint8)

    def run(packed: NDArray[np.uint8], _: list[Floats]) -> list[tuple[Floats, NDArray[np.int64]]]:
        count = len(packed)
        bits = (torch.tensor(packed, device=on)[..., None] >> shifts) & 1
        signs = (bits.reshape(count, CHIPS, BANDS).permute(1, 0, 2).float() * 2 - 1).reshape(CHIPS, -1)
        spectrum = (forward @ signs).reshape(2, _FREQUENCIES, count, BANDS)
        code = torch.cat([spectrum[0], spectrum[1]], dim=2)
        out = []
        for part in parts:
            product = torch.matmul(code, part).reshape(2 * _FREQUENCIES, -1)
            tau = (back @ product).amax(dim=0).reshape(count, -1)
            value, place = tau.max(dim=1)
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
