"""A small product on the device against NumPy: the GPU, the driver and the code fit together, or they do not."""

from __future__ import annotations

import numpy as np

from bonsai_edge.formats.ggml_types import GGMLType, dequantize, pack_q1_0
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_cuda.driver import Driver, Launch
from bonsai_edge_cuda.weights import upload_matrix

_ROWS, _COLUMNS, _EPS = 72, 384, 1e-6  # the last tile is padded
_TOLERANCE = 0.02  # of the largest result: activations are rounded to 8 bits


def smoke_test_failure(driver: Driver) -> str | None:
    """Multiply a random matrix with a normalized vector; return what is wrong with the result, None if nothing is."""
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (_ROWS, _COLUMNS)).astype(bool)
    scales = rng.uniform(0.5, 1.5, (_ROWS, _COLUMNS // GGMLType.Q1_0.block_elements)).astype(np.float16)
    tensor = QuantizedTensor("smoke", GGMLType.Q1_0, _COLUMNS, pack_q1_0(signs, scales))
    x, norm = rng.standard_normal(_COLUMNS).astype(np.float32), np.ones(_COLUMNS, np.float32)
    found = _product(driver, tensor, x, norm)
    expected = dequantize(tensor.packed, tensor.ggml_type) @ (x / np.sqrt(np.mean(x * x) + np.float32(_EPS)))
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    return None if error <= _TOLERANCE else f"a product is wrong by {error:.1%} of its largest value"


def _product(driver: Driver, tensor: QuantizedTensor, x: np.ndarray, norm: np.ndarray) -> np.ndarray:
    matrix = upload_matrix(driver, tensor)
    x_address, norm_address = driver.allocate(x.nbytes), driver.allocate(norm.nbytes)
    out_address = driver.allocate(_ROWS * 4)
    driver.upload(x_address, x)
    driver.upload(norm_address, norm)
    arguments = (
        *(x_address, 0, np.int32(1), norm_address, np.float32(_EPS)),
        *(matrix.signs, matrix.scales, out_address, np.int32(_ROWS), np.int32(matrix.num_blocks)),
    )
    driver.launch(Launch("project_c1", (matrix.num_tiles, 1, 1), 256, arguments))
    return driver.download(out_address, _ROWS * 4).view(np.float32)
