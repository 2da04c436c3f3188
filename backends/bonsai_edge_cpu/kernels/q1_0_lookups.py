"""Q1_0 weights times a few tokens, without multiplications: sums are looked up in vector registers, with AVX-512.

The sixteen signs in a word of a row choose among the sums of their sixteen columns: five bits each choose one of 32
sums, a vector of int16, and the other six one of 64, two vectors. AVX-512 has an instruction that looks up 32 words in
such a table, and thus does for 32 rows what would be five multiplications and additions for each of them. For that the
words of 32 rows are transposed, from the GGUF blocks as they lie, so that a vector holds the same word of every row.

Rows go in panels that fit into the second-level cache, block by block, so that a block's tables stay in the first
level, and the panel that follows is asked for meanwhile.

The arithmetic is that of `q1_0_dot` and `q1_0_tables` to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from bonsai_edge.cpu_step.workspace import GROUPS
from bonsai_edge_cpu.compilation import compiled_part, inlined_part
from bonsai_edge_cpu.emit import (
    F32,
    I1,
    I8,
    I16,
    I32,
    I64,
    assembly,
    concatenate,
    constant,
    counted_loop,
    intrinsic_call,
    load,
    multiply_add,
    prefetch,
    shuffle,
    splat,
    store,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import BLOCK_BYTES, SCALE_BYTES, store_rows

TILE_ROWS = 32
LOOKUP_BYTES = 2048
"""The tables of a token's block."""

_PANEL_ROWS = 256
"""At most so many rows go through the blocks together."""

_GROUP_TOKENS = 8
"""At most so many tokens, or their tables would not stay in the first-level cache."""

_PANEL_BYTES = 128 << 10
_WORDS = 8  # of 16 columns each, in a block
_PLANE_BYTES = 16
_VECTOR_BYTES = 64
_WORD_BYTES = 4 * _VECTOR_BYTES  # its tables: 32, 32 and 64 sums
_HALF_TILE = TILE_ROWS // 2
_SUM_BYTES = 4 * TILE_ROWS
_LANE_ROWS = 4  # rows whose words are loaded into one vector

_SHORTS, _INTS, _FLOATS = vector(I16, 32), vector(I32, 16), vector(F32, 16)


