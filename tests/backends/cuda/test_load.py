"""What brings weights to the device, on the emulated one."""

import numpy as np
import pytest

import cuda_oracle as oracle
from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from emulated_cuda import emulated_device

pytestmark = pytest.mark.usefixtures("compiler")


def repack(packed: np.ndarray, signs, scales, run: int, stride: int, offset: int) -> None:
    num_blocks = packed.shape[1] // 18
    grid = (-(-len(packed) * num_blocks // 256),)
    emulated_device().launch(
        "repack_q1_0", grid, 256, packed, signs, scales, len(packed), num_blocks, run, stride, offset
    )


def test_rows_of_several_matrices_become_tiles_of_one() -> None:
    packed = oracle.random_q1_0(np.random.default_rng(0), 70, 384)
    signs, scales = np.zeros((3, 3, 32, 4), np.uint32), np.zeros((3, 3, 32), np.float16)
    for first, last in ((0, 40), (40, 57), (57, 70)):
        repack(packed[first:last], signs, scales, last - first, 0, first)
    expected_signs, expected_scales = oracle.tiled(packed)
    np.testing.assert_array_equal(signs, expected_signs)
    np.testing.assert_array_equal(scales, expected_scales)


def test_gate_and_up_are_interleaved() -> None:
    packed = oracle.random_q1_0(np.random.default_rng(1), 96, 256)
    signs, scales = np.zeros((3, 2, 32, 4), np.uint32), np.zeros((3, 2, 32), np.float16)
    repack(packed[:48], signs, scales, 16, 32, 0)
    repack(packed[48:], signs, scales, 16, 32, 16)
    expected_signs, expected_scales = oracle.tiled(packed, interleaved=True)
    np.testing.assert_array_equal(signs, expected_signs)
    np.testing.assert_array_equal(scales, expected_scales)


def test_embeddings_are_the_rows_of_the_matrix() -> None:
    packed = oracle.random_q1_0(np.random.default_rng(2), 75, 256)
    signs, scales = oracle.tiled(packed)
    token_ids = np.array([74, 0, 31, 32, 9], np.int32)
    x = np.full((5, 256), np.nan, np.float32)
    emulated_device().launch("embed", (5,), 128, token_ids, signs, scales, x, 2)
    np.testing.assert_array_equal(x, dequantize(packed[token_ids], GGMLType.Q1_0))


def test_a_launch_that_the_driver_would_refuse_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no_such_kernel: No kernel has this name"):
        emulated_device().launch("no_such_kernel", (1,), 32)
    with pytest.raises(RuntimeError, match="another number of threads"):
        emulated_device().launch("embed", (1,), 64, *[None] * 4, 1)
    with pytest.raises(RuntimeError, match="embed takes 5 arguments, not 1"):
        emulated_device().launch("embed", (1,), 128, None)
