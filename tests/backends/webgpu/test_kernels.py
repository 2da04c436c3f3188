"""Each kernel against NumPy, on Mesa's llvmpipe."""

import numpy as np
import pytest

from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge.reference import rms_norm, silu

pytest.importorskip("wgpu", reason="wgpu needs Python 3.11")

from bonsai_edge_webgpu.gpu import Launch
from bonsai_edge_webgpu.smoke_test import multiply

COLUMNS = np.arange(8)[:, None] + 8 * np.arange(4)
"""The columns of a group of 32 in the order in which its quants are stored, (8 words, 4 bytes)."""


def random_q1_0(rng, num_rows, num_columns):
    blocks = rng.integers(0, 256, (num_rows, num_columns // 128, 18), dtype=np.uint8)
    blocks[:, :, :2] = rng.uniform(0.01, 0.02, (*blocks.shape[:2], 1)).astype("<f2").view(np.uint8)
    return blocks.reshape(num_rows, -1)


def rounded(x):
    """Return x as it is after rounding to int8 in groups of 32, float64."""
    groups = x.reshape(len(x), -1, 32)
    scales = np.abs(groups).max(axis=-1, keepdims=True) / np.float32(127)
    return (np.rint(groups / np.where(scales == 0, 1, scales)) * scales.astype(np.float64)).reshape(x.shape)


def quantize(gpu, parts, width, x, *more, rows):
    """Run a kernel that rounds rows; return the numbers that come of it, and the groups' second numbers."""
    activations = gpu.buffer(rows * width), gpu.buffer(rows * width // 4)
    kernel, buffers, workgroups = more
    bound = gpu.kernel(parts, kernel[0], WIDTH=width, **kernel[1]).bind(*activations, gpu.upload(x), *buffers)
    gpu.run([Launch(bound, (workgroups, 1))])
    stored = gpu.read(activations[0], rows * width).view(np.int8).reshape(-1, 8, 4)
    scales = gpu.read(activations[1], rows * width // 4).view(np.float32).reshape(-1, 2)
    quants = np.zeros((len(stored), 32), np.int64)
    quants[:, COLUMNS] = stored
    np.testing.assert_allclose(scales[:, 1], -scales[:, 0] / 2 * quants.sum(axis=1), rtol=1e-6)
    return (quants * scales[:, :1].astype(np.float64) / 2).reshape(rows, width)


def test_rows_are_rounded_to_int8_in_groups_of_32(gpu) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((5, 640)) * 10.0 ** rng.uniform(-4, 4, (5, 1))).astype(np.float32)
    x[1, :32] = 0
    count = gpu.upload(np.array([5], np.uint32))
    found = quantize(gpu, ["quantized_group", "each_group", "quantize"], 640, x, ("wwru", {}), [count], 2, rows=5)
    step = np.abs(x.reshape(5, -1, 32)).max(axis=-1, keepdims=True) / 127
    assert (np.abs(found - x).reshape(step.shape[0], -1, 32) <= 0.5001 * step).all()


def test_norm_is_that_of_the_reference_for_the_rows_that_are_chosen(gpu) -> None:
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((6, 384)).astype(np.float32), rng.standard_normal(384).astype(np.float32)
    chosen = np.array([4, 0, 4], np.uint32)
    buffers = [gpu.upload(weight), gpu.upload(chosen)]
    access = ("wwrrr", {"EPSILON": 1e-6})
    found = quantize(gpu, ["quantized_group", "workgroup_sum", "norm"], 384, x, access, buffers, 3, rows=3)
    expected = rms_norm(x[chosen], weight, 1e-6)
    step = np.abs(expected.reshape(3, -1, 32)).max(axis=-1, keepdims=True) / 127
    assert (np.abs(found - expected).reshape(3, -1, 32) <= 0.501 * step).all()


def test_swiglu_is_that_of_the_reference(gpu) -> None:
    gate, up = np.random.default_rng(2).standard_normal((2, 3, 256)).astype(np.float32) * 10
    gate[0, 0] = -200.0  # exp(200) is infinity, and the result 0
    count = gpu.upload(np.array([3], np.uint32))
    x = np.concatenate([gate, up], axis=1)
    found = quantize(gpu, ["quantized_group", "each_group", "swiglu"], 256, x, ("wwru", {}), [count], 1, rows=3)
    expected = silu(gate) * up
    step = np.abs(expected.reshape(3, -1, 32)).max(axis=-1, keepdims=True) / 127
    assert (np.abs(found - expected).reshape(3, -1, 32) <= 0.501 * step).all()


@pytest.mark.parametrize(
    ("num_rows", "num_columns", "num_tokens"), [(1, 128, 1), (3, 256, 2), (16, 384, 5), (37, 1152, 11), (70, 640, 9)]
)
def test_products_are_those_of_the_rounded_activations(gpu, num_rows, num_columns, num_tokens) -> None:
    rng = np.random.default_rng(3)
    packed = random_q1_0(rng, num_rows, num_columns)
    x = rng.standard_normal((num_tokens, num_columns)).astype(np.float32)
    expected = rounded(x) @ dequantize(packed, GGMLType.Q1_0).T.astype(np.float64)
    found = multiply(gpu, packed, x)
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max() + 1e-6
    start = rng.standard_normal(found.shape).astype(np.float32)
    np.testing.assert_array_equal(multiply(gpu, packed, x, start), start + found)


def test_a_product_is_the_same_alone_and_with_others(gpu) -> None:
    rng = np.random.default_rng(4)
    packed, x = random_q1_0(rng, 43, 512), rng.standard_normal((9, 512)).astype(np.float32)
    together = multiply(gpu, packed, x)
    for row in range(9):
        np.testing.assert_array_equal(multiply(gpu, packed, x[row : row + 1])[0], together[row])
