"""Q1_0 weights times int8 activations by integer dot products: one token, or a few that share the weights.

A vector holds the sign bits of one block of as many rows as it has 128-bit lanes, read from the GGUF blocks as they
lie. The arithmetic is that of `q1_0_tables` to the last bit: the four sums of a block, exact integers, are multiplied
by their scales and added, (0 + 2) + (1 + 3); that times the weights' scale is added to the row's float32 sum, block
after block. So a result depends on its row and its token alone, not on what it is computed with.
"""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I16,
    I32,
    I64,
    assembly,
    constant,
    counted_loop,
    intrinsic_call,
    load,
    multiply_add,
    prefetch,
    shuffle,
    splat,
    vector,
)
from bonsai_edge_cpu.intrinsics import Emitter
from bonsai_edge_cpu.isa.base import PortableISA
from bonsai_edge_cpu.isa.selection import selected_isa

TILE_VECTORS = 4
"""Vectors of rows in a tile: as many as a block has groups, so that their sums fill one vector."""

BLOCK_BYTES = 18
SCALE_BYTES = 2
_PLANE_BYTES = 16
_GROUP_BYTES = 16  # four float32 scales, or four int32 sums, of a block of activations
_PREFETCH_BYTES = 16384  # ahead in the stream of weights: what reaches the memory's speed on Zen 4


