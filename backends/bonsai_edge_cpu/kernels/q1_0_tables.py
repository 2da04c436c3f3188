"""Q1_0 weights times many tokens, without multiplications: the sums of four columns are looked up.

The signs of four columns have sixteen combinations. For a block of 128 columns and some tokens (as many as a vector has
16-bit lanes) a table holds all sixteen sums of each four columns; a row then adds 32 vectors that its sign bits choose.
That is the "method of the four Russians" (Arlazarov, Dinic, Kronrod and Faradzhev, 1970): a vector addition for every
four columns, where the integer dot product needs a multiplication for every column. A block's tables, at most
32 KiB, are meant to stay in the first-level cache; building them costs about as much as 25 rows (measured on Zen 4).

Sums of 32 columns are at most 4,064 in magnitude; from there on the arithmetic is that of `q1_0_dot` to the last bit.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from bonsai_edge.cpu_step.workspace import GROUPS, MAX_TABLE_ROWS
from bonsai_edge_cpu.compilation import inlined_part
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I16,
    I32,
    I64,
    constant,
    counted_loop,
    load,
    multiply_add,
    prefetch,
    splat,
    store,
    transpose,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import BLOCK_BYTES, SCALE_BYTES, store_rows
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS

_ENTRIES = 16
_ENTRY_BYTES = 2 * TABLE_TOKENS
_TABLE_BYTES = _ENTRIES * _ENTRY_BYTES
_TABLES = 32  # for four columns each
_TABLES_OF_GROUP = _TABLES // GROUPS
_SUM_BYTES = 4 * TABLE_TOKENS
_PREFETCH_ROWS = 16
_TRANSPOSED_ROWS = 16

_SHORTS = vector(I16, TABLE_TOKENS)
_INTS, _FLOATS = vector(I32, TABLE_TOKENS // 2), vector(F32, TABLE_TOKENS // 2)


def _emit_build_tables(builder: ir.IRBuilder, columns: ir.Value, tables: ir.Value) -> None:
    with counted_loop(builder, constant(I64, _TABLES), []) as loop:
        columns_at = builder.add(columns, builder.mul(loop.index, constant(I64, 4 * TABLE_TOKENS)))
        table_at = builder.add(tables, builder.mul(loop.index, constant(I64, _TABLE_BYTES)))
        quants = [load(builder, columns_at, vector(I8, TABLE_TOKENS), TABLE_TOKENS * column) for column in range(4)]
        shorts = [builder.sext(quant, _SHORTS) for quant in quants]
        pairs = [builder.add(shorts[0], shorts[1]), builder.add(shorts[2], shorts[3])]
        entries = [builder.sub(constant(_SHORTS, 0), builder.add(*pairs))]
        doubled = [builder.shl(short, constant(_SHORTS, 1)) for short in shorts]
        for signs in range(1, _ENTRIES):
            highest = signs.bit_length() - 1
            entries.append(builder.add(entries[signs - (1 << highest)], doubled[highest]))
        for signs, entry in enumerate(entries):
            store(builder, entry, table_at, _ENTRY_BYTES * signs)


def emit_add_block(
    builder: ir.IRBuilder,
    weights: ir.Value,
    row_bytes: ir.Value,
    num_rows: ir.Value,
    tables: ir.Value,
    column_scales: ir.Value,
    sums: ir.Value,
    ahead: ir.Value,
) -> None:
    """Emit `add_block`, which is described there."""
    isa = selected_isa()
    half_bytes = _SUM_BYTES // 2
    scales = [
        [load(builder, column_scales, _FLOATS, _SUM_BYTES * group + half_bytes * odd, align=4) for odd in range(2)]
        for group in range(GROUPS)
    ]
    with counted_loop(builder, num_rows, []) as loop:
        block = builder.add(weights, builder.mul(loop.index, row_bytes))
        prefetch(builder, builder.add(block, builder.mul(row_bytes, constant(I64, _PREFETCH_ROWS))), 0)
        prefetch(builder, builder.add(ahead, builder.mul(loop.index, constant(I64, BLOCK_BYTES))), 0)
        products = []
        for group in range(GROUPS):
            signs = builder.zext(load(builder, block, I32, SCALE_BYTES + 4 * group), I64)
            total = _add_entries(builder, tables, signs, group)
            # An integer of two tokens: the even one is shifted up, so that both are 2^16 times their sums.
            pairs = builder.bitcast(total, _INTS)
            even = builder.shl(pairs, constant(_INTS, 16))
            odd = builder.and_(pairs, constant(_INTS, -(1 << 16)))
            products.append(
                [
                    builder.fmul(builder.sitofp(value, _FLOATS), scale)
                    for value, scale in zip((even, odd), scales[group], strict=True)
                ]
            )
        weight_scale = splat(builder, isa.load_scale(builder, block), TABLE_TOKENS // 2)
        sums_at = builder.add(sums, builder.mul(loop.index, constant(I64, _SUM_BYTES)))
        for odd in range(2):
            low = builder.fadd(products[0][odd], products[2][odd])
            high = builder.fadd(products[1][odd], products[3][odd])
            old = load(builder, sums_at, _FLOATS, half_bytes * odd, align=4)
            new = multiply_add(builder, builder.fadd(low, high), weight_scale, old)
            store(builder, new, sums_at, half_bytes * odd, align=4)


def _add_entries(builder: ir.IRBuilder, tables: ir.Value, signs: ir.Value, group: int) -> ir.Value:
    """Add the entries of eight tables that the nibbles of 32 sign bits choose."""
    entry_bits = _ENTRY_BYTES.bit_length() - 1
    total = constant(_SHORTS, 0)
    for nibble in range(_TABLES_OF_GROUP):
        shift = 4 * nibble - entry_bits
        moved = builder.lshr(signs, constant(I64, shift)) if shift >= 0 else builder.shl(signs, constant(I64, -shift))
        offset = builder.and_(moved, constant(I64, (_ENTRIES - 1) << entry_bits))
        address = builder.add(tables, offset)
        entry = load(builder, address, _SHORTS, _TABLE_BYTES * (group * _TABLES_OF_GROUP + nibble))
        total = builder.add(total, entry)
    return total


def _emit_store_transposed(
    builder: ir.IRBuilder,
    sums: ir.Value,
    num_rows: ir.Value,
    num_tokens: ir.Value,
    out: ir.Value,
    out_row_bytes: ir.Value,
    accumulate: ir.Value,
) -> None:
    for odd in range(2):
        offset = _SUM_BYTES // 2 * odd
        rows = [load(builder, sums, _FLOATS, _SUM_BYTES * row + offset, align=4) for row in range(_TRANSPOSED_ROWS)]
        for index, of_token in enumerate(transpose(builder, rows)):
            token = constant(I64, 2 * index + odd)
            exists = builder.icmp_signed("<", token, num_tokens)
            address = builder.add(out, builder.mul(out_row_bytes, token))
            store_rows(builder, of_token, address, builder.select(exists, num_rows, constant(I64, 0)), accumulate)


build_tables = make_intrinsic(_emit_build_tables)
"""build_tables(columns, tables): addresses of int8 (128, TABLE_TOKENS) and int16 (32, 16, TABLE_TOKENS)."""

store_transposed = make_intrinsic(_emit_store_transposed)
"""store_transposed(sums, num_rows, num_tokens, out, out_row_bytes, accumulate): write sixteen rows of sums, of which
num_rows count, to the columns of float32 (num_tokens, ≥ 16), or add them."""

add_block = make_intrinsic(emit_add_block)
"""add_block(weights, row_bytes, num_rows, tables, column_scales, sums, ahead): addresses of the block in the first of
num_rows rows, the tables of its columns, float32 (4, TABLE_TOKENS), float32 (num_rows, TABLE_TOKENS) to add to, and as
many bytes as these blocks have of what is read next, to prefetch."""


@inlined_part
def multiply_by_tables(
    weights, row_bytes, num_blocks, first_row, last_row,
    activations, token, num_tokens, tables, sums, out, accumulate, ahead,
):  # fmt: skip
    """Multiply rows by the tokens token … token + num_tokens - 1, of which the first is a multiple of TABLE_TOKENS.

    tables int16 and sums float32 are this thread's; the rest is as in `q1_0_matmul`.
    """
    tile = token // TABLE_TOKENS
    num_passes = (last_row - first_row + MAX_TABLE_ROWS - 1) // MAX_TABLE_ROWS
    for number in range(num_passes):
        first, last = _pass_rows(first_row, last_row, num_passes, number)
        num_rows = last - first
        first_at = weights + first * row_bytes
        next_at = np.int64(weights + last * row_bytes if last < last_row else ahead)
        sums[:num_rows] = np.float32(0.0)
        for block in range(num_blocks):
            build_tables(activations.columns[tile, block].ctypes.data, tables.ctypes.data)
            add_block(
                first_at + block * BLOCK_BYTES,
                row_bytes,
                num_rows,
                tables.ctypes.data,
                activations.column_scales[tile, block].ctypes.data,
                sums.ctypes.data,
                next_at + block * num_rows * BLOCK_BYTES,
            )
        for row in range(0, num_rows, _TRANSPOSED_ROWS):
            store_transposed(
                sums[row:].ctypes.data,
                min(_TRANSPOSED_ROWS, num_rows - row),
                num_tokens,
                out[token:].ctypes.data + 4 * (first + row),
                out.strides[0],
                accumulate,
            )


@inlined_part
def _pass_rows(first_row, last_row, num_passes, number):
    """Return the rows of one of the passes, as many in each as whole groups of rows allow."""
    groups = (last_row - first_row + _TRANSPOSED_ROWS - 1) // _TRANSPOSED_ROWS
    first = first_row + groups * number // num_passes * _TRANSPOSED_ROWS
    last = first_row + groups * (number + 1) // num_passes * _TRANSPOSED_ROWS
    return first, min(last, last_row)
