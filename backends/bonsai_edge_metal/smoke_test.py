"""Proves on this machine that MLX multiplies by 1-bit weights as it should."""

from __future__ import annotations

from functools import cache

import mlx.core as mx
import numpy as np

from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_metal.memory import default_dtype
from bonsai_edge_metal.weights import stack_matrices

_NUM_ROWS, _NUM_COLUMNS = 64, 512  # the fewest that MLX's fast kernel for one token takes
_PROMPT_TOKENS = 40  # takes the kernel for many


@cache
def smoke_test_failure() -> str | None:
    """Multiply a small matrix by one token and by a prompt, which take different kernels; return what went wrong."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (_NUM_ROWS, _NUM_COLUMNS // 128, 18), dtype=np.uint8)
    packed[:, :, :2] = np.array([0.5], "<f2").view(np.uint8)
    packed = packed.reshape(_NUM_ROWS, -1)
    matrix = stack_matrices([QuantizedTensor("smoke test", GGMLType.Q1_0, _NUM_COLUMNS, packed)], default_dtype())
    for num_tokens in (1, _PROMPT_TOKENS):
        x = rng.integers(-2, 3, (num_tokens, _NUM_COLUMNS)).astype(np.float32)  # so that the result is exact
        found = np.array(matrix.multiply(mx.array(x).astype(default_dtype())).astype(mx.float32))
        expected = x @ dequantize(packed, GGMLType.Q1_0).T
        if not np.array_equal(found, expected):
            return (
                f"the product for {num_tokens} tokens begins with {found[0, :4].tolist()}, expected "
                f"{expected[0, :4].tolist()}."
            )
    return None
