"""Q1_0 weights times int8 activations, read from the GGUF blocks as they lie.

Each product of a sign and an activation is one masked byte of an integer dot product. Starting the 16 int32 lanes at
minus the sum of the activations and adding twice those whose bit is set gives the sum with +1 and -1 exactly; then one
conversion and two multiplications a block apply the weight's scale and the lanes' scales. A result depends on its row
and its token alone, not on the tile it is computed in: batches and single tokens agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I32,
    I64,
    constant,
    counted_loop,
    load,
    multiply_add,
    prefetch,
    splat,
    store,
    sum_lanes,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa

_BLOCK_BYTES = 18
_BLOCK_COLUMNS = 128
_LANE_BYTES = 64  # 16 float32 scales, or 16 int32 sums, of a block of activations
_PREFETCH_BYTES = 2304  # ahead in the stream of weights: what reaches the memory's speed on Zen 4 and 5


def _make_tile(num_rows: int, num_tokens: int) -> Callable[..., Any]:
    """Return the intrinsic for a tile: `num_rows` consecutive rows of weights times `num_tokens` tokens.

    tile(weights, row_bytes, num_blocks, quants, scales, negative_sums, token_blocks, out, out_row_bytes, accumulate):
    addresses, the activations of a token `token_blocks` blocks apart, the float32 outputs of a token `out_row_bytes`
    apart; accumulate 1 adds to the outputs, 0 overwrites them.
    """
    isa = selected_isa()
    floats = vector(F32, 16)

    def emit(
        builder: ir.IRBuilder,
        weights: ir.Value,
        row_bytes: ir.Value,
        num_blocks: ir.Value,
        quants: ir.Value,
        scales: ir.Value,
        negative_sums: ir.Value,
        token_blocks: ir.Value,
        out: ir.Value,
        out_row_bytes: ir.Value,
        accumulate: ir.Value,
    ) -> None:
        def scaled(value: ir.Value, factor: int) -> ir.Value:
            return builder.mul(value, constant(I64, factor))

        rows = [builder.add(weights, scaled(row_bytes, row)) for row in range(num_rows)]
        with counted_loop(builder, num_blocks, [constant(floats, 0.0)] * (num_rows * num_tokens)) as loop:
            block_offset = scaled(loop.index, _BLOCK_BYTES)
            if num_rows > 1:
                # The rows of a tile are one stretch of memory that is read num_rows blocks a round.
                linear = builder.add(weights, scaled(loop.index, _BLOCK_BYTES * num_rows))
                for line in range(0, _BLOCK_BYTES * num_rows, 64):
                    prefetch(builder, linear, _PREFETCH_BYTES + line)
            blocks = [builder.add(row, block_offset) for row in rows]
            weight_scales = [splat(builder, isa.load_scale(builder, block), 16) for block in blocks]
            signs = [
                [isa.expand_signs(builder, load(builder, block, I64, 2 + 8 * half)) for half in range(2)]
                for block in blocks
            ]
            for token in range(num_tokens):
                index = builder.add(loop.index, scaled(token_blocks, token))
                block_quants = builder.add(quants, scaled(index, _BLOCK_COLUMNS))
                activations = [load(builder, block_quants, vector(I8, 64), 64 * half) for half in range(2)]
                lane_offset = scaled(index, _LANE_BYTES)
                lane_scales = load(builder, builder.add(scales, lane_offset), floats, align=4)
                start = load(builder, builder.add(negative_sums, lane_offset), vector(I32, 16), align=4)
                for row in range(num_rows):
                    acc = start
                    for half in range(2):
                        acc = isa.dot4(builder, acc, signs[row][half], activations[half])
                    products = builder.fmul(builder.sitofp(acc, floats), lane_scales)
                    position = token * num_rows + row
                    loop.carried[position] = multiply_add(builder, products, weight_scales[row], loop.carried[position])
        keep_old = builder.icmp_signed("!=", accumulate, constant(I64, 0))
        for token in range(num_tokens):
            for row in range(num_rows):
                address = builder.add(out, builder.add(scaled(out_row_bytes, token), constant(I64, 4 * row)))
                total = sum_lanes(builder, loop.carried[token * num_rows + row])
                old = builder.select(keep_old, load(builder, address, F32, align=4), constant(F32, 0.0))
                store(builder, builder.fadd(old, total), address, align=4)

    return make_intrinsic(emit)


TILE_ROWS = selected_isa().tile_rows
TILE_TOKENS = selected_isa().tile_tokens

_batch = _make_tile(TILE_ROWS, TILE_TOKENS)
_decode = _make_tile(TILE_ROWS, 1)
_single = _make_tile(1, 1)


@compiled
def q1_0_matmul(
    weights, row_bytes, num_blocks, first_row, last_row, quants, scales, negative_sums, num_tokens, out, accumulate
):
    """Multiply rows first_row … last_row - 1 of a matrix at address `weights` by the activations of some tokens.

    quants int8 (max_tokens, max_blocks, 128), scales float32 and negative_sums int32 (max_tokens, max_blocks, 16), of
    which the first num_tokens and num_blocks count; out float32 (max_tokens, num_rows), overwritten or added to.
    """
    token_blocks = quants.shape[1]
    quant_stride, lane_stride, out_stride = quants.strides[0], scales.strides[0], out.strides[0]
    quants_at, scales_at, sums_at = quants.ctypes.data, scales.ctypes.data, negative_sums.ctypes.data
    first_single = last_row - (last_row - first_row) % TILE_ROWS
    row = first_row
    while row < last_row:
        num_rows = TILE_ROWS if row < first_single else 1
        row_at = weights + row * row_bytes
        token = 0
        while token < num_tokens:
            x_at = quants_at + token * quant_stride
            d_at, s_at = scales_at + token * lane_stride, sums_at + token * lane_stride
            out_at = out.ctypes.data + token * out_stride + row * 4
            if num_rows == 1:
                _single(row_at, row_bytes, num_blocks, x_at, d_at, s_at, token_blocks, out_at, out_stride, accumulate)
                token += 1
            elif token + TILE_TOKENS <= num_tokens:
                _batch(row_at, row_bytes, num_blocks, x_at, d_at, s_at, token_blocks, out_at, out_stride, accumulate)
                token += TILE_TOKENS
            else:
                _decode(row_at, row_bytes, num_blocks, x_at, d_at, s_at, token_blocks, out_at, out_stride, accumulate)
                token += 1
        row += num_rows
