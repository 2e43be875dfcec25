"""What a bfloat16 block of the transformer does between its matrix products, as machine code for this processor.

Written out in torch, each of these goes through memory several times and rounds at each: the softmax of the scores,
turning and laying out of the heads, the gated sum with the norm behind it. LLVM (inside llvmlite's wheel) compiles them
once in a process; sums are in float32. N frames, W width, H heads of D channels, S places of keys (N rounded up to 16).
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from cloning.engine.acoustic.dit import EPSILON
from cloning.engine.semantic.native import target_machine
from cloning.engine.semantic.vectors import F32, I16, I32, I64, LANES, POINTER, VECTOR, WIDE, Vectors

NARROW = ir.PointerType(I16)
BFLOAT = "bfloat16"
#: Widest row that `renew` takes: its scratch stays in the first-level cache.
MOST_WIDTH = 2048
#: 2^x on -0.5..0.5: ln(2)^k / k!.
POWER = tuple(math.log(2) ** k / math.factorial(k) for k in range(6))


@dataclass(slots=True)
class Compiled:
    """The functions by name; keeps their engine alive."""

    calls: Mapping[str, Callable[..., None]]
    engine: llvm.ExecutionEngine = field(repr=False)


class _Writer(Vectors):
    def soften(self) -> None:
        """soften(scores, sums, scale, rows, visible, places): each row of `places` bfloat16 becomes
        exp(scale (x - its largest)) in its first `visible` places and 0 behind them; `sums` gets its float32 total."""
        b = self.b
        made = self.function("soften", [NARROW, POINTER, F32, I64, I64, I64], public=True)
        scores, sums, scale, rows, visible, places = made.args
        factor = self.spread(b.fmul(scale, ir.Constant(F32, 1.4426950408889634)))
        lowest = self.constant(-3.0e38)
        whole = b.mul(b.sdiv(visible, self.i(LANES)), self.i(LANES))
        lane = ir.Constant(WIDE, list(range(LANES)))
        left = b.trunc(b.sub(visible, whole), I32)
        first = b.insert_element(ir.Constant(WIDE, ir.Undefined), left, ir.Constant(I32, 0))
        counted = b.icmp_signed("<", lane, b.shuffle_vector(first, first, ir.Constant(WIDE, [0] * LANES)))
        partial = b.icmp_signed("<", whole, visible)
        end = b.select(partial, b.add(whole, self.i(LANES)), whole)
        with self.loop(rows) as row:
            start = b.mul(row.index, places)
            with self.loop(whole, step=LANES, carry=[lowest]) as at:
                at.following = [self.largest(at.values[0], self.load_as(BFLOAT, scores, b.add(start, at.index)))]
            # The last vector is looked at again where there is none behind it: a largest value stays the largest.
            tail = b.select(partial, whole, self.i(0))
            last = self.load_as(BFLOAT, scores, b.add(start, tail))
            last = b.select(counted, last, lowest)
            top = self.largest(at.values[0], b.select(partial, last, lowest))
            top = self.spread(self.intrinsic("llvm.vector.reduce.fmax.v16f32", F32, (top,)))
            shift = b.fmul(top, b.fsub(self.constant(0.0), factor))
            with self.loop(whole, step=LANES, carry=[self.constant(0.0)]) as at:
                place = b.add(start, at.index)
                value = self.power(self.fma(self.load_as(BFLOAT, scores, place), factor, shift))
                self.narrow_positive(value, scores, place)
                at.following = [b.fadd(at.values[0], value)]
            with self.loop(end, start=whole, step=LANES, carry=[at.values[0]]) as behind:
                place = b.add(start, behind.index)
                value = self.power(self.fma(self.load_as(BFLOAT, scores, place), factor, shift))
                value = b.select(counted, value, self.constant(0.0))
                self.narrow(value, scores, place)
                behind.following = [b.fadd(behind.values[0], value)]
            with self.loop(places, start=end, step=LANES) as none:
                self.narrow(self.constant(0.0), scores, b.add(start, none.index))
            b.store(self.total(behind.values[0]), self.at(sums, row.index))
        b.ret_void()

    def divide(self) -> None:
        """divide(fused, cosines, sines, query, key, value, rows, heads, width, places): rows x 3 H D, the products of a
        block, to H x places x D each; the first head of query and key is turned. `sines`: -, + in turns."""
        b = self.b
        made = self.function("divide", [NARROW, POINTER, POINTER, NARROW, NARROW, NARROW, *[I64] * 4], public=True)
        fused, cosines, sines, query, key, value, rows, heads, width, places = made.args
        inner = b.mul(heads, width)
        swapped = ir.Constant(WIDE, [lane ^ 1 for lane in range(LANES)])
        with self.loop(rows) as row:
            line, turn = b.mul(row.index, b.mul(inner, self.i(3))), b.mul(row.index, width)
            for part, out in enumerate((query, key, value)):
                source = b.add(line, b.mul(inner, self.i(part)))
                if part < 2:
                    with self.loop(width, step=LANES) as at:
                        x = self.load_as(BFLOAT, fused, b.add(source, at.index))
                        angle = b.add(turn, at.index)
                        crossed = b.fmul(b.shuffle_vector(x, x, swapped), self.load(sines, angle))
                        turned = self.fma(x, self.load(cosines, angle), crossed)
                        self.narrow(turned, out, b.add(b.mul(row.index, width), at.index))
                with self.loop(heads, start=1 if part < 2 else 0) as head:
                    there = b.mul(b.add(b.mul(head.index, places), row.index), width)
                    here = b.add(source, b.mul(head.index, width))
                    with self.loop(width, step=LANES) as at:
                        self.copied(fused, b.add(here, at.index), out, b.add(there, at.index))
        b.ret_void()

    def unite(self) -> None:
        """unite(mixed, sums, out, rows, heads, width): H x rows x D over its sums, to rows x H D."""
        b = self.b
        made = self.function("unite", [NARROW, POINTER, NARROW, I64, I64, I64], public=True)
        mixed, sums, out, rows, heads, width = made.args
        with self.loop(rows) as row, self.loop(heads) as head:
            line = b.add(b.mul(head.index, rows), row.index)
            share = self.spread(b.fdiv(ir.Constant(F32, 1.0), b.load(self.at(sums, line))))
            here, there = b.mul(line, width), b.mul(b.add(b.mul(row.index, heads), head.index), width)
            with self.loop(width, step=LANES) as at:
                value = b.fmul(self.load_as(BFLOAT, mixed, b.add(here, at.index)), share)
                self.narrow(value, out, b.add(there, at.index))
        b.ret_void()

    def renew(self) -> None:
        """renew(x, y, gate, scale, shift, out, rows, width): x += gate y, and out = norm(x) scale + shift."""
        b = self.b
        made = self.function("renew", [NARROW, NARROW, POINTER, POINTER, POINTER, NARROW, I64, I64], public=True)
        x, y, gate, scale, shift, out, rows, width = made.args
        scratch = b.bitcast(b.alloca(VECTOR, MOST_WIDTH // LANES), POINTER)
        share = b.fdiv(ir.Constant(F32, 1.0), b.sitofp(width, F32))
        with self.loop(rows) as row:
            line = b.mul(row.index, width)
            with self.loop(width, step=LANES, carry=[self.constant(0.0)]) as at:
                place = b.add(line, at.index)
                value = self.fma(
                    self.load_as(BFLOAT, y, place), self.load(gate, at.index), self.load_as(BFLOAT, x, place)
                )
                self.narrow(value, x, place)
                self.store(value, scratch, at.index)
                at.following = [b.fadd(at.values[0], value)]
            mean = self.spread(b.fmul(self.total(at.values[0]), share))
            with self.loop(width, step=LANES, carry=[self.constant(0.0)]) as at:
                off = b.fsub(self.load(scratch, at.index), mean)
                at.following = [self.fma(off, off, at.values[0])]
            variance = b.fadd(b.fmul(self.total(at.values[0]), share), ir.Constant(F32, EPSILON))
            inverse = b.fdiv(ir.Constant(F32, 1.0), self.intrinsic("llvm.sqrt.f32", F32, (variance,)))
            spread = self.spread(inverse)
            with self.loop(width, step=LANES) as at:
                off = b.fmul(b.fsub(self.load(scratch, at.index), mean), spread)
                made_ = self.fma(off, self.load(scale, at.index), self.load(shift, at.index))
                self.narrow(made_, out, b.add(line, at.index))
        b.ret_void()

    def power(self, x: ir.Value) -> ir.Value:
        """2 to the x for x <= 0, relative error 4e-6, far below what bfloat16 holds: Taylor at the nearest whole
        number, to the fifth term."""
        b = self.b
        x = self.largest(x, self.constant(-120.0))
        whole = self.intrinsic("llvm.rint.v16f32", VECTOR, (x,))
        x = b.fsub(x, whole)
        y = self.constant(POWER[-1])
        for c in POWER[-2::-1]:
            y = self.fma(y, x, self.constant(c))
        bits = b.shl(b.add(b.fptosi(whole, WIDE), ir.Constant(WIDE, [127] * LANES)), ir.Constant(WIDE, [23] * LANES))
        return b.fmul(y, b.bitcast(bits, VECTOR))

    def narrow_positive(self, value: ir.Value, out: ir.Value, place: ir.Value) -> None:
        """As `narrow` for numbers that are not negative: half the work, ties upwards."""
        b = self.b
        bits = b.add(b.bitcast(value, WIDE), ir.Constant(WIDE, [0x8000] * LANES))
        kind = ir.VectorType(I16, LANES)
        raw = b.trunc(b.lshr(bits, ir.Constant(WIDE, [16] * LANES)), kind)
        b.store(raw, b.bitcast(self.at(out, place), ir.PointerType(kind)), align=2)

    def narrow(self, value: ir.Value, out: ir.Value, place: ir.Value) -> None:
        spot = self.b.bitcast(self.at(out, place), ir.PointerType(ir.VectorType(I16, LANES)))
        self.b.store(self.rounded(value), spot, align=2)

    def copied(self, source: ir.Value, here: ir.Value, out: ir.Value, there: ir.Value) -> None:
        kind = ir.PointerType(ir.VectorType(I16, LANES))
        raw = self.b.load(self.b.bitcast(self.at(source, here), kind), align=2)
        self.b.store(raw, self.b.bitcast(self.at(out, there), kind), align=2)


_SIGNATURES: dict[str, list[Any]] = {
    "soften": [ctypes.c_int64] * 2 + [ctypes.c_float] + [ctypes.c_int64] * 3,
    "divide": [ctypes.c_int64] * 10,
    "unite": [ctypes.c_int64] * 6,
    "renew": [ctypes.c_int64] * 8,
}


@functools.lru_cache(maxsize=1)
def compiled() -> Compiled:
    """All of them, compiled once in a process."""
    writer = _Writer()
    for name in _SIGNATURES:
        getattr(writer, name)()
    module = llvm.parse_assembly(str(writer.out))
    machine = target_machine()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    calls = {}
    for name, kinds in _SIGNATURES.items():
        signature = ctypes.CFUNCTYPE(None, *kinds)
        calls[name] = signature(engine.get_function_address(name))
    return Compiled(calls, engine)
