"""Q1_0 weights times int8 activations: chooses the kernel by the number of tokens."""

from __future__ import annotations

from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS
from bonsai_edge_cpu.compilation import compiled_part, inlined_part
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import TILE_VECTORS, tile_emitter
from bonsai_edge_cpu.kernels.q1_0_lookups import LOOKUP_BYTES, arrange_lookups, multiply_by_lookups
from bonsai_edge_cpu.kernels.q1_0_matrix import PAIR_BYTES, arrange_pairs, multiply_by_matrices
from bonsai_edge_cpu.kernels.q1_0_tables import multiply_by_tables
from bonsai_edge_cpu.kernels.quantization import MIN_TABLE_TOKENS, TABLE_TOKENS, interleave

_ISA = selected_isa()
_TILE_ROWS = TILE_VECTORS * _ISA.vector_rows
_BATCH_TOKENS = _ISA.batch_tokens

_FEW_APART = _ISA.few_tokens != "dots"
"""Whether a few tokens have a kernel of their own. Numba knows it when it compiles, and leaves that out where not."""

if _ISA.few_tokens == "matrices":
    _arrange_few, _multiply_few = arrange_pairs, multiply_by_matrices
    _FORM_TOKENS, _FORM_BYTES = 2, PAIR_BYTES
else:
    _arrange_few, _multiply_few = arrange_lookups, multiply_by_lookups
    _FORM_TOKENS, _FORM_BYTES = 1, LOOKUP_BYTES

_single_tile = make_intrinsic(tile_emitter(1))
_batch_tile = make_intrinsic(tile_emitter(_BATCH_TOKENS))


@compiled_part
def arrange(activations, num_tokens, first_block, last_block):
    """Bring some blocks of quantized activations into the forms that the kernels for so many tokens read."""
    tabled = _num_tabled(num_tokens)
    if tabled > 0:
        interleave(activations, tabled, first_block, last_block)
    if _FEW_APART and _are_few(activations, tabled, num_tokens - tabled):
        few = _few_at(activations, tabled)
        _arrange_few(activations, tabled, num_tokens - tabled, few, first_block, last_block)


@inlined_part
def _num_tabled(num_tokens):
    """Return how many of the first tokens go through the tables: whole tiles, and a last one that is worth it."""
    rest = num_tokens % TABLE_TOKENS
    return num_tokens if rest >= MIN_TABLE_TOKENS else num_tokens - rest


@inlined_part
def _few_at(activations, tabled):
    """Return where the forms of the tokens behind `tabled` ones lie: in the tiles of columns that those do not need."""
    return activations.columns.ctypes.data + tabled // TABLE_TOKENS * activations.columns.strides[0]


@inlined_part
def _are_few(activations, tabled, count):
    """Return whether `count` tokens behind `tabled` ones are several, and there is room for their forms."""
    room = (activations.columns.shape[0] - tabled // TABLE_TOKENS) * (BLOCK_COLUMNS * TABLE_TOKENS)
    return count > 1 and (count + _FORM_TOKENS - 1) // _FORM_TOKENS * _FORM_BYTES <= room


@compiled_part
def q1_0_matmul(
    weights, row_bytes, num_blocks, first_row, last_row, activations, num_tokens, tables, sums, out, accumulate, ahead
):
    """Multiply rows first_row … last_row - 1 of a matrix at address `weights` by the activations of some tokens.

    Of the `Activations` the first num_tokens rows and num_blocks blocks count, arranged for as many; tables and sums
    are this thread's; out float32 (max_rows, num_rows), overwritten or added to; `ahead` is the address of the weights
    that the thread reads next.
    """
    tabled = _num_tabled(num_tokens)
    for token in range(0, tabled, TABLE_TOKENS):
        multiply_by_tables(
            weights, row_bytes, num_blocks, first_row, last_row,
            activations, token, min(TABLE_TOKENS, tabled - token), tables, sums, out, accumulate, ahead,
        )  # fmt: skip
    if _FEW_APART and _are_few(activations, tabled, num_tokens - tabled):
        _multiply_few(
            weights, row_bytes, num_blocks, first_row, last_row, activations, tabled, num_tokens - tabled,
            _few_at(activations, tabled), sums, out, accumulate, ahead,
        )  # fmt: skip
    elif tabled < num_tokens:
        _multiply_by_dots(
            weights, row_bytes, num_blocks, first_row, last_row,
            activations, tabled, num_tokens, out, accumulate, ahead,
        )  # fmt: skip


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
