"""The linear layers of a decode step: a matrix for one to four rows at a time, and a voice's adapter beside it.

Decoding reads every weight once for each step, so its speed is that of the memory: weights are kept narrow (half,
bfloat16 or 8-bit) and widened to float32 in registers, where all sums are made. Every sum runs in one fixed order,
whatever the number of rows: a row's result is the same bit for bit, alone or in a crowd.

Layouts (float32 unless said): a matrix N x K is stored as ceil(N / 64) panels of K x 64, so that one panel is one
stream of memory; scales of 8-bit weights are panels of ceil(K / 64) x 64. Activations: one row after the other,
`Sizes.stride(n)` apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from cloning.engine.lowrank import MOST_RANK
from cloning.engine.semantic.vectors import ELEMENTS, F32, I1, I64, LANES, POINTER, Vectors

#: Outputs of one panel, and the rows that share one read of it (4 x 4 vectors of sums in 32 registers).
PANEL = 64
ROWS = 4
#: Inputs of one output that share a scale in an 8-bit matrix.
GROUP = 64
#: Addresses of one layer in the weight table: matrix, scales, bias of the four linears; gain and bias of the two norms.
LAYER_POINTERS = 16
#: How a voice's adapters are kept, by the number that stands first in their table.
ADAPTER_KINDS = ("float32", "float16")
#: A table of adapters: kind, bits of the scale; then of each of a layer's four linears the addresses of down (rank x
#: inputs) and up (panels of rank x 64) and the rank.
ADAPTER_HEADER, ADAPTER_POINTERS = 2, 3
#: Ranks are filled up with zeros to a multiple of this.
RANK_STEP = 4


def padded_rank(rank: int) -> int:
    return -(-rank // RANK_STEP) * RANK_STEP


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the code is written for.

    `weights` of the layers and of the output `head`: "float32", "float16", "bfloat16" or "int8"; `cache`: "float32" or
    "bfloat16".
    """

    width: int
    heads: int
    layers: int
    feed_forward: int
    vocabulary: int
    weights: str
    head: str
    cache: str

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def value_width(self) -> int:
        """Head width rounded up to whole vectors."""
        return -(-self.head_width // LANES) * LANES

    def matrices(self) -> set[tuple[str, int]]:
        """Kinds of weights and numbers of inputs of all matrices."""
        return {(self.weights, self.width), (self.weights, self.feed_forward), (self.head, self.width)}

    @staticmethod
    def stride(count: int) -> int:
        """Floats from one row of activations to the next: whole panels, and one vector that may be written past."""
        return -(-count // PANEL) * PANEL + LANES

    @property
    def strides(self) -> tuple[int, int, int, int]:
        """Of the four scratch buffers: fused query, key, value; attention; feed-forward; output."""
        columns = (3 * self.width, self.heads * self.value_width, self.feed_forward, self.width)
        return self.stride(columns[0]), self.stride(columns[1]), self.stride(columns[2]), self.stride(columns[3])

    @property
    def scratch(self) -> int:
        """Floats of scratch for one row, beside the attention's scores (heads x the longest capacity)."""
        return sum(self.strides)


class Linears(Vectors):
    """Writes the functions of linear layers for these sizes."""

    def __init__(self, sizes: Sizes, *, half: bool = True) -> None:
        """half: this machine widens half-precision numbers, and adapters may be kept so."""
        super().__init__()
        self.sizes = sizes
        self.adapter_kinds = ADAPTER_KINDS if half else ADAPTER_KINDS[:1]

    def panel(self, kind: str, inputs: int, rows: int) -> ir.Function:
        """64 outputs of `rows` rows: out = weight . x + bias, then max(0, .) when asked; 8-bit weights have scales."""
        weight_type = ir.PointerType(ELEMENTS[kind])
        kinds = [POINTER, I64, weight_type, POINTER, POINTER, POINTER, I64, I1]
        made = self.function(f"panel_{kind}_{inputs}_{rows}", kinds)
        made.attributes.add("noinline")
        x, x_stride, weight, scale, bias, out, out_stride, relu = made.args
        b = self.b
        vectors = PANEL // LANES
        xs = [self.at(x, b.mul(x_stride, self.i(r))) for r in range(rows)]
        zeros = [self.constant(0.0)] * (rows * vectors)

        def products(start: ir.Value | int, count: int) -> list[ir.Value]:
            """Sums over `count` inputs from `start` on: rows x vectors."""
            unroll = next(u for u in (4, 2, 1) if count % u == 0)
            stop = b.add(start, self.i(count)) if isinstance(start, ir.Value) else start + count
            with self.loop(stop, start=start, step=unroll, carry=zeros) as over:
                sums = list(over.values)
                for u in range(unroll):
                    k = b.add(over.index, self.i(u))
                    column = self.at(weight, b.mul(k, self.i(PANEL)))
                    ws = [self.load_as(kind, column, j * LANES) for j in range(vectors)]
                    for r in range(rows):
                        value = self.spread(b.load(self.at(xs[r], k)))
                        for j in range(vectors):
                            sums[r * vectors + j] = self.fma(ws[j], value, sums[r * vectors + j])
                over.following = sums
            return over.values

        def scaled(group: ir.Value | int, sums: list[ir.Value], totals: list[ir.Value]) -> list[ir.Value]:
            """The group's sums with its scales, added to the totals."""
            offset = b.mul(group, self.i(PANEL)) if isinstance(group, ir.Value) else self.i(group * PANEL)
            factors = [self.load(self.at(scale, offset), j * LANES) for j in range(vectors)]
            return [self.fma(value, factors[n % vectors], totals[n]) for n, value in enumerate(sums)]

        if kind == "int8":
            with self.loop(inputs // GROUP, carry=zeros) as over:
                sums = products(b.mul(over.index, self.i(GROUP)), GROUP)
                over.following = scaled(over.index, sums, over.values)
            totals = over.values
            if rest := inputs % GROUP:
                totals = scaled(inputs // GROUP, products(inputs - rest, rest), totals)
        else:
            totals = products(0, inputs)
        for j in range(vectors):
            shift = self.load(bias, j * LANES)
            for r in range(rows):
                value = b.fadd(totals[r * vectors + j], shift)
                value = b.select(relu, self.largest(value, self.constant(0.0)), value)
                self.store(value, out, b.add(b.mul(out_stride, self.i(r)), self.i(j * LANES)))
        b.ret_void()
        return made

    def linear(self, kind: str, inputs: int) -> ir.Function:
        """All panels of a matrix for all rows: linear(rows, panels, x, x_stride, weight, scale, bias, out, out_stride,
        relu)."""
        panels = {r: self.panel(kind, inputs, r) for r in range(1, ROWS + 1)}
        weight_type = ir.PointerType(ELEMENTS[kind])
        kinds = [I64, I64, POINTER, I64, weight_type, POINTER, POINTER, POINTER, I64, I1]
        made = self.function(f"linear_{kind}_{inputs}", kinds, public=True)
        rows, count, x, x_stride, weight, scale, bias, out, out_stride, relu = made.args
        b = self.b
        with self.loop(count) as over:
            first = b.mul(over.index, self.i(PANEL))
            scales = self.at(scale, b.mul(first, self.i(-(-inputs // GROUP))))
            here = (self.at(weight, b.mul(first, self.i(inputs))), scales, self.at(bias, first))
            target = self.at(out, first)
            whole = b.mul(b.sdiv(rows, self.i(ROWS)), self.i(ROWS))

            def some(row: ir.Value, number: int) -> None:
                source, result = self.at(x, b.mul(row, x_stride)), self.at(target, b.mul(row, out_stride))
                b.call(panels[number], [source, x_stride, *here, result, out_stride, relu])

            with self.loop(whole, step=ROWS) as group:
                some(group.index, ROWS)
            rest = b.sub(rows, whole)
            for number in range(1, ROWS):
                with b.if_then(b.icmp_signed("==", rest, self.i(number))):
                    some(whole, number)
        b.ret_void()
        return made

    def beside(self, kind: str) -> ir.Function:
        """What a voice's adapter adds to a linear layer, to every row: out += scale * up . (down . x), and max(0, .)
        when asked. beside(rows, panels, x, x_stride, inputs, down, up, rank, scale, out, out_stride, relu).

        Rank 0 adds nothing, to the last bit.
        """
        narrow = ir.PointerType(ELEMENTS[kind])
        kinds = [I64, I64, POINTER, I64, I64, narrow, narrow, I64, F32, POINTER, I64, I1]
        made = self.function(f"beside_{kind}", kinds, public=True)
        rows, panels, x, x_stride, inputs, down, up, rank, scale, out, out_stride, relu = made.args
        b = self.b
        vectors = PANEL // LANES
        middle = b.alloca(F32, padded_rank(MOST_RANK))
        whole = b.and_(inputs, self.i(-LANES))
        with self.loop(rows) as row:
            source, target = self.at(x, b.mul(row.index, x_stride)), self.at(out, b.mul(row.index, out_stride))
            with self.loop(rank, step=RANK_STEP) as group:
                lines = [self.at(down, b.mul(b.add(group.index, self.i(r)), inputs)) for r in range(RANK_STEP)]
                with self.loop(whole, step=LANES, carry=[self.constant(0.0)] * RANK_STEP) as over:
                    some = self.load(source, over.index)
                    over.following = [
                        self.fma(self.load_as(kind, line, over.index), some, value)
                        for line, value in zip(lines, over.values, strict=True)
                    ]
                sums = [self.total(value) for value in over.values]
                with self.loop(inputs, start=whole, carry=sums) as over:
                    one = b.load(self.at(source, over.index))
                    numbers = [self.number_as(kind, self.at(line, over.index)) for line in lines]
                    over.following = [
                        b.fadd(value, b.fmul(number, one)) for number, value in zip(numbers, over.values, strict=True)
                    ]
                for r, value in enumerate(over.values):
                    b.store(b.fmul(value, scale), self.at(middle, b.add(group.index, self.i(r))))
            with self.loop(panels) as panel:
                here = self.at(target, b.mul(panel.index, self.i(PANEL)))
                lines_up = self.at(up, b.mul(b.mul(panel.index, rank), self.i(PANEL)))
                before = [self.load(here, j * LANES) for j in range(vectors)]
                with self.loop(rank, carry=before) as over:
                    factor = self.spread(b.load(self.at(middle, over.index)))
                    line = self.at(lines_up, b.mul(over.index, self.i(PANEL)))
                    over.following = [
                        self.fma(self.load_as(kind, line, j * LANES), factor, value)
                        for j, value in enumerate(over.values)
                    ]
                for j, value in enumerate(over.values):
                    self.store(b.select(relu, self.largest(value, self.constant(0.0)), value), here, j * LANES)
        b.ret_void()
        return made
