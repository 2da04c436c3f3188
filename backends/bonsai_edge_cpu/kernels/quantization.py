"""Quantizes activations to int8 for the integer kernels, and interleaves them for the table kernel.

Every 32 columns have a scale of their own, as in llama.cpp's Q8_0. A block of 128 columns is stored in eight planes of
16 bytes: byte i of plane n is column 8i + n, whose sign is bit n of byte i of a Q1_0 block.
"""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS, GROUPS
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I32,
    I64,
    concatenate,
    constant,
    largest_magnitude,
    load,
    reduce_lanes,
    round_to_int,
    shuffle,
    splat,
    store,
    transpose,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa

TABLE_TOKENS = selected_isa().table_tokens
"""Tokens that the table kernel takes at a time."""

MIN_TABLE_TOKENS = selected_isa().min_table_tokens
"""Fewer tokens than that are not worth a tile of their own."""

_PLANES, _PLANE_BYTES = 8, 16
_FLOATS = vector(F32, 16)
_UPPER_HALF = 2.0**-16


def _emit_quantize_block(
    builder: ir.IRBuilder, x: ir.Value, quants: ir.Value, scales: ir.Value, negative_sums: ir.Value
) -> None:
    quantized = []
    for group in range(GROUPS):
        halves = [load(builder, x, _FLOATS, 64 * (2 * group + half), align=4) for half in range(2)]
        peak = largest_magnitude(builder, *halves)
        store(builder, builder.fmul(peak, constant(F32, 1 / 127)), scales, 4 * group)
        is_zero = builder.fcmp_ordered("==", peak, constant(F32, 0.0))
        inverse = builder.fdiv(constant(F32, 127.0), builder.select(is_zero, constant(F32, 1.0), peak))
        rounded = [round_to_int(builder, builder.fmul(half, splat(builder, inverse, 16))) for half in halves]
        total = reduce_lanes(builder, builder.add(*rounded), builder.add)
        store(builder, builder.sub(constant(I32, 0), total), negative_sums, 4 * group)
        quantized += [builder.trunc(half, vector(I8, 16)) for half in rounded]
    for plane, columns in enumerate(_every_eighth(builder, concatenate(builder, *quantized))):
        store(builder, columns, quants, _PLANE_BYTES * plane)


def _every_eighth(builder: ir.IRBuilder, columns: ir.Value) -> list[ir.Value]:
    """Return lanes 0, 8, 16 … of a vector, lanes 1, 9, 17 … and so on, by halving three times into even and odd."""
    parts = [columns]
    for _ in range(3):
        parts = [shuffle(builder, range(odd, part.type.count, 2), part) for odd in range(2) for part in parts]
    return parts


quantize_block = make_intrinsic(_emit_quantize_block)
"""quantize_block(x, quants, scales, negative_sums): addresses of 128 float32, 128 int8, 4 float32 and 4 int32."""


@compiled_part
def quantize(x, token, first_block, last_block, activations):
    """Quantize blocks first_block … last_block - 1 of row `token` of float32 x (max_rows, width) to the same row."""
    for block in range(first_block, last_block):
        quantize_block(
            x[token, block * BLOCK_COLUMNS :].ctypes.data,
            activations.quants[token, block].ctypes.data,
            activations.scales[token, block].ctypes.data,
            activations.negative_sums[token, block].ctypes.data,
        )


def _emit_interleave_block(
    builder: ir.IRBuilder,
    quants: ir.Value,
    scales: ir.Value,
    token_quants: ir.Value,
    token_scales: ir.Value,
    columns: ir.Value,
    column_scales: ir.Value,
) -> None:
    def rows(address: ir.Value, row_bytes: ir.Value, type_: ir.Type, offset: int = 0) -> list[ir.Value]:
        offsets = [builder.mul(row_bytes, constant(I64, token)) for token in range(TABLE_TOKENS)]
        return [load(builder, builder.add(address, token), type_, offset, align=4) for token in offsets]

    for plane in range(_PLANES):
        of_plane = rows(quants, token_quants, vector(I8, _PLANE_BYTES), _PLANE_BYTES * plane)
        for byte, column in enumerate(transpose(builder, of_plane)):
            store(builder, column, columns, TABLE_TOKENS * (_PLANES * byte + plane), align=TABLE_TOKENS)
    of_tokens = rows(scales, token_scales, vector(F32, GROUPS))
    for group, of_group in enumerate(transpose(builder, of_tokens[::2] + of_tokens[1::2])):
        scaled = builder.fmul(of_group, constant(of_group.type, _UPPER_HALF))
        store(builder, scaled, column_scales, 4 * TABLE_TOKENS * group, align=TABLE_TOKENS)


interleave_block = make_intrinsic(_emit_interleave_block)
"""interleave_block(quants, scales, token_quants, token_scales, columns, column_scales): addresses of a block of the
first of TABLE_TOKENS rows, the bytes from there to the next row's, and where to store the block of all of them."""


@compiled_part
def interleave(activations, num_tokens, first_block, last_block):
    """Set columns and column_scales of some blocks from the quants and scales of the first `num_tokens` rows.

    Whole tiles of rows are taken; what the rows behind the last token hold is computed with and then dropped.
    """
    for tile in range((num_tokens + TABLE_TOKENS - 1) // TABLE_TOKENS):
        first = tile * TABLE_TOKENS
        for block in range(first_block, last_block):
            interleave_block(
                activations.quants[first, block].ctypes.data,
                activations.scales[first, block].ctypes.data,
                activations.quants.strides[0],
                activations.scales.strides[0],
                activations.columns[tile, block].ctypes.data,
                activations.column_scales[tile, block].ctypes.data,
            )
