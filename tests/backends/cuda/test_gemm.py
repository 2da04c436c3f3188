"""Prefill's matrix products: every kernel against NumPy and against decode's, on the emulated device."""

import numpy as np
import pytest

import cuda_oracle as oracle
from bonsai_edge.reference import silu
from emulated_cuda import emulated_device

pytestmark = pytest.mark.usefixtures("compiler")

EPS = 1e-6
HEADER = np.dtype([("scale", "f4"), ("sum", "i4"), ("multipliers", "u2", 4)])
SHAPES = ((32, 128, 9), (300, 384, 65), (70, 1152, 70))  # rows, columns, tokens


def random_input(rng: np.random.Generator, num_rows: int, num_columns: int) -> np.ndarray:
    x = rng.standard_t(3, (num_rows, num_columns)) * np.exp(rng.standard_normal(num_columns))
    return x.astype(np.float32)


def quantize_rows(x, norm=None, rows=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    num_rows, num_blocks = len(x) if rows is None else len(rows), x.shape[1] // 128
    codes = np.zeros((num_rows, num_blocks, 4, 8), np.uint32)
    headers, factors = np.zeros((num_rows, num_blocks), HEADER), np.zeros(num_rows, np.float32)
    emulated_device().launch("quantize_rows", (num_rows,), 256, x, rows, norm, EPS, codes, headers, factors, num_blocks)
    return codes, headers, factors


def multiply(name: str, quantized, packed, out, interleaved: bool = False) -> None:
    codes, headers, factors = quantized
    signs, scales = oracle.tiled(packed, interleaved)
    grid = (-(-len(signs) // 4), -(-len(codes) // 64))
    emulated_device().launch(
        name, grid, 256,
        codes, headers, factors, len(codes), signs, scales, out, len(packed), codes.shape[1],
    )  # fmt: skip


def test_rows_are_rounded_as_numpy_rounds_them() -> None:
    x = random_input(np.random.default_rng(0), 5, 1152)
    codes, headers, factors = quantize_rows(x)
    expected = oracle.QuantizedRows(x)
    by_column = codes.view(np.int8).reshape(5, 9, 4, 8, 4).swapaxes(-1, -2).reshape(expected.codes.shape)
    np.testing.assert_array_equal(by_column, expected.codes)
    np.testing.assert_array_equal(headers["multipliers"], expected.multipliers)
    np.testing.assert_array_equal(headers["scale"], expected.scales)
    np.testing.assert_array_equal(headers["sum"], expected.whole.sum(axis=-1))
    np.testing.assert_array_equal(factors, np.ones(5, np.float32))


def test_rows_are_gathered_and_normed() -> None:
    rng = np.random.default_rng(1)
    x, norm = random_input(rng, 6, 512), rng.uniform(0.5, 1.5, 512).astype(np.float32)
    rows = np.array([5, 0, 2], np.int32)
    codes, _, factors = quantize_rows(x, norm, rows)
    np.testing.assert_array_equal(codes, quantize_rows(x * norm)[0][rows])
    np.testing.assert_allclose(factors, oracle.rms_norm_factors(x, EPS)[rows, 0], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_is_numpys_to_the_last_bit(shape) -> None:
    num_rows, num_columns, num_tokens = shape
    rng = np.random.default_rng(num_columns)
    packed, x = oracle.random_q1_0(rng, num_rows, num_columns), random_input(rng, num_tokens, num_columns)
    out = np.full((num_tokens, num_rows), np.nan, np.float32)
    multiply("gemm", quantize_rows(x), packed, out)
    expected = oracle.product(packed, x)
    np.testing.assert_array_equal(out, expected)
    before = rng.standard_normal(out.shape).astype(np.float32)
    added = before.copy()
    multiply("gemm_add", quantize_rows(x), packed, added)
    np.testing.assert_array_equal(added, before + expected)


def test_a_normed_product_has_the_bits_of_decode() -> None:
    rng = np.random.default_rng(2)
    packed, x = oracle.random_q1_0(rng, 130, 1152), random_input(rng, 9, 1152)
    norm = rng.uniform(0.5, 1.5, 1152).astype(np.float32)
    out = np.full((9, 130), np.nan, np.float32)
    multiply("gemm", quantize_rows(x, norm), packed, out)
    signs, scales = oracle.tiled(packed)
    alone = np.full((1, 130), np.nan, np.float32)
    for token in range(9):
        emulated_device().launch(
            "project_c1", (len(signs),), 256,
            x[token], None, 1, norm, EPS, signs, scales, alone, 130, 9,
        )  # fmt: skip
        np.testing.assert_array_equal(out[token], alone[0])


def test_gate_and_up_are_multiplied_with_the_bits_of_decode() -> None:
    rng = np.random.default_rng(3)
    packed, x = oracle.random_q1_0(rng, 320, 256), random_input(rng, 10, 256)
    norm = rng.uniform(0.5, 1.5, 256).astype(np.float32)
    out = np.full((10, 160), np.nan, np.float32)
    multiply("gemm_swiglu", quantize_rows(x, norm), packed, out, interleaved=True)
    product = (oracle.product(packed, x * norm) * oracle.rms_norm_factors(x, EPS)).astype(np.float32)
    gate, up = np.split(product, 2, axis=1)
    np.testing.assert_allclose(out, silu(gate) * up, rtol=2e-6, atol=1e-7)
    signs, scales = oracle.tiled(packed, interleaved=True)
    alone = np.full((8, 160), np.nan, np.float32)
    emulated_device().launch("gate_up_c8", (len(signs),), 256, x[:8], 8, norm, EPS, signs, scales, alone, 320, 2)
    np.testing.assert_array_equal(out[:8], alone)
