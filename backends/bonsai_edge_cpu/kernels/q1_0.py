"""Q1_0 weights times int8 activations: chooses the kernel by the number of tokens."""

from __future__ import annotations

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import make_tile
from bonsai_edge_cpu.kernels.q1_0_tables import multiply_by_tables
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS

_ISA = selected_isa()
_TILE_ROWS = _ISA.tile_vectors * _ISA.vector_rows
_BATCH_TOKENS = _ISA.batch_tokens

MIN_TABLE_TOKENS = TABLE_TOKENS // 2
"""From so many tokens on the tables are no slower, though some of their lanes are then empty."""

_single_tile = make_tile(_ISA.tile_vectors, 1)
_batch_tile = make_tile(_ISA.tile_vectors, _BATCH_TOKENS)


@compiled
def q1_0_matmul(
    weights, row_bytes, num_blocks, first_row, last_row, activations, num_tokens, tables, sums, out, accumulate
):
    """Multiply rows first_row … last_row - 1 of a matrix at address `weights` by the activations of some tokens.

    Of the `Activations` the first num_tokens rows and num_blocks blocks count, interleaved if there are at least
    MIN_TABLE_TOKENS; tables and sums are this thread's; out float32 (max_rows, num_rows), overwritten or added to.
    """
    token = 0
    while num_tokens - token >= MIN_TABLE_TOKENS:
        count = min(TABLE_TOKENS, num_tokens - token)
        multiply_by_tables(
            weights, row_bytes, num_blocks, first_row, last_row,
            activations, token, count, tables, sums, out, accumulate,
        )  # fmt: skip
        token += count
    if token < num_tokens:
        _multiply_by_dots(
            weights, row_bytes, num_blocks, first_row, last_row, activations, token, num_tokens, out, accumulate
        )


@compiled
def _multiply_by_dots(
    weights, row_bytes, num_blocks, first_row, last_row, activations, first_token, last_token, out, accumulate
):
    """Go through the rows in tiles; those left over at the end are tiles of one row that is read again and again."""
    token_blocks, out_stride = activations.quants.shape[1], out.strides[0]
    first_alone = last_token - (last_token - first_token) % _BATCH_TOKENS
    row = first_row
    while row < last_row:
        is_whole = row + _TILE_ROWS <= last_row
        num_rows, stride = (_TILE_ROWS, row_bytes) if is_whole else (1, 0)
        for token in range(first_token, first_alone, _BATCH_TOKENS):
            quants, scales, negative_sums = _addresses(activations, token)
            out_at = out.ctypes.data + token * out_stride + 4 * row
            _batch_tile(
                weights + row * row_bytes, stride, num_rows, num_blocks,
                quants, scales, negative_sums, token_blocks, out_at, out_stride, accumulate,
            )  # fmt: skip
        for token in range(first_alone, last_token):
            quants, scales, negative_sums = _addresses(activations, token)
            out_at = out.ctypes.data + token * out_stride + 4 * row
            _single_tile(
                weights + row * row_bytes, stride, num_rows, num_blocks,
                quants, scales, negative_sums, token_blocks, out_at, out_stride, accumulate,
            )  # fmt: skip
        row += num_rows


@compiled
def _addresses(activations, token):
    """Return where the quants, scales and negative sums of a token begin."""
    return (
        activations.quants.ctypes.data + token * activations.quants.strides[0],
        activations.scales.ctypes.data + token * activations.scales.strides[0],
        activations.negative_sums.ctypes.data + token * activations.negative_sums.strides[0],
    )
