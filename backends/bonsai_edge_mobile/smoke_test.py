"""Proves on this processor that the chosen variant's instructions exist and compute what they should."""

from __future__ import annotations

import numpy as np

from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge_mobile.library import Kernels

_NUM_ROWS = 5


def smoke_test_failure(kernels: Kernels) -> str | None:
    """Multiply a small matrix by one token, a few and a prompt, each another kernel; return what went wrong."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (_NUM_ROWS, 18), dtype=np.uint8)
    packed[:, :2] = np.array([0.5], "<f2").view(np.uint8)
    weights = dequantize(packed, GGMLType.Q1_0)
    for num_tokens in (1, 3, kernels.table_tokens):
        x = rng.integers(-127, 128, (num_tokens, 128)).astype(np.float32)
        x[:, ::32] = 127.0  # every group's scale is 1, so that the result is exact
        out, expected = kernels.multiply(packed, x), x @ weights.T
        if not np.allclose(out, expected, rtol=1e-5):
            return (
                f"the product for {num_tokens} tokens begins with {out[0].tolist()}, expected {expected[0].tolist()}."
            )
    return None
