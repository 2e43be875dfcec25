"""The functions of one decode step, written for a model's sizes: attention, norm and the whole; `linears` has the rest.

Layouts (float32 unless said). Keys: layer, block of 16 places, head, head width, 16. Values: layer, block, head, 16,
head width rounded up to 16. Activations: one row after the other, `Sizes.stride(n)` apart. Every sum runs in one fixed
order, whatever the number of rows.
"""

from __future__ import annotations

from llvmlite import ir

from cloning.engine.semantic.linears import ADAPTER_HEADER, ADAPTER_POINTERS, LAYER_POINTERS, PANEL, Linears
from cloning.engine.semantic.vectors import ELEMENTS, F32, I1, I16, I32, I64, LANES, POINTER, VECTOR, WIDE

NORM_EPS = 1e-5


class Kernels(Linears):
    """Writes the module for these sizes. Only `module` is for others."""

    # -- attention -----------------------------------------------------------------------------------------------------
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
        """The module: the public functions of its parts, and `step`, of ten addresses or numbers:

        rows; x (rows x stride(width), embedded codes, changed in place); table of weight addresses; addresses of each
        row's keys; of its values; its places filled so far; its capacity; scratch; logits (rows x stride(vocabulary));
        address of each row's table of adapters, or 0 when no row has any.
        """
        s, b = self.sizes, self.b
        linears = {(kind, inputs): self.linear(kind, inputs) for kind, inputs in sorted(s.matrices())}
        attention, norm = self.attention(), self.norm()
        adapters = [self.beside(kind) for kind in self.adapter_kinds]
        made = self.function("step", [I64] * 10, public=True)
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
            relu: ir.Value | None = None,
        ) -> None:
            """`base`: where the addresses of the matrix, its scales and its bias stand. Rows with their strides."""
            weight = pointer(base, 0, linear.args[4].type)
            arguments = [rows, self.i(-(-outputs // PANEL)), source[0], self.i(source[1])]
            arguments += [weight, pointer(base, 1), pointer(base, 2), target[0], self.i(target[1])]
            b.call(linear, [*arguments, ir.Constant(I1, 0) if relu is None else relu])

        plain = b.icmp_signed("==", made.args[9], self.i(0))
        all_adapters = b.inttoptr(made.args[9], longs)

        def apply_adapted(
            linear: ir.Function,
            layer: ir.Value,
            number: int,
            sizes: tuple[int, int],
            source: tuple[ir.Value, int],
            target: tuple[ir.Value, int],
            relu: bool = False,
        ) -> None:
            """The linear of this `number` in the layer (inputs and outputs in `sizes`), and what each row's adapters
            add to it."""
            base = self.at(table, b.add(b.mul(layer, self.i(LAYER_POINTERS)), self.i(3 * number)))
            inputs, outputs = sizes
            apply(linear, base, outputs, source, target, b.and_(ir.Constant(I1, int(relu)), plain))
            first = b.add(
                b.mul(layer, self.i(4 * ADAPTER_POINTERS)), self.i(ADAPTER_HEADER + number * ADAPTER_POINTERS)
            )
            with b.if_then(b.not_(plain)), self.loop(rows) as row:
                mine = b.inttoptr(b.load(self.at(all_adapters, row.index)), longs)
                entry, scale = self.at(mine, first), b.bitcast(b.trunc(b.load(self.at(mine, 1)), I32), F32)
                here = self.at(source[0], b.mul(row.index, self.i(source[1])))
                there = self.at(target[0], b.mul(row.index, self.i(target[1])))
                for kind, beside in enumerate(adapters):
                    with b.if_then(b.icmp_signed("==", b.load(mine), self.i(kind))):
                        pair = [pointer(entry, n, beside.args[5].type) for n in (0, 1)]
                        arguments = [self.i(1), self.i(-(-outputs // PANEL)), here, self.i(source[1]), self.i(inputs)]
                        arguments += [*pair, b.load(self.at(entry, 2)), scale, there, self.i(target[1])]
                        b.call(beside, [*arguments, ir.Constant(I1, int(relu))])

        def add_norm(base: ir.Value, first: int) -> None:
            gain, bias = pointer(base, first), pointer(base, first + 1)
            with self.loop(rows) as row:
                here = self.at(x, b.mul(row.index, self.i(x_stride)))
                there = self.at(output, b.mul(row.index, self.i(strides[3])))
                b.call(norm, [here, there, gain, bias])

        with self.loop(s.layers) as layer:
            base = self.at(table, b.mul(layer.index, self.i(LAYER_POINTERS)))
            wide, narrowing = linears[s.weights, s.width], linears[s.weights, s.feed_forward]
            number, d, f = layer.index, s.width, s.feed_forward
            apply_adapted(wide, number, 0, (d, 3 * d), (x, x_stride), (fused, strides[0]))
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
            apply_adapted(wide, number, 1, (d, d), (mixed, strides[1]), (output, strides[3]))
            add_norm(base, 12)
            apply_adapted(wide, number, 2, (d, f), (x, x_stride), (inner, strides[2]), relu=True)
            apply_adapted(narrowing, number, 3, (f, d), (inner, strides[2]), (output, strides[3]))
            add_norm(base, 14)
        last = self.at(table, s.layers * LAYER_POINTERS)
        apply(linears[s.head, s.width], last, s.vocabulary, (x, x_stride), (logits, s.stride(s.vocabulary)))
        b.ret_void()
        return self.out