class _TokenBlock:
    """Loads the parts of block `index` of a token's activations; see `isa.base.TokenBlock`."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        vector_rows: int,
        index: ir.Value,
        quants: ir.Value,
        scales: ir.Value,
        negative_sums: ir.Value,
    ) -> None:
        self._builder = builder
        self._vector_rows = vector_rows
        group_offset = builder.mul(index, constant(I64, _GROUP_BYTES))
        self._quants = builder.add(quants, builder.mul(index, constant(I64, BLOCK_COLUMNS)))
        self._scales = builder.add(scales, group_offset)
        self._negative_sums = builder.add(negative_sums, group_offset)

    def plane(self, plane: int) -> ir.Value:
        bytes_ = load(self._builder, self._quants, vector(I8, _PLANE_BYTES), _PLANE_BYTES * plane)
        return _repeat(self._builder, bytes_, self._vector_rows)

    def start(self) -> ir.Value:
        return self._groups(self._negative_sums, I32)

    def scales(self) -> ir.Value:
        return self._groups(self._scales, F32)

    def _groups(self, address: ir.Value, type_: ir.Type) -> ir.Value:
        return _repeat(self._builder, load(self._builder, address, vector(type_, 4), align=4), self._vector_rows)


def tile_emitter(num_tokens: int) -> Emitter:
    """Return the emitter of four vectors of rows times `num_tokens` tokens.

    tile(weights, row_bytes, num_rows, num_blocks, quants, scales, negative_sums, token_blocks, out, out_row_bytes,
    accumulate, end, ahead): addresses; all rows of the tile are read but only the first num_rows stored; the
    activations of a token are `token_blocks` blocks apart, its float32 outputs `out_row_bytes`; accumulate 1 adds to
    them, 0 overwrites. Behind the weights' `end` the thread goes on at `ahead`.
    """
    isa = selected_isa()

    def emit(
        builder: ir.IRBuilder,
        weights: ir.Value,
        row_bytes: ir.Value,
        num_rows: ir.Value,
        num_blocks: ir.Value,
        quants: ir.Value,
        scales: ir.Value,
        negative_sums: ir.Value,
        token_blocks: ir.Value,
        out: ir.Value,
        out_row_bytes: ir.Value,
        accumulate: ir.Value,
        end: ir.Value,
        ahead: ir.Value,
    ) -> None:
        num_tile_rows = TILE_VECTORS * isa.vector_rows
        load_rows = isa.row_loader(builder)
        jump = builder.sub(ahead, end)
        row_offsets = [builder.mul(row_bytes, constant(I64, row)) for row in range(isa.vector_rows)]
        vector_bytes = builder.mul(row_bytes, constant(I64, isa.vector_rows))
        with counted_loop(builder, num_blocks, [constant(vector(F32, 4 * isa.vector_rows), 0.0)] * num_tokens) as loop:
            block_offset = builder.mul(loop.index, constant(I64, BLOCK_BYTES))
            if num_tokens == 1:
                _prefetch_rows(builder, weights, block_offset, num_tile_rows, end, jump)
            # Assembly of no instruction keeps LLVM from carrying a pointer for each row, more than there are registers.
            vectors_at = [assembly(builder, "", "=r,0", I64, [builder.add(weights, block_offset)])]
            while len(vectors_at) < TILE_VECTORS:
                vectors_at.append(builder.add(vectors_at[-1], vector_bytes))
            blocks = [builder.add(vector_at, offset) for vector_at in vectors_at for offset in row_offsets]
            signs = [builder.add(block, constant(I64, SCALE_BYTES)) for block in blocks]
            bits = [load_rows(signs[row : row + isa.vector_rows]) for row in range(0, num_tile_rows, isa.vector_rows)]
            weight_scales = _load_weight_scales(builder, isa, blocks)
            tokens = [
                _TokenBlock(
                    builder, isa.vector_rows, builder.add(loop.index, builder.mul(token_blocks, constant(I64, token))),
                    quants, scales, negative_sums,
                )
                for token in range(num_tokens)
            ]  # fmt: skip
            for position, sums in enumerate(isa.signed_sums(builder, bits, tokens)):
                group_scales = tokens[position].scales()
                if isa.sum_multiple > 1:
                    group_scales = builder.fmul(group_scales, constant(group_scales.type, 1 / isa.sum_multiple))
                products = [builder.fmul(builder.sitofp(total, group_scales.type), group_scales) for total in sums]
                totals = _add_groups(builder, products)
                loop.carried[position] = multiply_add(builder, totals, weight_scales, loop.carried[position])
        for token in range(num_tokens):
            address = builder.add(out, builder.mul(out_row_bytes, constant(I64, token)))
            ordered = _in_row_order(builder, loop.carried[token])
            store_rows(builder, ordered, address, num_rows, accumulate)

    return emit


def store_rows(
    builder: ir.IRBuilder, values: ir.Value, address: ir.Value, num_rows: ir.Value, accumulate: ir.Value
) -> None:
    """Store the first `num_rows` floats of a vector, added to what is there if `accumulate` is not 0."""
    count = values.type.count
    lanes = ir.Constant(vector(I64, count), list(range(count)))
    exists = builder.icmp_signed("<", lanes, splat(builder, num_rows, count))
    pointer = builder.inttoptr(address, values.type.as_pointer())
    is_added = splat(builder, builder.icmp_signed("!=", accumulate, constant(I64, 0)), count)
    suffix = f"v{count}f32.p0"
    zeros = constant(values.type, 0.0)
    old = intrinsic_call(
        builder,
        f"llvm.masked.load.{suffix}",
        values.type,
        [pointer, constant(I32, 4), builder.and_(exists, is_added), zeros],
    )
    arguments = [builder.fadd(old, values), pointer, constant(I32, 4), exists]
    intrinsic_call(builder, f"llvm.masked.store.{suffix}", ir.VoidType(), arguments)


def _prefetch_rows(
    builder: ir.IRBuilder, weights: ir.Value, block_offset: ir.Value, num_rows: int, end: ir.Value, jump: ir.Value
) -> None:
    """Ask for what comes far ahead: the rows of a tile are one stretch of memory, of which a round reads a share."""
    linear = builder.add(weights, builder.mul(block_offset, constant(I64, num_rows)))
    target = builder.add(linear, constant(I64, _PREFETCH_BYTES))
    is_beyond = builder.icmp_unsigned(">=", target, end)
    target = builder.select(is_beyond, builder.add(target, jump), target)
    for line in range(0, BLOCK_BYTES * num_rows, 64):
        prefetch(builder, target, line)


def _repeat(builder: ir.IRBuilder, value: ir.Value, times: int) -> ir.Value:
    return value if times == 1 else shuffle(builder, list(range(value.type.count)) * times, value)


def _load_weight_scales(builder: ir.IRBuilder, isa: PortableISA, blocks: list[ir.Value]) -> ir.Value:
    """Return the rows' scales in the lanes that `_add_groups` leaves their sums in.

    Four are put together in a general register, because the vector units are what limits a tile.
    """
    fours: ir.Value = ir.Constant(vector(I64, isa.vector_rows), ir.Undefined)
    for row in range(isa.vector_rows):
        four = constant(I64, 0)
        for index in range(TILE_VECTORS):
            half = builder.zext(load(builder, blocks[index * isa.vector_rows + row], I16), I64)
            four = builder.or_(four, builder.shl(half, constant(I64, 16 * index)))
        fours = builder.insert_element(fours, four, constant(I32, row))
    return isa.half_to_float(builder, builder.bitcast(fours, vector(I16, len(blocks))))


def _add_groups(builder: ir.IRBuilder, products: list[ir.Value]) -> ir.Value:
    """Add the four groups of each row, (0 + 2) + (1 + 3): lane 4r + v of the result is row r of vector v."""
    count = products[0].type.count
    rows = range(0, count, 4)

    def pick(first: int, second: int) -> list[int]:
        return [lane for row in rows for lane in (row + first, row + second, count + row + first, count + row + second)]

    def added(low: ir.Value, high: ir.Value, even: list[int], odd: list[int]) -> ir.Value:
        return builder.fadd(shuffle(builder, even, low, high), shuffle(builder, odd, low, high))

    low, high = (added(products[index], products[index + 1], pick(0, 1), pick(2, 3)) for index in (0, 2))
    return added(low, high, pick(0, 2), pick(1, 3))


def _in_row_order(builder: ir.IRBuilder, sums: ir.Value) -> ir.Value:
    rows = sums.type.count // TILE_VECTORS
    return shuffle(builder, [TILE_VECTORS * row + index for index in range(TILE_VECTORS) for row in range(rows)], sums)
