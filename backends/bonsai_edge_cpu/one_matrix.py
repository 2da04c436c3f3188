"""One matrix times a few tokens, outside of any model: what a smoke test checks and a throughput is measured with."""

from __future__ import annotations

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernels.q1_0 import arrange, q1_0_matmul
from bonsai_edge_cpu.kernels.quantization import quantize


@compiled
def multiply(packed, x, activations, tables, sums, out, repetitions):
    """Set out float32 (num_tokens, num_rows) to x float32 (num_tokens, num_columns) times a Q1_0 matrix, repeatedly.

    packed: uint8 (num_rows, row_bytes); activations, tables and sums: memory for so many tokens and columns.
    """
    num_tokens, num_blocks = x.shape[0], activations.quants.shape[1]
    for token in range(num_tokens):
        quantize(x, token, 0, num_blocks, activations)
    arrange(activations, num_tokens, 0, num_blocks)
    address, row_bytes = packed.ctypes.data, packed.shape[1]
    for _ in range(repetitions):
        q1_0_matmul(
            address, row_bytes, num_blocks, 0, packed.shape[0], activations, num_tokens, tables, sums, out, 0, address
        )
