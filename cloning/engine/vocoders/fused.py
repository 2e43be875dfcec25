"""The anti-aliased Snake as one pass of machine code: doubling, bending and halving never leave the first-level cache.

Written out, the activation moves its signal through memory seven times at up to twice its length, and a vocoder has
109 of them. Here 16 channels of a stretch of time are doubled and bent into a small scratch and halved from it.
LLVM (inside llvmlite's wheel) compiles the function once for this machine.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import llvmlite.binding as llvm
import torch
from llvmlite import ir
from torch import Tensor

from cloning.engine.semantic.native import target_machine
from cloning.engine.semantic.vectors import ELEMENTS, I16, I64, LANES, POINTER, VECTOR, Vectors
from cloning.engine.vocoders.snake import TAPS

#: Frames of one stretch; its bent samples (twice as many, 16 channels) take 17 KB.
STRETCH = 128
#: Frames that a stretch needs on either side.
EDGE = 3
#: Pi in three parts, the first with so few bits that multiples of it are exact (Cephes, Moshier).
PI_PARTS = (3.140625, 9.67502593994140625e-4, 1.509957990978376e-7)
#: sin(r)^2 = t P(t) with t = r^2 for |r| <= pi / 2; Chebyshev fit, error 2e-8, so float32's rounding is what counts.
SQUARED_SINE = (
    0.9999999908392285, -0.33333306548440533, 0.04444317371121657, -0.0031723925861811423, 0.00013934599031755344,
    -3.6304280355756755e-06,
)  # fmt: skip
KINDS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(slots=True)
class Compiled:
    """The functions by kind of number; keeps their engine alive."""

    calls: Mapping[str, Callable[..., None]]
    engine: llvm.ExecutionEngine = field(repr=False)


class _Writer(Vectors):
    def activation(self, kind: str) -> None:
        """snake_KIND(x, out, rates, gains, up, down, frames, channels, first, stop): frames x channels, at least 16
        channels, the groups of 16 from `first` to before `stop`.

        `up` is the doubling filter times 2. The last group begins early where 16 does not divide the channels.
        """
        b = self.b
        stored = ir.PointerType(ELEMENTS[kind])
        made = self.function(f"snake_{kind}", [stored, stored, *[POINTER] * 4, *[I64] * 4], public=True)
        x, out, rates, gains, up, down, frames, channels, first, stop = made.args
        scratch = b.alloca(VECTOR, 2 * (STRETCH + 2 * EDGE))
        scratch = b.bitcast(scratch, POINTER)
        last, latest = b.sub(frames, self.i(1)), b.sub(channels, self.i(LANES))
        with self.loop(stop, start=first) as group:
            channel = self._least(b.mul(group.index, self.i(LANES)), latest)
            rate, gain = self.load(rates, channel), self.load(gains, channel)
            with self.loop(frames, step=STRETCH) as stretch:
                start = stretch.index
                count = self._least(b.sub(frames, start), self.i(STRETCH))
                with self.loop(b.add(count, self.i(2 * EDGE))) as at:
                    frame = b.sub(b.add(start, at.index), self.i(EDGE))
                    inside = self._most(self._least(frame, last), self.i(0))
                    window = []
                    for shift in range(-EDGE, EDGE + 1):
                        place = self._most(self._least(b.add(inside, self.i(shift)), last), self.i(0))
                        window.append(self.load_as(kind, x, b.add(b.mul(place, channels), channel)))
                    even = self._bent(self._filtered(up, [(11 - 2 * j, window[j]) for j in range(6)]), rate, gain)
                    odd = self._bent(self._filtered(up, [(10 - 2 * j, window[j + 1]) for j in range(6)]), rate, gain)
                    # Beyond the ends the outermost bent sample goes on.
                    before, behind = b.icmp_signed("<", frame, self.i(0)), b.icmp_signed(">", frame, last)
                    spot = b.mul(at.index, self.i(2 * LANES))
                    self.store(b.select(behind, odd, even), scratch, spot)
                    self.store(b.select(before, even, odd), scratch, b.add(spot, self.i(LANES)))
                with self.loop(count) as at:
                    spot = b.mul(b.add(b.mul(at.index, self.i(2)), self.i(1)), self.i(LANES))
                    taps = [(k, self.load(scratch, b.add(spot, self.i(k * LANES)))) for k in range(TAPS)]
                    place = b.add(b.mul(b.add(start, at.index), channels), channel)
                    self._write(kind, self._filtered(down, taps), out, place)
        b.ret_void()

    def _filtered(self, taps: ir.Value, parts: list[tuple[int, ir.Value]]) -> ir.Value:
        sums = [self.constant(0.0), self.constant(0.0)]
        for number, (tap, part) in enumerate(parts):
            sums[number % 2] = self.fma(self.spread(self.b.load(self.at(taps, tap))), part, sums[number % 2])
        return self.b.fadd(sums[0], sums[1])

    def _bent(self, x: ir.Value, rate: ir.Value, gain: ir.Value) -> ir.Value:
        """x + gain sin(rate x)^2; the square has period pi."""
        b = self.b
        angle = b.fmul(x, rate)
        whole = self.intrinsic("llvm.rint.v16f32", VECTOR, (b.fmul(angle, self.constant(0.3183098861837907)),))
        for part in PI_PARTS:
            angle = self.fma(whole, self.constant(-part), angle)
        t = b.fmul(angle, angle)
        y = self.constant(SQUARED_SINE[-1])
        for c in SQUARED_SINE[-2::-1]:
            y = self.fma(y, t, self.constant(c))
        return self.fma(b.fmul(y, t), gain, x)

    def _write(self, kind: str, value: ir.Value, out: ir.Value, place: ir.Value) -> None:
        if kind == "float32":
            self.store(value, out, place)
            return
        spot = self.b.bitcast(self.at(out, place), ir.PointerType(ir.VectorType(I16, LANES)))
        self.b.store(self.rounded(value), spot, align=2)

    def _least(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    def _most(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed(">", a, b), a, b)


@functools.lru_cache(maxsize=1)
def compiled() -> Compiled:
    """Both kinds, compiled once in a process."""
    writer = _Writer()
    for kind in KINDS.values():
        writer.activation(kind)
    module = llvm.parse_assembly(str(writer.out))
    machine = target_machine()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 10)
    calls = {kind: signature(engine.get_function_address(f"snake_{kind}")) for kind in KINDS.values()}
    return Compiled(calls, engine)


def takes(x: Tensor) -> bool:
    """Whether `snake` computes this tensor: B x C x 1 x N, channels last, on the CPU, at least 16 channels."""
    fits = x.device.type == "cpu" and x.dtype in KINDS and x.shape[1] >= LANES and x.shape[3] > 0
    return fits and x.is_contiguous(memory_format=torch.channels_last)


def snake(x: Tensor, rates: Tensor, gains: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """The activation of a tensor that `takes` accepts, in its precision. `rates`, `gains`: C float32; `up` (the filter
    times 2), `down`: 12 float32."""
    call = compiled().calls[KINDS[x.dtype]]
    out = torch.empty_like(x)
    channels, frames = x.shape[1], x.shape[3]
    groups = (channels + LANES - 1) // LANES
    size = channels * frames * x.element_size()
    constants = [value.data_ptr() for value in (rates, gains, up, down)]
    hands = min(torch.get_num_threads(), groups)
    shares = [(groups * hand // hands, groups * (hand + 1) // hands) for hand in range(hands)]
    for item in range(x.shape[0]):
        places = (x.data_ptr() + item * size, out.data_ptr() + item * size)
        if hands == 1:
            call(*places, *constants, frames, channels, 0, groups)
        else:  # the call lets other threads run
            work = [_pool().submit(call, *places, *constants, frames, channels, *share) for share in shares]
            for part in work:
                part.result()
    return out


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="snake")
