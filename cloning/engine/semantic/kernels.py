"""The functions of one decode step, written for a model's sizes: linear layers, attention, norm, and the whole.

Decoding reads every weight once for each step, so its speed is that of the memory: weights are kept narrow (half,
bfloat16 or 8-bit) and widened to float32 in registers, where all sums are made. Every sum runs in one fixed order,
whatever the number of rows: a row's result is the same bit for bit, alone or in a crowd.

Layouts (float32 unless said): a matrix N x K is stored as ceil(N / 64) panels of K x 64, so that one panel is one
stream of memory; scales of 8-bit weights are panels of ceil(K / 64) x 64. Keys: layer, block of 16 places, head, head
width, 16. Values: layer, block, head, 16, head width rounded up to 16. Activations: one row after the other,
`Sizes.stride(n)` apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from cloning.engine.semantic.vectors import ELEMENTS, F32, I1, I16, I32, I64, LANES, POINTER, VECTOR, WIDE, Vectors

#: Outputs of one panel, and the rows that share one read of it (4 x 4 vectors of sums in 32 registers).
PANEL = 64
ROWS = 4
#: Inputs of one output that share a scale in an 8-bit matrix.
GROUP = 64
#: Addresses of one layer in the weight table: matrix, scales, bias of the four linears; gain and bias of the two norms.
LAYER_POINTERS = 16
NORM_EPS = 1e-5


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


class Kernels(Vectors):
    """Writes the module for these sizes. Only `module` is for others."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes

    # -- linear layers -------------------------------------------------------------------------------------------------
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

    # -- attention -----------------------------------------------------------------------------------------------------
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

    def attention(self) -> ir.Function:
        """One row: remember the new keys and values, then mix the values of all places up to the new one.

        attention(fused, keys, values, place, capacity, scores, out). `fused`: query, key, value of the new place;
        `scores`: scratch, heads x capacity. Keys and values are read front to back, once, because memory is fastest so.
        """
        s, b = self.sizes, self.b
        narrow = ir.PointerType(ELEMENTS[s.cache])
        made = self.function("attention", [POINTER, narrow, narrow, I64, I64, POINTER, POINTER])
        fused, keys, values, place, capacity, scores, out = made.args
        head_width, vectors = s.head_width, s.value_width // LANES
        key_block, value_block = head_width * LANES, s.value_width * LANES
        block, lane = b.lshr(place, self.i(4)), b.and_(place, self.i(15))
        blocks = b.add(block, self.i(1))
        first = b.mul(block, self.i(s.heads))
        with self.loop(s.heads) as head:
            number = b.add(first, head.index)
            column = b.mul(head.index, self.i(head_width))
            key, value = self.at(self.at(fused, s.width), column), self.at(self.at(fused, 2 * s.width), column)
            into = self.at(keys, b.add(b.mul(number, self.i(key_block)), lane))
            for d in range(head_width):
                fresh = b.load(self.at(key, d))
                b.store(fresh if s.cache == "float32" else self.rounded(fresh), self.at(into, d * LANES))
            into = self.at(values, b.add(b.mul(number, self.i(value_block)), b.mul(lane, self.i(s.value_width))))
            for j in range(vectors):
                fresh = self.load(value, j * LANES)
                if s.cache == "float32":
                    self.store(fresh, into, j * LANES)
                else:
                    spot = b.bitcast(self.at(into, j * LANES), ir.PointerType(ir.VectorType(I16, LANES)))
                    b.store(self.rounded(fresh), spot, align=2)
            for j in range(vectors):
                self.store(self.constant(0.0), out, b.add(b.mul(head.index, self.i(s.value_width)), self.i(j * LANES)))

        numbers = ir.Constant(WIDE, list(range(LANES)))
        scale, lowest = self.constant(head_width**-0.5), self.constant(-1e30)
        with self.loop(blocks) as over:
            left = b.trunc(b.sub(place, b.mul(over.index, self.i(LANES))), I32)
            limit = b.insert_element(ir.Constant(numbers.type, ir.Undefined), left, ir.Constant(I32, 0))
            limit = b.shuffle_vector(limit, limit, ir.Constant(numbers.type, [0] * LANES))
            filled = b.icmp_signed("<=", numbers, limit)
            start = b.mul(over.index, self.i(s.heads))
            with self.loop(s.heads) as head:
                piece = self.at(keys, b.mul(b.add(start, head.index), self.i(key_block)))
                query = self.at(fused, b.mul(head.index, self.i(head_width)))
                sums = [self.constant(0.0)] * 2
                for d in range(head_width):
                    number = self.spread(b.load(self.at(query, d)))
                    sums[d % 2] = self.fma(number, self.load_as(s.cache, piece, d * LANES), sums[d % 2])
                score = b.select(filled, b.fmul(b.fadd(sums[0], sums[1]), scale), lowest)
                self.store(score, scores, b.add(b.mul(head.index, capacity), b.mul(over.index, self.i(LANES))))
        with self.loop(s.heads) as head:
            mine = self.at(scores, b.mul(head.index, capacity))
            with self.loop(blocks, carry=[lowest]) as over:
                over.following = [self.largest(over.values[0], self.load(mine, b.mul(over.index, self.i(LANES))))]
            best = self.spread(self.intrinsic("llvm.vector.reduce.fmax.v16f32", F32, (over.values[0],)))
            with self.loop(blocks, carry=[self.constant(0.0)]) as over:
                spot = b.mul(over.index, self.i(LANES))
                chance = self.exponential(b.fsub(self.load(mine, spot), best))
                self.store(chance, mine, spot)
                over.following = [b.fadd(over.values[0], chance)]
            share = self.spread(b.fdiv(ir.Constant(F32, 1.0), self.total(over.values[0])))
            with self.loop(blocks) as over:
                spot = b.mul(over.index, self.i(LANES))
                self.store(b.fmul(self.load(mine, spot), share), mine, spot)
        chains = 4
        with self.loop(blocks) as over:
            start = b.mul(over.index, self.i(s.heads))
            with self.loop(s.heads) as head:
                piece = self.at(values, b.mul(b.add(start, head.index), self.i(value_block)))
                chances = self.at(scores, b.add(b.mul(head.index, capacity), b.mul(over.index, self.i(LANES))))
                sums = [self.constant(0.0)] * (chains * vectors)
                for p in range(LANES):
                    chance = self.spread(b.load(self.at(chances, p)))
                    for j in range(vectors):
                        slot = (p % chains) * vectors + j
                        part = self.load_as(s.cache, piece, p * s.value_width + j * LANES)
                        sums[slot] = self.fma(chance, part, sums[slot])
                column = b.mul(head.index, self.i(s.value_width))
                for j in range(vectors):
                    parts = [sums[c * vectors + j] for c in range(chains)]
                    mixed = b.fadd(b.fadd(parts[0], parts[1]), b.fadd(parts[2], parts[3]))
                    spot = b.add(column, self.i(j * LANES))
                    self.store(b.fadd(self.load(out, spot), mixed), out, spot)
        if s.value_width != head_width:  # close the gaps between heads; ascending, so nothing unread is overwritten
            with self.loop(s.heads) as head:
                source = self.at(out, b.mul(head.index, self.i(s.value_width)))
                target = self.at(out, b.mul(head.index, self.i(head_width)))
                for j in range(vectors):
                    self.store(self.load(source, j * LANES), target, j * LANES)
        b.ret_void()
        return made

    # -- residual and norm ---------------------------------------------------------------------------------------------
    def norm(self) -> ir.Function:
        """norm(x, y, gain, bias): x = LayerNorm(x + y), one row in place."""
        made = self.function("norm", [POINTER] * 4)
        x, y, gain, bias = made.args
        b, width = self.b, self.sizes.width
        count = -(-width // LANES)
        zero, masks = self.constant(0.0), []
        for j in range(count):
            real = min(LANES, width - j * LANES)
            masks.append(ir.Constant(VECTOR, [ir.Constant(F32, float(n < real)) for n in range(LANES)]))
        parts = [b.fmul(b.fadd(self.load(x, j * LANES), self.load(y, j * LANES)), masks[j]) for j in range(count)]
        for j in range(count):
            self.store(parts[j], x, j * LANES)
        sums = [zero] * 4
        for j in range(count):
            sums[j % 4] = b.fadd(sums[j % 4], parts[j])
        inverse = ir.Constant(F32, 1.0 / width)
        mean = self.spread(b.fmul(self.total(b.fadd(b.fadd(sums[0], sums[1]), b.fadd(sums[2], sums[3]))), inverse))
        sums = [zero] * 4
        for j in range(count):
            away = b.fmul(b.fsub(self.load(x, j * LANES), mean), masks[j])
            sums[j % 4] = self.fma(away, away, sums[j % 4])
        spread = b.fmul(self.total(b.fadd(b.fadd(sums[0], sums[1]), b.fadd(sums[2], sums[3]))), inverse)
        root = self.intrinsic("llvm.sqrt.f32", F32, (b.fadd(spread, ir.Constant(F32, NORM_EPS)),))
        factor = self.spread(b.fdiv(ir.Constant(F32, 1.0), root))
        for j in range(count):
            away = b.fmul(b.fsub(self.load(x, j * LANES), mean), factor)
            self.store(self.fma(away, self.load(gain, j * LANES), self.load(bias, j * LANES)), x, j * LANES)
        b.ret_void()
        return made

    # -- the whole -----------------------------------------------------------------------------------------------------
    def module(self) -> ir.Module:
        """The module with one public function, `step`, of nine addresses or numbers:

        rows; x (rows x stride(width), embedded codes, changed in place); table of weight addresses; addresses of each
        row's keys; of its values; its places filled so far; its capacity; scratch; logits (rows x stride(vocabulary)).
        """
        s, b = self.sizes, self.b
        linears = {(kind, inputs): self.linear(kind, inputs) for kind, inputs in sorted(s.matrices())}
        attention, norm = self.attention(), self.norm()
        made = self.function("step", [I64] * 9, public=True)
        longs = ir.PointerType(I64)
        rows = made.args[0]
        x, scratch, logits = (b.inttoptr(made.args[n], POINTER) for n in (1, 7, 8))
        table, all_keys, all_values, places, capacities = (b.inttoptr(made.args[n], longs) for n in (2, 3, 4, 5, 6))
        strides = [
            s.stride(3 * s.width),
            s.stride(s.heads * s.value_width),
            s.stride(s.feed_forward),
            s.stride(s.width),
        ]
        buffers, offset = [], self.i(0)
        for stride in strides:
            buffers.append(self.at(scratch, offset))
            offset = b.add(offset, b.mul(rows, self.i(stride)))
        scores = self.at(scratch, offset)
        fused, mixed, inner, output = buffers
        narrow = ir.PointerType(ELEMENTS[s.cache])
        x_stride = s.stride(s.width)

        def pointer(base: ir.Value, number: int, kind: ir.Type = POINTER) -> ir.Value:
            return b.inttoptr(b.load(self.at(base, number)), kind)

        def apply(
            linear: ir.Function,
            base: ir.Value,
            outputs: int,
            source: tuple[ir.Value, int],
            target: tuple[ir.Value, int],
            relu: bool = False,
        ) -> None:
            """`base`: where the addresses of the matrix, its scales and its bias stand. Rows with their strides."""
            weight = pointer(base, 0, linear.args[4].type)
            arguments = [rows, self.i(-(-outputs // PANEL)), source[0], self.i(source[1])]
            arguments += [weight, pointer(base, 1), pointer(base, 2), target[0], self.i(target[1])]
            b.call(linear, [*arguments, ir.Constant(I1, int(relu))])

        def add_norm(base: ir.Value, first: int) -> None:
            gain, bias = pointer(base, first), pointer(base, first + 1)
            with self.loop(rows) as row:
                here = self.at(x, b.mul(row.index, self.i(x_stride)))
                there = self.at(output, b.mul(row.index, self.i(strides[3])))
                b.call(norm, [here, there, gain, bias])

        with self.loop(s.layers) as layer:
            base = self.at(table, b.mul(layer.index, self.i(LAYER_POINTERS)))
            wide, narrowing = linears[s.weights, s.width], linears[s.weights, s.feed_forward]
            apply(wide, base, 3 * s.width, (x, x_stride), (fused, strides[0]))
            with self.loop(rows) as row:
                place = b.load(self.at(places, row.index))
                capacity = b.load(self.at(capacities, row.index))
                keys = b.inttoptr(b.load(self.at(all_keys, row.index)), narrow)
                values = b.inttoptr(b.load(self.at(all_values, row.index)), narrow)
                before = b.mul(b.mul(layer.index, self.i(s.heads)), capacity)
                b.call(
                    attention,
                    [
                        self.at(fused, b.mul(row.index, self.i(strides[0]))),
                        self.at(keys, b.mul(before, self.i(s.head_width))),
                        self.at(values, b.mul(before, self.i(s.value_width))),
                        place,
                        capacity,
                        scores,
                        self.at(mixed, b.mul(row.index, self.i(strides[1]))),
                    ],
                )
            apply(wide, self.at(base, 3), s.width, (mixed, strides[1]), (output, strides[3]))
            add_norm(base, 12)
            apply(wide, self.at(base, 6), s.feed_forward, (x, x_stride), (inner, strides[2]), relu=True)
            apply(narrowing, self.at(base, 9), s.width, (inner, strides[2]), (output, strides[3]))
            add_norm(base, 14)
        last = self.at(table, s.layers * LAYER_POINTERS)
        apply(linears[s.head, s.width], last, s.vocabulary, (x, x_stride), (logits, s.stride(s.vocabulary)))
        b.ret_void()
        return self.out
