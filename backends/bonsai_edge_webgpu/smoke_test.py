"""Proves on this GPU that its driver compiles the kernels and that a product is what it should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_webgpu.gpu import Gpu, Launch
from bonsai_edge_webgpu.product import Product
from bonsai_edge_webgpu.weights import upload_matrices

_NUM_ROWS, _NUM_COLUMNS, _TOKENS = 13, 1280, 3


def smoke_test_failure(gpu: Gpu) -> str | None:
    """Round three rows to int8 and multiply a small matrix by them; return what went wrong."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (_NUM_ROWS, _NUM_COLUMNS // 128, 18), dtype=np.uint8)
    packed[:, :, :2] = np.array([0.5], "<f2").view(np.uint8)
    packed = packed.reshape(_NUM_ROWS, -1)
    x = rng.integers(-127, 128, (_TOKENS, _NUM_COLUMNS)).astype(np.float32)
    x[:, ::32] = 127.0  # every group's scale is 1, so that the result is exact
    found, expected = multiply(gpu, packed, x), x @ dequantize(packed, GGMLType.Q1_0).T
    if np.array_equal(found, expected):
        return None
    return f"the product begins with {found[0, :4].tolist()}, expected {expected[0, :4].tolist()}."


def multiply(
    gpu: Gpu, packed: npt.NDArray[np.uint8], x: npt.NDArray[np.float32], start: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Return x, float32 (num_tokens, num_columns), times Q1_0 rows, (num_tokens, num_rows), added to `start`."""
    (num_tokens, num_columns), num_rows = x.shape, len(packed)
    matrix = upload_matrices(gpu, [QuantizedTensor("matrix", GGMLType.Q1_0, num_columns, packed)])
    count = gpu.upload(np.array([num_tokens], np.uint32))
    activations = gpu.buffer(x.size), gpu.buffer(x.size // 4)
    out = gpu.buffer(num_tokens * num_rows * 4) if start is None else gpu.upload(start)
    quantize = gpu.kernel(["quantized_group", "each_group", "quantize"], "wwru", WIDTH=num_columns)
    product = Product(gpu, matrix, out, activations, count, accumulate=start is not None)
    groups = Launch(quantize.bind(*activations, gpu.upload(x), count), (-(-x.size // 32 // 64), 1))
    gpu.run([groups, product.launch(num_tokens)])
    return gpu.read(out, num_tokens * num_rows * 4).view(np.float32).reshape(num_tokens, num_rows)
