"""Words for writing vector code: 16 float32 at a time, from any storage, in loops that carry values.

LLVM (through llvmlite, which carries it inside its wheel) turns 16-lane vectors into the widest instructions of the
machine, whatever they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

#: Lanes of one vector: 512 bits of float32. Narrower machines split them.
LANES = 16

I1, I8, I16, I32, I64, F32 = (*(ir.IntType(n) for n in (1, 8, 16, 32, 64)), ir.FloatType())
POINTER = ir.PointerType(F32)
VECTOR = ir.VectorType(F32, LANES)
WIDE = ir.VectorType(I32, LANES)
#: How one number of a kind is stored.
ELEMENTS: dict[str, ir.Type] = {"float32": F32, "float16": I16, "bfloat16": I16, "int8": I8}


@dataclass(slots=True)
class Loop:
    """A loop being built: its index, the values it carries, and (set by the body) their next values."""

    index: ir.Value
    values: list[ir.Value]
    following: list[ir.Value]


class Vectors:
    """A module under construction and the words to write its functions with."""

    def __init__(self) -> None:
        self.out = ir.Module(name="decode")
        self.b = ir.IRBuilder()

    def i(self, value: int) -> ir.Constant:
        return ir.Constant(I64, value)

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(VECTOR, [ir.Constant(F32, value)] * LANES)

    def intrinsic(self, name: str, result: ir.Type, arguments: Sequence[ir.Value], **options: object) -> ir.Value:
        known = self.out.globals.get(name)
        if known is None:
            known = ir.Function(self.out, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.b.call(known, arguments, **options)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.intrinsic("llvm.fma.v16f32", VECTOR, (a, b, c))

    def largest(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.intrinsic("llvm.maxnum.v16f32", VECTOR, (a, b))

    def exponential(self, x: ir.Value) -> ir.Value:
        """e to the x for x <= 0, error about 1e-7: a power of two times a polynomial (Cephes expf, Moshier)."""
        b = self.b
        x = self.largest(x, self.constant(-87.0))
        whole = self.intrinsic("llvm.rint.v16f32", VECTOR, (b.fmul(x, self.constant(1.4426950408889634)),))
        x = self.fma(whole, self.constant(-0.693359375), x)
        x = self.fma(whole, self.constant(2.12194440e-4), x)
        y = self.constant(1.9875691500e-4)
        for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            y = self.fma(y, x, self.constant(c))
        y = b.fadd(self.fma(y, b.fmul(x, x), x), self.constant(1.0))
        wide = WIDE
        power = b.shl(b.add(b.fptosi(whole, wide), ir.Constant(wide, [127] * LANES)), ir.Constant(wide, [23] * LANES))
        return b.fmul(y, b.bitcast(power, VECTOR))

    def total(self, vector: ir.Value) -> ir.Value:
        """Sum of the lanes."""
        zero = ir.Constant(F32, 0.0)
        return self.intrinsic("llvm.vector.reduce.fadd.v16f32", F32, (zero, vector), fastmath=("reassoc",))

    def spread(self, scalar: ir.Value) -> ir.Value:
        """One number in every lane."""
        first = self.b.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(I32, 0))
        mask = ir.Constant(WIDE, [0] * LANES)
        return self.b.shuffle_vector(first, ir.Constant(VECTOR, ir.Undefined), mask)

    def at(self, pointer: ir.Value, offset: ir.Value | int) -> ir.Value:
        return self.b.gep(pointer, [self.i(offset) if isinstance(offset, int) else offset])

    def load(self, pointer: ir.Value, offset: ir.Value | int = 0) -> ir.Value:
        """16 float32 from any address."""
        place = self.b.bitcast(self.at(pointer, offset), ir.PointerType(VECTOR))
        return self.b.load(place, align=4)

    def store(self, value: ir.Value, pointer: ir.Value, offset: ir.Value | int = 0) -> None:
        self.b.store(value, self.b.bitcast(self.at(pointer, offset), ir.PointerType(VECTOR)), align=4)

    def load_as(self, kind: str, pointer: ir.Value, offset: ir.Value | int) -> ir.Value:
        """16 numbers of a narrow kind, as float32."""
        if kind == "float32":
            return self.load(pointer, offset)
        narrow = ir.VectorType(ELEMENTS[kind], LANES)
        raw = self.b.load(self.b.bitcast(self.at(pointer, offset), ir.PointerType(narrow)), align=1)
        wide = WIDE
        if kind == "int8":
            return self.b.sitofp(self.b.sext(raw, wide), VECTOR)
        if kind == "bfloat16":
            return self.b.bitcast(self.b.shl(self.b.zext(raw, wide), ir.Constant(wide, [16] * LANES)), VECTOR)
        return self.b.fpext(self.b.bitcast(raw, ir.VectorType(ir.HalfType(), LANES)), VECTOR)

    def number_as(self, kind: str, pointer: ir.Value) -> ir.Value:
        """One number of kind "float32" or "float16", as float32."""
        if kind == "float32":
            return self.b.load(pointer)
        return self.b.fpext(self.b.load(self.b.bitcast(pointer, ir.PointerType(ir.HalfType()))), F32)

    def rounded(self, value: ir.Value) -> ir.Value:
        """float32 (one or 16) as the bits of the nearest bfloat16, ties to even."""
        one = not isinstance(value.type, ir.VectorType)
        wide: ir.Type = I32 if one else WIDE
        narrow: ir.Type = I16 if one else ir.VectorType(I16, LANES)

        def number(n: int) -> ir.Constant:
            return ir.Constant(wide, n) if one else ir.Constant(wide, [n] * LANES)

        bits = self.b.bitcast(value, wide)
        odd = self.b.and_(self.b.lshr(bits, number(16)), number(1))
        return self.b.trunc(self.b.lshr(self.b.add(self.b.add(bits, number(0x7FFF)), odd), number(16)), narrow)

    @contextmanager
    def loop(
        self, stop: ir.Value | int, *, step: int = 1, start: ir.Value | int = 0, carry: Sequence[ir.Value] = ()
    ) -> Iterator[Loop]:
        """for index in range(start, stop, step); after the loop `values` are the carried results."""
        b = self.b
        stop = self.i(stop) if isinstance(stop, int) else stop
        start = self.i(start) if isinstance(start, int) else start
        before = b.block
        head, body, done = (b.function.append_basic_block(n) for n in ("head", "body", "done"))
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        index.add_incoming(start, before)
        phis = []
        for value in carry:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            phis.append(phi)
        b.cbranch(b.icmp_signed("<", index, stop), body, done)
        b.position_at_end(body)
        state = Loop(index, list(phis), [])
        yield state
        index.add_incoming(b.add(index, self.i(step)), b.block)
        for phi, value in zip(phis, state.following, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(done)

    def function(self, name: str, arguments: Sequence[ir.Type], *, public: bool = False) -> ir.Function:
        made = ir.Function(self.out, ir.FunctionType(ir.VoidType(), arguments), name)
        if not public:
            made.linkage = "internal"
        for argument in made.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        self.b.position_at_end(made.append_basic_block("entry"))
        return made
