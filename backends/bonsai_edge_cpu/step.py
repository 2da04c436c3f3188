"""One step of the model, all layers of it, in one compiled call that every thread of the team makes.

The threads share each operation (rows of a matrix, heads, blocks of columns) and meet at a barrier after it. Each
streams its own contiguous part of every matrix.
"""

from __future__ import annotations

from bonsai_edge.cpu_step.tables import (
    ADDRESS,
    DOWN,
    GATE,
    KEY,
    NUM_COLUMNS,
    NUM_ROWS,
    OUTPUT,
    QUERY,
    ROW_BYTES,
    TYPE,
    UP,
    VALUE,
)
from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge_cpu.barrier import wait_for_team
from bonsai_edge_cpu.compilation import compiled, inlined_part
from bonsai_edge_cpu.kernels.activation import silu_multiply
from bonsai_edge_cpu.kernels.attention import attend
from bonsai_edge_cpu.kernels.dense import dense_matmul
from bonsai_edge_cpu.kernels.embedding import embed
from bonsai_edge_cpu.kernels.kv_write import write_keys_values
from bonsai_edge_cpu.kernels.norm import norm_and_quantize
from bonsai_edge_cpu.kernels.q1_0 import arrange, q1_0_matmul
from bonsai_edge_cpu.kernels.quantization import quantize

_Q1_0 = GGMLType.Q1_0.value
_ROW_GRANULE = 32  # rows of a thread's share: whole tiles and whole vectors


@compiled
def run_step(dims, weights, planes, inputs, work, num_threads, thread):
    """Run thread `thread` of `num_threads` through a step; work.logits[: len(inputs.logit_rows)] is the result.

    The arguments are the named tuples of `bonsai_edge.cpu_step`.
    """
    num_tokens = inputs.token_ids.size
    rows = work.all_rows[:num_tokens]
    barrier = work.barrier
    # Then each thread attends with the heads that it has projected, and need not wait for the others.
    has_whole_heads = dims.num_kv_heads % num_threads == 0
    embed(weights.embedding, inputs.token_ids, work.x, thread, num_threads)
    wait_for_team(barrier, num_threads)
    for layer in range(dims.num_layers):
        matrices = weights.matrices[layer]
        following = weights.matrices[layer + 1][QUERY] if layer + 1 < dims.num_layers else weights.head
        _norm(work.x, rows, weights.attn_norm[layer], dims.eps, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _project(matrices[QUERY], work.floats, num_tokens, work.q, 0, matrices[KEY], work, num_threads, thread)
        _project(matrices[KEY], work.floats, num_tokens, work.k, 0, matrices[VALUE], work, num_threads, thread)
        _project(matrices[VALUE], work.floats, num_tokens, work.v, 0, matrices[OUTPUT], work, num_threads, thread)
        if not has_whole_heads:
            wait_for_team(barrier, num_threads)
        write_keys_values(layer, dims, weights, inputs, planes, work, thread, num_threads)
        if not has_whole_heads:
            wait_for_team(barrier, num_threads)
        attend(layer, dims, inputs, planes, work, thread, num_threads)
        wait_for_team(barrier, num_threads)
        _quantize(work.attention, num_tokens, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _project(matrices[OUTPUT], work.attention, num_tokens, work.x, 1, matrices[GATE], work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _norm(work.x, rows, weights.ffn_norm[layer], dims.eps, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _project(matrices[GATE], work.floats, num_tokens, work.gate, 0, matrices[UP], work, num_threads, thread)
        _project(matrices[UP], work.floats, num_tokens, work.up, 0, matrices[DOWN], work, num_threads, thread)
        _gate(num_tokens, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _quantize(work.gate, num_tokens, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
        _project(matrices[DOWN], work.gate, num_tokens, work.x, 1, following, work, num_threads, thread)
        wait_for_team(barrier, num_threads)
    _norm(work.x, inputs.logit_rows, weights.output_norm, dims.eps, work, num_threads, thread)
    wait_for_team(barrier, num_threads)
    first_matrix = weights.matrices[0][QUERY]
    _project(weights.head, work.floats, inputs.logit_rows.size, work.logits, 0, first_matrix, work, num_threads, thread)
    wait_for_team(barrier, num_threads)


@inlined_part
def _share(total, granule, num_threads, thread):
    """Return the first and the last + 1 of a thread's contiguous share of `total`, in whole granules but the last."""
    granules = (total + granule - 1) // granule
    first = granules * thread // num_threads * granule
    last = granules * (thread + 1) // num_threads * granule
    return min(first, total), min(last, total)


@inlined_part
def _norm(x, rows, weight, eps, work, num_threads, thread):
    first, last = _share(weight.size // BLOCK_COLUMNS, 1, num_threads, thread)
    norm_and_quantize(x, rows, weight, eps, first, last, work)
    arrange(work.activations, rows.size, first, last)


@inlined_part
def _quantize(x, num_tokens, work, num_threads, thread):
    first, last = _share(x.shape[1] // BLOCK_COLUMNS, 1, num_threads, thread)
    for token in range(num_tokens):
        quantize(x, token, first, last, work.activations)
    arrange(work.activations, num_tokens, first, last)


@inlined_part
def _project(matrix, x, num_tokens, out, accumulate, following, work, num_threads, thread):
    """Multiply a matrix by the activations: the quantized ones of `work` if it is Q1_0, else the float32 `x`.

    The matrix `following` comes next, so that its weights are on their way when the last of this one are used.
    """
    first, last = _share(matrix[NUM_ROWS], _ROW_GRANULE, num_threads, thread)
    address, row_bytes, num_columns = matrix[ADDRESS], matrix[ROW_BYTES], matrix[NUM_COLUMNS]
    if matrix[TYPE] == _Q1_0:
        num_blocks = num_columns // BLOCK_COLUMNS
        first_following, _ = _share(following[NUM_ROWS], _ROW_GRANULE, num_threads, thread)
        ahead = following[ADDRESS] + first_following * following[ROW_BYTES]
        q1_0_matmul(
            address, row_bytes, num_blocks, first, last,
            work.activations, num_tokens, work.tables[thread], work.sums[thread], out, accumulate, ahead,
        )  # fmt: skip
    else:
        dense_matmul(address, matrix[TYPE], row_bytes, first, last, x, num_columns, num_tokens, out, accumulate)


@inlined_part
def _gate(num_tokens, work, num_threads, thread):
    """Apply SwiGLU to the columns that this thread has just computed."""
    first, last = _share(work.gate.shape[1], _ROW_GRANULE, num_threads, thread)
    if first == last:
        return
    for token in range(num_tokens):
        gate, up = work.gate[token, first:last], work.up[token, first:last]
        silu_multiply(gate.ctypes.data, up.ctypes.data, gate.size)