def _emit_build_lookups(builder: ir.IRBuilder, quants: ir.Value, lookups: ir.Value) -> None:
    with counted_loop(builder, constant(I64, _WORDS), []) as loop:
        columns_at = builder.add(quants, builder.mul(loop.index, constant(I64, 2)))
        tables_at = builder.add(lookups, builder.mul(loop.index, constant(I64, _WORD_BYTES)))
        columns = [
            builder.sext(load(builder, columns_at, I8, _PLANE_BYTES * (column % 8) + column // 8), I16)
            for column in range(16)
        ]
        low, middle, high = columns[:5], columns[5:10], columns[10:]
        first, second = _signed_sums(builder, low), _signed_sums(builder, middle)
        third = builder.sub(_signed_sums(builder, high[:5]), splat(builder, high[5], TILE_ROWS))
        fourth = builder.add(third, splat(builder, builder.add(high[5], high[5]), TILE_ROWS))
        for index, table in enumerate([first, second, third, fourth]):
            store(builder, table, tables_at, _VECTOR_BYTES * index, align=_VECTOR_BYTES)


def _signed_sums(builder: ir.IRBuilder, columns: Sequence[ir.Value]) -> ir.Value:
    """Return in lane n the sum of five columns, each negated whose bit in n is 0."""
    chosen, total = constant(_SHORTS, 0), constant(I16, 0)
    for bit, column in enumerate(columns):
        has_bit = ir.Constant(vector(I1, TILE_ROWS), [lane >> bit & 1 for lane in range(TILE_ROWS)])
        value = builder.select(has_bit, splat(builder, column, TILE_ROWS), constant(_SHORTS, 0))
        chosen, total = builder.add(chosen, value), builder.add(total, column)
    return builder.sub(builder.add(chosen, chosen), splat(builder, total, TILE_ROWS))


def _emit_add_block(
    builder: ir.IRBuilder,
    weights: ir.Value,
    row_bytes: ir.Value,
    num_tiles: ir.Value,
    num_tokens: ir.Value,
    lookups: ir.Value,
    lookup_stride: ir.Value,
    scales: ir.Value,
    scale_stride: ir.Value,
    sums: ir.Value,
    ahead: ir.Value,
) -> None:
    """Emit `add_block`, which is described there."""
    tile_bytes = builder.mul(row_bytes, constant(I64, TILE_ROWS))
    with counted_loop(builder, num_tiles, []) as tiles:
        tile = builder.add(weights, builder.mul(tiles.index, tile_bytes))
        ahead_at = builder.add(ahead, builder.mul(tiles.index, constant(I64, BLOCK_BYTES * TILE_ROWS)))
        for line in range(0, BLOCK_BYTES * TILE_ROWS, 64):
            prefetch(builder, ahead_at, line)
        rows = [builder.add(tile, builder.mul(row_bytes, constant(I64, row))) for row in range(TILE_ROWS)]
        weight_scales = [_load_scales(builder, rows[:_HALF_TILE]), _load_scales(builder, rows[_HALF_TILE:])]
        indices = [_table_indices(builder, words) for words in _load_words(builder, rows)]
        sums_at = builder.add(sums, builder.mul(builder.mul(tiles.index, num_tokens), constant(I64, _SUM_BYTES)))
        with counted_loop(builder, num_tokens, []) as tokens:
            tables = builder.add(lookups, builder.mul(tokens.index, lookup_stride))
            scales_at = builder.add(scales, builder.mul(tokens.index, scale_stride))
            token_sums = builder.add(sums_at, builder.mul(tokens.index, constant(I64, _SUM_BYTES)))
            products = []
            for group in range(GROUPS):
                of_words = [_look_up(builder, indices[word], tables, word) for word in (2 * group, 2 * group + 1)]
                scale = splat(builder, load(builder, scales_at, F32, 4 * group), _HALF_TILE)
                total = builder.add(*of_words)
                products.append([builder.fmul(half, scale) for half in _halves(builder, total)])
            for half in range(2):
                low = builder.fadd(products[0][half], products[2][half])
                high = builder.fadd(products[1][half], products[3][half])
                old = load(builder, token_sums, _FLOATS, _VECTOR_BYTES * half, align=4)
                new = multiply_add(builder, builder.fadd(low, high), weight_scales[half], old)
                store(builder, new, token_sums, _VECTOR_BYTES * half, align=4)


def _load_words(builder: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """Return the eight words of a block, <32 x i16>: lane 2n is row n of the tile's first half, 2n + 1 of the other.

    So the sums of even lanes, widened, are the rows of a half in their order.
    """
    load_rows = selected_isa().row_loader(builder)
    vectors = []
    for word_lane in range(_WORDS):
        first = word_lane // 2 + _HALF_TILE * (word_lane % 2)
        lanes = range(first, first + _LANE_ROWS * 4, _LANE_ROWS)
        signs = [builder.add(rows[row], constant(I64, SCALE_BYTES)) for row in lanes]
        vectors.append(builder.bitcast(load_rows(signs), _SHORTS))
    return _transpose_in_lanes(builder, vectors)


def _transpose_in_lanes(builder: ir.IRBuilder, vectors: Sequence[ir.Value]) -> list[ir.Value]:
    """Transpose, in each 128-bit lane, the eight words of eight vectors."""
    low = [lane + word for lane in range(0, 32, 8) for pair in range(4) for word in (pair, pair + 32)]
    high = [lane + 4 for lane in low]
    for _ in range(3):
        pairs = zip(vectors[:4], vectors[4:], strict=True)
        vectors = [shuffle(builder, lanes, first, second) for first, second in pairs for lanes in (low, high)]
    return list(vectors)


def _table_indices(builder: ir.IRBuilder, words: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Return words whose lowest five, five and six bits choose from the tables; those above do not count.

    Moved by a multiplication: the units that shift have the transposition and the looking up to do.
    """

    def moved(bits: int) -> ir.Value:
        factor = constant(_SHORTS, 1 << (16 - bits))
        return intrinsic_call(builder, "llvm.x86.avx512.pmulhu.w.512", _SHORTS, [words, factor])

    return words, moved(5), moved(10)


def _look_up(
    builder: ir.IRBuilder, indices: tuple[ir.Value, ir.Value, ir.Value], tables: ir.Value, word: int
) -> ir.Value:
    first, second, third, fourth = (
        load(builder, tables, _SHORTS, _WORD_BYTES * word + _VECTOR_BYTES * index, align=_VECTOR_BYTES)
        for index in range(4)
    )
    low = intrinsic_call(builder, "llvm.x86.avx512.permvar.hi.512", _SHORTS, [first, indices[0]])
    middle = intrinsic_call(builder, "llvm.x86.avx512.permvar.hi.512", _SHORTS, [second, indices[1]])
    high = intrinsic_call(builder, "llvm.x86.avx512.vpermi2var.hi.512", _SHORTS, [third, indices[2], fourth])
    return builder.add(builder.add(low, middle), high)


def _halves(builder: ir.IRBuilder, total: ir.Value) -> list[ir.Value]:
    """Return the even and the odd words as floats; widened by multiplying with 1 and 0 and adding neighbours."""
    result = []
    for odd in range(2):
        chosen = ir.Constant(_SHORTS, [1 if lane % 2 == odd else 0 for lane in range(32)])
        words = intrinsic_call(builder, "llvm.x86.avx512.pmaddw.d.512", _INTS, [total, chosen])
        result.append(builder.sitofp(words, _FLOATS))
    return result


def _load_scales(builder: ir.IRBuilder, rows: Sequence[ir.Value]) -> ir.Value:
    """Return the scales of sixteen rows; put together in general registers, which have less to do."""
    fours = []
    for first in range(0, _HALF_TILE, 4):
        four = constant(I64, 0)
        for index in range(4):
            half = builder.zext(load(builder, rows[first + index], I16), I64)
            four = builder.or_(four, builder.shl(half, constant(I64, 16 * index)))
        opaque = assembly(builder, "", "=r,0", I64, [four])  # or LLVM would insert each scale into the vector
        fours.append(builder.bitcast(opaque, vector(I16, 4)))
    return selected_isa().half_to_float(builder, concatenate(builder, *fours))


def _emit_store_tile(
    builder: ir.IRBuilder, sums: ir.Value, num_rows: ir.Value, out: ir.Value, accumulate: ir.Value
) -> None:
    for half in range(2):
        values = load(builder, sums, _FLOATS, _VECTOR_BYTES * half, align=4)
        rows_left = builder.sub(num_rows, constant(I64, _HALF_TILE * half))
        store_rows(builder, values, builder.add(out, constant(I64, _VECTOR_BYTES * half)), rows_left, accumulate)


build_lookups = make_intrinsic(_emit_build_lookups)
"""build_lookups(quants, lookups): addresses of a block of 128 int8 in planes and of int16 (8, 4, 32)."""

add_block = make_intrinsic(_emit_add_block)
"""add_block(weights, row_bytes, num_tiles, num_tokens, lookups, lookup_stride, scales, scale_stride, sums, ahead):
addresses of the block in the first row, of its lookups and its four float32 scales for the first token (and bytes from
there to the next token's), of float32 (num_tiles, num_tokens, 32) to add to, and of as many bytes as these blocks have
of what is read next, to prefetch."""

store_tile = make_intrinsic(_emit_store_tile)
"""store_tile(sums, num_rows, out, accumulate): write the first num_rows of 32 sums, or add them."""


@compiled_part
def arrange_lookups(activations, token, count, few, first_block, last_block):
    """Make the tables for some blocks of `count` tokens from `token` on, at the address `few`."""
    max_blocks = activations.quants.shape[1]
    for index in range(count):
        for block in range(first_block, last_block):
            lookups = few + (index * max_blocks + block) * LOOKUP_BYTES
            build_lookups(activations.quants[token + index, block].ctypes.data, lookups)


@compiled_part
def multiply_by_lookups(
    weights, row_bytes, num_blocks, first_row, last_row, activations, token, count, few, sums, out, accumulate, ahead
):
    """Multiply rows by `count` tokens from `token` on, whose lookups are at the address `few`.

    sums float32 is this thread's; the rest is as in `q1_0_matmul`. Rows left over at the end are tiles of one row that
    is read again and again.
    """
    panel_rows = max(TILE_ROWS, min(_PANEL_ROWS, _PANEL_BYTES // row_bytes // TILE_ROWS * TILE_ROWS))
    few_stride = activations.quants.shape[1] * LOOKUP_BYTES
    num_groups = (count + _GROUP_TOKENS - 1) // _GROUP_TOKENS
    row = first_row
    while row < last_row:
        num_tiles = min(last_row - row, panel_rows) // TILE_ROWS
        num_rows, stride = (num_tiles * TILE_ROWS, row_bytes) if num_tiles > 0 else (1, 0)
        following = row + num_rows
        next_at = np.int64(weights + following * row_bytes if following < last_row else ahead)
        for group in range(num_groups):
            first, last = count * group // num_groups, count * (group + 1) // num_groups
            _multiply_panel(
                weights + row * row_bytes, stride, num_blocks, max(num_tiles, 1), activations,
                token + first, few + first * few_stride, last - first, sums, next_at,
            )  # fmt: skip
            _store_panel(sums, row, num_rows, out, token + first, last - first, accumulate)
        row = following


@inlined_part
def _multiply_panel(
    weights, row_bytes, num_blocks, num_tiles, activations, first_token, lookups, num_tokens, sums, ahead
):
    sums[: num_tiles * num_tokens * TILE_ROWS // sums.shape[1]] = np.float32(0.0)
    for block in range(num_blocks):
        add_block(
            weights + block * BLOCK_BYTES,
            row_bytes,
            num_tiles,
            num_tokens,
            lookups + block * LOOKUP_BYTES,
            activations.quants.shape[1] * LOOKUP_BYTES,
            activations.scales[first_token, block].ctypes.data,
            activations.scales.strides[0],
            sums.ctypes.data,
            ahead + block * num_tiles * TILE_ROWS * BLOCK_BYTES,
        )


@inlined_part
def _store_panel(sums, first_row, num_rows, out, first_token, num_tokens, accumulate):
    for first in range(0, num_rows, TILE_ROWS):
        for token in range(num_tokens):
            store_tile(
                sums.ctypes.data + (first // TILE_ROWS * num_tokens + token) * _SUM_BYTES,
                num_rows - first,
                out.ctypes.data + (first_token + token) * out.strides[0] + 4 * (first_row + first),
                accumulate,
            )
