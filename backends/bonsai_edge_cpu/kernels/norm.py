"""RMSNorm (arXiv:1910.07467): of hidden states, followed by quantization, and of heads, followed by RoPE."""

from __future__ import annotations

import numpy as np

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernels.dense import dot_float
from bonsai_edge_cpu.kernels.quantization import quantize_block

_BLOCK = 128


@compiled
def inverse_rms(x, eps):
    """Return 1 / √(mean(x²) + eps) of a float32 vector."""
    total = dot_float(x.ctypes.data, x.ctypes.data, x.size)
    return np.float32(1.0) / np.sqrt(total / np.float32(x.size) + eps)


@compiled
def norm_and_quantize(x, rows, weight, eps, first_block, last_block, work):
    """Normalize some blocks of 128 columns of the given rows of x (max_tokens, hidden).

    Row `rows[i]` of x goes to row i of work.floats, and quantized to work.quants, work.scales and work.negative_sums.
    """
    for token, row in enumerate(rows):
        factor = inverse_rms(x[row], eps)
        for column in range(first_block * _BLOCK, last_block * _BLOCK):
            work.floats[token, column] = x[row, column] * factor * weight[column]
        quantize(work.floats, token, first_block, last_block, work)


@compiled
def quantize(x, token, first_block, last_block, work):
    """Quantize some blocks of row `token` of x to the same row of work.quants, work.scales and work.negative_sums."""
    for block in range(first_block, last_block):
        quantize_block(
            x[token, block * _BLOCK :].ctypes.data,
            work.quants[token, block].ctypes.data,
            work.scales[token, block].ctypes.data,
            work.negative_sums[token, block].ctypes.data,
        )


@compiled
def norm_head(x, weight, eps, cos, sin):
    """Normalize a head, float32 (head_dim,), and rotate its pairs (i, i + head_dim / 2) in place.

    cos, sin float32 (head_dim // 2,).
    """
    factor = inverse_rms(x, eps)
    half = x.size // 2
    for i in range(half):
        first = x[i] * factor * weight[i]
        second = x[i + half] * factor * weight[i + half]
        x[i] = first * cos[i] - second * sin[i]
        x[i + half] = first * sin[i] + second * cos[i]
