"""The vector code of attention: some rows of a tile against one page of keys and values.

A row is a query head of a token. Its record in scratch memory, float32: three vectors (the largest score so far, in
every lane; the sum of exponentials so far, lane by lane; the factor that the last page puts on what came before it),
the scores of two pages, the scaled query (head_dim) and the weighted sum of values so far (head_dim): in all
`workspace.attention_record_floats`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from bonsai_edge.cpu_step.workspace import WIDTH
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_cpu.emit import (
    F32,
    I32,
    I64,
    constant,
    counted_loop,
    larger,
    load,
    multiply_add,
    prefetch,
    shuffle,
    splat,
    store,
    sum_lanes,
    vector,
)
from bonsai_edge_cpu.intrinsics import Emitter, make_generic_intrinsic, make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.dense import load_float
from bonsai_edge_cpu.kernels.exponential import emit_exp
from bonsai_edge_cpu.kernels.kv_values import KVValues, values_of

_FLOATS = vector(F32, WIDTH)
_MASKED = -1e30
_CACHE_LINE_BYTES = 64
_FLOAT_BYTES = 4 * WIDTH  # of a vector
_PEAK, _TOTAL, _FACTOR, _SCORES = (index * _FLOAT_BYTES for index in range(4))
_SLOT_BYTES = 4 * PAGE_TOKENS
_QUERY = _SCORES + 2 * _SLOT_BYTES
_ACCUMULATORS = 16 if selected_isa().vector_rows == 4 else 4
"""Vectors of 16 floats that leave registers for the operands: half of 32 registers of 512 bits, or of the narrower."""


def _scaled(builder: ir.IRBuilder, value: ir.Value, factor: int) -> ir.Value:
    return builder.mul(value, constant(I64, factor))


def _plus(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    return builder.add(address, constant(I64, offset))


def _scores(builder: ir.IRBuilder, record: ir.Value, slot: ir.Value) -> ir.Value:
    return _plus(builder, builder.add(record, _scaled(builder, slot, _SLOT_BYTES)), _SCORES)


def _weighted_sum(builder: ir.IRBuilder, record: ir.Value, head_dim: ir.Value) -> ir.Value:
    return _plus(builder, builder.add(record, _scaled(builder, head_dim, 4)), _QUERY)


def _rows(builder: ir.IRBuilder, records: ir.Value, head_dim: ir.Value, num_rows: int) -> list[ir.Value]:
    record_bytes = _plus(builder, _scaled(builder, head_dim, 8), _QUERY)
    return [builder.add(records, _scaled(builder, record_bytes, row)) for row in range(num_rows)]


def _emit_begin_row(
    builder: ir.IRBuilder, record: ir.Value, query: ir.Value, scale: ir.Value, head_dim: ir.Value
) -> None:
    store(builder, constant(_FLOATS, _MASKED), record, _PEAK, align=4)
    store(builder, constant(_FLOATS, 0.0), record, _TOTAL, align=4)
    sum_at, scales = _weighted_sum(builder, record, head_dim), splat(builder, scale, WIDTH)
    with counted_loop(builder, builder.sdiv(head_dim, constant(I64, WIDTH)), []) as loop:
        offset = _scaled(builder, loop.index, _FLOAT_BYTES)
        scaled_query = builder.fmul(load_float(builder, builder.add(query, offset)), scales)
        store(builder, scaled_query, builder.add(record, offset), _QUERY, align=4)
        store(builder, constant(_FLOATS, 0.0), builder.add(sum_at, offset), align=4)


def _emit_end_row(builder: ir.IRBuilder, record: ir.Value, out: ir.Value, head_dim: ir.Value) -> None:
    total = sum_lanes(builder, load(builder, record, _FLOATS, _TOTAL, align=4))
    factors = splat(builder, builder.fdiv(constant(F32, 1.0), total), WIDTH)
    sum_at = _weighted_sum(builder, record, head_dim)
    with counted_loop(builder, builder.sdiv(head_dim, constant(I64, WIDTH)), []) as loop:
        offset = _scaled(builder, loop.index, _FLOAT_BYTES)
        mean = builder.fmul(load_float(builder, builder.add(sum_at, offset)), factors)
        store(builder, mean, builder.add(out, offset), align=4)


def _prefetch(builder: ir.IRBuilder, address: ir.Value, num_bytes: int) -> None:
    for line in range(0, num_bytes, _CACHE_LINE_BYTES):
        prefetch(builder, address, line)


def _make_score(num_rows: int) -> Callable[..., None]:
    """Return score(planes, records, head_dim, scales, slot, keys, count, ahead) for `num_rows` records.

    It fills the first `count` scores of a slot, and some more, by the keys of a page at address `keys` with their
    float32 `scales`, and prefetches as much from the address `ahead`.
    """
    return make_generic_intrinsic(lambda planes_class: _score_emitter(num_rows, values_of(planes_class)))


def _score_emitter(num_rows: int, kv: KVValues) -> Emitter:
    num_positions = min(8, _ACCUMULATORS // num_rows)  # at once
    step = kv.chunks_together
    step_bytes = step * WIDTH * kv.bits // 8

    def emit(
        builder: ir.IRBuilder,
        records: ir.Value,
        head_dim: ir.Value,
        scales: ir.Value,
        slot: ir.Value,
        keys: ir.Value,
        count: ir.Value,
        ahead: ir.Value,
    ) -> None:
        rows = _rows(builder, records, head_dim, num_rows)
        key_bytes = kv.row_bytes(builder, head_dim)
        num_steps = builder.sdiv(head_dim, constant(I64, step * WIDTH))
        num_groups = builder.sdiv(_plus(builder, count, num_positions - 1), constant(I64, num_positions))
        with counted_loop(builder, num_groups, []) as group:
            first_position = _scaled(builder, group.index, num_positions)
            group_offset = builder.mul(first_position, key_bytes)
            first_key, group_ahead = builder.add(keys, group_offset), builder.add(ahead, group_offset)
            first_scale = builder.add(scales, _scaled(builder, first_position, 4))
            with counted_loop(builder, num_steps, [constant(_FLOATS, 0.0)] * (num_rows * num_positions)) as loop:
                ahead_at = builder.add(group_ahead, _scaled(builder, loop.index, step_bytes * num_positions))
                _prefetch(builder, ahead_at, step_bytes * num_positions)
                for part in range(step):
                    chunk = _plus(builder, _scaled(builder, loop.index, step), part)
                    query_offset = _scaled(builder, chunk, _FLOAT_BYTES)
                    queries = [load(builder, builder.add(row, query_offset), _FLOATS, _QUERY, align=4) for row in rows]
                    key_at = first_key
                    for position in range(num_positions):
                        key = kv.load(builder, key_at, chunk, _plus(builder, first_scale, 4 * position))
                        key_at = builder.add(key_at, key_bytes)
                        for row, query in enumerate(queries):
                            index = row * num_positions + position
                            loop.carried[index] = multiply_add(builder, key, query, loop.carried[index])
            sums = _sum_each(builder, loop.carried)
            for row, record in enumerate(rows):
                first = row * num_positions
                own = shuffle(builder, range(first, first + num_positions), sums)
                scores_at = builder.add(_scores(builder, record, slot), _scaled(builder, first_position, 4))
                store(builder, own, scores_at, align=4)

    return emit


def _sum_each(builder: ir.IRBuilder, vectors: Sequence[ir.Value]) -> ir.Value:
    """Return the sums of the lanes of 1, 2, 4, 8 or 16 vectors as the lanes of one.

    Each sum adds halves, then quarters and so on, as `sum_lanes` does, however many vectors there are.
    """
    total = _fold_together(builder, vectors)
    while total.type.count > len(vectors):
        segment = total.type.count // len(vectors)
        starts = range(0, total.type.count, segment)
        low, high = (
            shuffle(builder, [start + half + lane for start in starts for lane in range(segment // 2)], total)
            for half in (0, segment // 2)
        )
        total = builder.fadd(low, high)
    return total


def _fold_together(builder: ir.IRBuilder, vectors: Sequence[ir.Value]) -> ir.Value:
    """Return one vector of partial sums: equally many consecutive lanes for each of the vectors, in their order."""
    if len(vectors) == 1:
        return vectors[0]
    even, odd = (_fold_together(builder, vectors[first::2]) for first in range(2))
    half = WIDTH // len(vectors)
    # Each half of a segment of `even` is followed by one of `odd`. The first operand is then a blend, which is cheaper
    # than a shuffle; that it has the upper halves of `odd` and the second the lower ones changes no sum.
    blend = [lane + WIDTH * (lane // half % 2) for lane in range(WIDTH)]
    crossed = [(lane ^ half) + WIDTH * (lane // half % 2) for lane in range(WIDTH)]
    return builder.fadd(shuffle(builder, blend, even, odd), shuffle(builder, crossed, even, odd))


def _emit_soften(builder: ir.IRBuilder, record: ir.Value, slot: ir.Value, count: ir.Value) -> None:
    scores_at = _scores(builder, record, slot)
    counts = splat(builder, builder.trunc(count, I32), WIDTH)
    masked, zeros = constant(_FLOATS, _MASKED), constant(_FLOATS, 0.0)
    is_seen, scores = [], []
    for start in range(0, PAGE_TOKENS, WIDTH):
        lanes = ir.Constant(vector(I32, WIDTH), list(range(start, start + WIDTH)))
        is_seen.append(builder.icmp_signed("<", lanes, counts))
        score = load(builder, scores_at, _FLOATS, 4 * start, align=4)
        scores.append(builder.select(is_seen[-1], score, masked))
    old_peak = load(builder, record, _FLOATS, _PEAK, align=4)
    peak = larger(builder, old_peak, _largest_lane(builder, larger(builder, *scores)))
    page_total = zeros
    for part, score in enumerate(scores):
        weight = builder.select(is_seen[part], emit_exp(builder, builder.fsub(score, peak)), zeros)
        store(builder, weight, scores_at, _FLOAT_BYTES * part, align=4)
        page_total = builder.fadd(page_total, weight)
    factor = emit_exp(builder, builder.fsub(old_peak, peak))
    total = multiply_add(builder, load(builder, record, _FLOATS, _TOTAL, align=4), factor, page_total)
    for value, offset in ((peak, _PEAK), (total, _TOTAL), (factor, _FACTOR)):
        store(builder, value, record, offset, align=4)


def _largest_lane(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return the largest lane in every lane."""
    distance = WIDTH // 2
    while distance:
        value = larger(builder, value, shuffle(builder, [lane ^ distance for lane in range(WIDTH)], value))
        distance //= 2
    return value


