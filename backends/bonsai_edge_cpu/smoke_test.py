"""Proves on this processor that the chosen instructions exist and compute what they should."""

from __future__ import annotations

from functools import cache

import numpy as np

from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernels.q1_0 import q1_0_matmul
from bonsai_edge_cpu.kernels.q1_0_tables import make_sums, make_tables
from bonsai_edge_cpu.kernels.quantization import make_activations, quantize

_NUM_ROWS = 5


@cache
def smoke_test_failure() -> str | None:
    """Multiply a small matrix; return what went wrong, or None."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (_NUM_ROWS, 18), dtype=np.uint8)
    packed[:, :2] = np.array([0.5], "<f2").view(np.uint8)
    x = rng.integers(-127, 128, 128).astype(np.float32)
    x[::32] = 127.0  # every group's scale is 1, so that the result is exact
    out = np.zeros((1, _NUM_ROWS), np.float32)
    _multiply(packed, x[np.newaxis], make_activations(1, 1), make_tables(1)[0], make_sums(1)[0], out)
    expected = dequantize(packed, GGMLType.Q1_0) @ x
    if not np.allclose(out[0], expected, rtol=1e-5):
        return f"a product is {out[0].tolist()}, expected {expected.tolist()}."
    return None


@compiled
def _multiply(packed, x, activations, tables, sums, out):
    quantize(x, 0, 0, 1, activations)
    address, row_bytes = packed.ctypes.data, packed.shape[1]
    q1_0_matmul(address, row_bytes, 1, 0, packed.shape[0], activations, 1, tables, sums, out, 0, address)
