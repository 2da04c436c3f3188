"""RMSNorm (arXiv:1910.07467) of hidden states, followed by quantization."""

from __future__ import annotations

import numpy as np

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernels.dense import dot_float
from bonsai_edge_cpu.kernels.quantization import BLOCK_COLUMNS, quantize


@compiled
def inverse_rms(x, eps):
    """Return 1 / √(mean(x²) + eps) of a float32 vector."""
    total = dot_float(x.ctypes.data, x.ctypes.data, x.size)
    return np.float32(1.0) / np.sqrt(total / np.float32(x.size) + eps)


@compiled
def norm_and_quantize(x, rows, weight, eps, first_block, last_block, work):
    """Normalize some blocks of 128 columns of the given rows of x (max_tokens, hidden).

    Row `rows[i]` of x goes to row i of work.floats, and quantized to row i of work.activations.
    """
    for token, row in enumerate(rows):
        factor = inverse_rms(x[row], eps)
        for column in range(first_block * BLOCK_COLUMNS, last_block * BLOCK_COLUMNS):
            work.floats[token, column] = x[row, column] * factor * weight[column]
        quantize(work.floats, token, first_block, last_block, work.activations)