def _make_mix(num_rows: int, num_chunks: int) -> Callable[..., None]:
    """Return mix(planes, records, head_dim, scales, slot, values, count, ahead, column) for `num_rows` records.

    It adds to the weighted sums, of 16 * num_chunks columns from `column` on, the first `count` values of the page at
    address `values` with their float32 `scales`, and prefetches as much from the address `ahead`. `column` is a
    multiple of the number of columns.
    """
    return make_generic_intrinsic(lambda planes_class: _mix_emitter(num_rows, num_chunks, values_of(planes_class)))


def _mix_emitter(num_rows: int, num_chunks: int, kv: KVValues) -> Emitter:
    def emit(
        builder: ir.IRBuilder,
        records: ir.Value,
        head_dim: ir.Value,
        scales: ir.Value,
        slot: ir.Value,
        values: ir.Value,
        count: ir.Value,
        ahead: ir.Value,
        column: ir.Value,
    ) -> None:
        rows = _rows(builder, records, head_dim, num_rows)
        weights_at = [_scores(builder, row, slot) for row in rows]
        sums_at = [builder.add(_weighted_sum(builder, row, head_dim), _scaled(builder, column, 4)) for row in rows]
        value_bytes, ahead = kv.row_bytes(builder, head_dim), builder.add(ahead, kv.row_bytes(builder, column))
        first_chunk = _scaled(builder, builder.udiv(column, constant(I64, WIDTH * num_chunks)), num_chunks)
        initial = []
        for row, sum_at in zip(rows, sums_at, strict=True):
            factor = load(builder, row, _FLOATS, _FACTOR, align=4)
            for chunk in range(num_chunks):
                old = load(builder, sum_at, _FLOATS, _FLOAT_BYTES * chunk, align=4)
                initial.append(builder.fmul(old, factor))
        with counted_loop(builder, count, initial) as loop:
            offset = builder.mul(loop.index, value_bytes)
            value_at, position_offset = builder.add(values, offset), _scaled(builder, loop.index, 4)
            _prefetch(builder, builder.add(ahead, offset), num_chunks * WIDTH * kv.bits // 8)
            weights = []
            for weight_at in weights_at:
                weight = load(builder, builder.add(weight_at, position_offset), F32, align=4)
                weights.append(splat(builder, weight, WIDTH))
            scale_at = builder.add(scales, position_offset)
            for chunk in range(num_chunks):
                value = kv.load(builder, value_at, _plus(builder, first_chunk, chunk), scale_at)
                for row, weight in enumerate(weights):
                    index = row * num_chunks + chunk
                    loop.carried[index] = multiply_add(builder, value, weight, loop.carried[index])
        for index, total in enumerate(loop.carried):
            row, chunk = divmod(index, num_chunks)
            store(builder, total, sums_at[row], _FLOAT_BYTES * chunk, align=4)

    return emit


begin_row = make_intrinsic(_emit_begin_row)
"""begin_row(record, query, scale, head_dim): start a record with float32 query times scale and nothing seen."""

end_row = make_intrinsic(_emit_end_row)
"""end_row(record, out, head_dim): write the weighted mean of the values to float32 out."""

soften = make_intrinsic(_emit_soften)
"""soften(record, slot, count): turn the first `count` scores of a slot into weights, the others into zeros, and bring
the record's three vectors up to date."""

score_one, score_two, score_four = _make_score(1), _make_score(2), _make_score(4)

_CHUNKS_ONE, _CHUNKS_TWO, _CHUNKS_FOUR = (min(4, _ACCUMULATORS // num_rows) for num_rows in (1, 2, 4))
mix_one, mix_two, mix_four = _make_mix(1, _CHUNKS_ONE), _make_mix(2, _CHUNKS_TWO), _make_mix(4, _CHUNKS_FOUR)
mix_rest = _make_mix(1, 1)
COLUMNS_ONE, COLUMNS_TWO, COLUMNS_FOUR = WIDTH * _CHUNKS_ONE, WIDTH * _CHUNKS_TWO, WIDTH * _CHUNKS_FOUR
"""What the three take at once; `mix_rest` takes WIDTH columns of one record."""
