"""Q1_0 weights times int8 activations: chooses the kernel by the number of tokens."""

from __future__ import annotations

from bonsai_edge_cpu.compilation import compiled_part, inlined_part
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import TILE_VECTORS, tile_emitter
from bonsai_edge_cpu.kernels.q1_0_tables import multiply_by_tables
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS

_ISA = selected_isa()
_TILE_ROWS = TILE_VECTORS * _ISA.vector_rows
_BATCH_TOKENS = _ISA.batch_tokens

MIN_TABLE_TOKENS = TABLE_TOKENS // 2
"""From so many tokens on the tables are no slower, though some of their lanes are then empty."""

_single_tile = make_intrinsic(tile_emitter(1))
_batch_tile = make_intrinsic(tile_emitter(_BATCH_TOKENS))


@compiled_part
def q1_0_matmul(
    weights, row_bytes, num_blocks, first_row, last_row, activations, num_tokens, tables, sums, out, accumulate, ahead
):
    """Multiply rows first_row … last_row - 1 of a matrix at address `weights` by the activations of some tokens.

    Of the `Activations` the first num_tokens rows and num_blocks blocks count, interleaved if there are at least
    MIN_TABLE_TOKENS; tables and sums are this thread's; out float32 (max_rows, num_rows), overwritten or added to;
    `ahead` is the address of the weights that the thread reads next.
    """
    token = 0
    while num_tokens - token >= MIN_TABLE_TOKENS:
        count = min(TABLE_TOKENS, num_tokens - token)
        multiply_by_tables(
            weights, row_bytes, num_blocks, first_row, last_row,
            activations, token, count, tables, sums, out, accumulate, ahead,
        )  # fmt: skip
        token += count
    if token < num_tokens:
        _multiply_by_dots(
            weights, row_bytes, num_blocks, first_row, last_row, activations, token, num_tokens, out, accumulate, ahead
        )


@inlined_part
def _multiply_by_dots(
    weights, row_bytes, num_blocks, first_row, last_row, activations, first_token, last_token, out, accumulate, ahead
):
    """Go through the rows in tiles; those left over at the end are tiles of one row that is read again and again."""
    token_blocks, out_stride = activations.quants.shape[1], out.strides[0]
    first_alone = last_token - (last_token - first_token) % _BATCH_TOKENS
    end = weights + last_row * row_bytes
    row = first_row
    while row < last_row:
        is_whole = row + _TILE_ROWS <= last_row
        num_rows, stride = (_TILE_ROWS, row_bytes) if is_whole else (1, 0)
        for token in range(first_token, first_alone, _BATCH_TOKENS):
            quants, scales, negative_sums = _addresses(activations, token)
            out_at = out.ctypes.data + token * out_stride + 4 * row
            _batch_tile(
                weights + row * row_bytes, stride, num_rows, num_blocks,
                quants, scales, negative_sums, token_blocks, out_at, out_stride, accumulate, end, ahead,
            )  # fmt: skip
        for token in range(first_alone, last_token):
            quants, scales, negative_sums = _addresses(activations, token)
            out_at = out.ctypes.data + token * out_stride + 4 * row
            _single_tile(
                weights + row * row_bytes, stride, num_rows, num_blocks,
                quants, scales, negative_sums, token_blocks, out_at, out_stride, accumulate, end, ahead,
            )  # fmt: skip
        row += num_rows


@inlined_part
def _addresses(activations, token):
    """Return where the quants, scales and negative sums of a token begin."""
    return (
        activations.quants.ctypes.data + token * activations.quants.strides[0],
        activations.scales.ctypes.data + token * activations.scales.strides[0],
        activations.negative_sums.ctypes.data + token * activations.negative_sums.strides[0],
    )
