"""RMSNorm (arXiv:1910.07467) of hidden states, followed by quantization."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS, WIDTH
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import F32, I64, constant, counted_loop, load, splat, store, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.kernels.dense import dot_float
from bonsai_edge_cpu.kernels.quantization import quantize

_FLOATS = vector(F32, WIDTH)


def _emit_scale(
    builder: ir.IRBuilder, x: ir.Value, factor: ir.Value, weight: ir.Value, count: ir.Value, out: ir.Value
) -> None:
    factors = splat(builder, factor, WIDTH)
    with counted_loop(builder, builder.sdiv(count, constant(I64, WIDTH)), []) as loop:
        offset = builder.mul(loop.index, constant(I64, 4 * WIDTH))
        values, weights = (load(builder, builder.add(at, offset), _FLOATS, align=4) for at in (x, weight))
        store(builder, builder.fmul(builder.fmul(values, factors), weights), builder.add(out, offset), align=4)


_scale = make_intrinsic(_emit_scale)
"""_scale(x, factor, weight, count, out): out = x * factor * weight, float32 by address, count a multiple of 16."""


@compiled_part
def inverse_rms(x, eps):
    """Return 1 / √(mean(x²) + eps) of a float32 vector."""
    total = dot_float(x.ctypes.data, x.ctypes.data, x.size)
    return np.float32(1.0) / np.sqrt(total / np.float32(x.size) + eps)


@compiled_part
def norm_and_quantize(x, rows, weight, eps, first_block, last_block, work):
    """Normalize some blocks of 128 columns of the given rows of x (max_tokens, hidden).

    Row `rows[i]` of x goes to row i of work.floats, and quantized to row i of work.activations.
    """
    first_column = first_block * BLOCK_COLUMNS
    num_columns = last_block * BLOCK_COLUMNS - first_column
    if num_columns == 0:
        return
    for token, row in enumerate(rows):
        _scale(
            x[row, first_column:].ctypes.data,
            inverse_rms(x[row], eps),
            weight[first_column:].ctypes.data,
            num_columns,
            work.floats[token, first_column:].ctypes.data,
        )
        quantize(work.floats, token, first_block, last_block, work.activations)
