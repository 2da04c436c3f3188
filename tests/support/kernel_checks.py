"""Checks of the CPU kernels against NumPy, for whatever instruction set this process has selected.

`python kernel_checks.py` runs them all, so that a test can run them for another instruction set in a child process.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, quants

from bonsai_edge.cpu_step.workspace import Activations, make_activations, make_sums, make_tables
from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge.reference import silu
from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.emit import F32, load, store, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.activation import silu_multiply
from bonsai_edge_cpu.kernels.dense import dense_matmul, dot_half, emit_store_half, load_half
from bonsai_edge_cpu.kernels.embedding import embed
from bonsai_edge_cpu.kernels.exponential import emit_exp
from bonsai_edge_cpu.kernels.q1_0 import arrange, q1_0_matmul
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS, quantize
from python_calls import callable_from_python

COLUMNS = 8 * np.arange(16) + np.arange(8)[:, None]
"""The columns of a block in the order in which its quants are stored, (8 planes, 16)."""

Floats = npt.NDArray[np.float32]

_q1_0_matmul, _dense_matmul, _embed = map(callable_from_python, (q1_0_matmul, dense_matmul, embed))


@compiled
def _quantize_rows(x, activations):  # type: ignore[no-untyped-def]
    for token in range(x.shape[0]):
        quantize(x, token, 0, x.shape[1] // 128, activations)
    arrange(activations, x.shape[0], 0, x.shape[1] // 128)


def quantize_rows(x: Floats) -> Activations:
    """Quantize float32 (num_tokens, num_columns) as the kernels do."""
    activations = make_activations(x.shape[0], x.shape[1] // 128, TABLE_TOKENS, selected_isa().spare_tiles)
    _quantize_rows(x, activations)
    per_row = (activations.quants, activations.scales, activations.negative_sums)
    return Activations(*(array[: x.shape[0]] for array in per_row), activations.columns, activations.column_scales)


def dequantize_rows(activations: Activations) -> npt.NDArray[np.float64]:
    """Return the numbers that the quants stand for, (num_tokens, num_columns)."""
    num_tokens = len(activations.quants)
    x = np.zeros((num_tokens, activations.quants.shape[1], 128), np.float64)
    x[:, :, COLUMNS] = activations.quants.reshape(num_tokens, -1, 8, 16)
    return (x.reshape(*x.shape[:2], 4, 32) * activations.scales[..., None]).reshape(num_tokens, -1)


def random_q1_0(rng: np.random.Generator, num_rows: int, num_columns: int) -> npt.NDArray[np.uint8]:
    """Return packed rows with random signs and scales."""
    blocks = rng.integers(0, 256, (num_rows, num_columns // 128, 18), dtype=np.uint8)
    blocks[:, :, :2] = rng.uniform(0.01, 0.02, (*blocks.shape[:2], 1)).astype("<f2").view(np.uint8)
    return blocks.reshape(num_rows, -1)


def multiply(
    packed: npt.NDArray[np.uint8], activations: Activations, first: int, last: int, out: Floats, accumulate: int = 0
) -> Floats:
    """Multiply rows first … last - 1 into the same columns of out (num_tokens, num_rows)."""
    num_blocks = packed.shape[1] // 18
    scratch = make_tables(1, TABLE_TOKENS)[0], make_sums(1, TABLE_TOKENS)[0]
    address = packed.ctypes.data
    _q1_0_matmul(
        address, packed.shape[1], num_blocks, first, last, activations, len(out), *scratch, out, accumulate, address
    )
    return out


def check_quantization() -> None:
    """Scales are the peak of 32 columns over 127, quants the nearest integers, sums exact; zeros stay zeros."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((TABLE_TOKENS, 256)).astype(np.float32)
    x[1, :128] = 0
    x[2, 5] = -300
    activations = quantize_rows(x)
    groups = x.reshape(TABLE_TOKENS, 2, 4, 32)
    np.testing.assert_allclose(activations.scales, np.abs(groups).max(axis=-1) / 127, rtol=1e-6)
    error = np.abs(dequantize_rows(activations).reshape(groups.shape) - groups)
    assert (error <= 0.5001 * activations.scales[..., None]).all()
    quants_ = np.zeros((TABLE_TOKENS, 2, 128), np.int32)
    quants_[:, :, COLUMNS] = activations.quants.reshape(TABLE_TOKENS, 2, 8, 16)
    np.testing.assert_array_equal(activations.negative_sums, -quants_.reshape(TABLE_TOKENS, 2, 4, 32).sum(axis=-1))
    np.testing.assert_array_equal(activations.columns[0].transpose(2, 0, 1), quants_)


def check_q1_0_matmul() -> None:
    """Every row and token agrees with NumPy on the same quantized activations, whatever kernel it falls to."""
    rng = np.random.default_rng(1)
    for num_rows, num_columns, num_tokens in ((1, 128, 1), (3, 256, 2), (16, 384, 5), (37, 1024, 11), (70, 640, 75)):
        packed = random_q1_0(rng, num_rows, num_columns)
        activations = quantize_rows(rng.standard_normal((num_tokens, num_columns)).astype(np.float32))
        expected = dequantize_rows(activations) @ dequantize(packed, GGMLType.Q1_0).T.astype(np.float64)
        out = multiply(packed, activations, 0, num_rows, np.full((num_tokens, num_rows), np.nan, np.float32))
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def check_q1_0_matmul_is_independent_of_tiling() -> None:
    """A product is the same to the last bit alone, in a batch of any size, and with the rows split among threads."""
    rng = np.random.default_rng(2)
    packed = random_q1_0(rng, 43, 512)
    x = rng.standard_normal((71, 512)).astype(np.float32)
    alone = [multiply(packed, quantize_rows(row[None]), 0, 43, np.zeros((1, 43), np.float32))[0] for row in x]
    for num_tokens in (2, 3, 4, 7, 12, 31, 32, 33, 71):
        activations = quantize_rows(x[:num_tokens])
        batch = multiply(packed, activations, 0, 43, np.full((num_tokens, 43), np.nan, np.float32))
        np.testing.assert_array_equal(batch, alone[:num_tokens])
        split = np.full((num_tokens, 43), np.nan, np.float32)
        for first, last in ((0, 5), (5, 16), (16, 43)):
            multiply(packed, activations, first, last, split)
        np.testing.assert_array_equal(split, batch)


def check_q1_0_matmul_accumulates() -> None:
    """With `accumulate` the product is added to what is there, and nothing beyond it is touched."""
    rng = np.random.default_rng(3)
    packed = random_q1_0(rng, 6, 128)
    for num_tokens in (1, 5, 20):
        activations = quantize_rows(rng.standard_normal((num_tokens, 128)).astype(np.float32))
        product = multiply(packed, activations, 0, 6, np.zeros((num_tokens, 6), np.float32))
        total = np.full((num_tokens, 9), 3.0, np.float32)
        multiply(packed, activations, 1, 5, total, accumulate=1)
        np.testing.assert_array_equal(total[:, 1:5], 3.0 + product[:, 1:5])
        assert (np.delete(total, np.s_[1:5], axis=1) == 3.0).all()


def check_dense_types() -> None:
    """Float and Q8_0 weights agree with their dequantized form, in products and as embeddings."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 160)).astype(np.float32)
    weights = rng.standard_normal((7, 160)).astype(np.float32)
    for ggml_type in (GGMLType.F32, GGMLType.F16, GGMLType.BF16, GGMLType.Q8_0):
        packed = quants.quantize(weights, GGMLQuantizationType(ggml_type.value)).view(np.uint8).reshape(7, -1)
        expected = dequantize(packed, ggml_type)
        out = np.zeros((3, 7), np.float32)
        _dense_matmul(packed.ctypes.data, ggml_type.value, packed.shape[1], 0, 7, x, 160, 3, out, 0)
        np.testing.assert_allclose(out, x @ expected.T, rtol=1e-4, atol=1e-4)
        _check_embedding(packed, ggml_type, expected)
    packed = random_q1_0(rng, 7, 256)
    _check_embedding(packed, GGMLType.Q1_0, dequantize(packed, GGMLType.Q1_0))


def _check_embedding(packed: npt.NDArray[np.uint8], ggml_type: GGMLType, expected: Floats) -> None:
    record = np.array([packed.ctypes.data, ggml_type, packed.shape[1], *expected.shape], np.int64)
    token_ids = np.array([6, 0, 3], np.int32)
    out = np.zeros((3, expected.shape[1]), np.float32)
    for thread in range(2):
        _embed(record, token_ids, out, thread, 2)
    np.testing.assert_array_equal(out, expected[token_ids])


_store_half = make_intrinsic(emit_store_half)


@compiled
def _store_halves(x, out):  # type: ignore[no-untyped-def]
    _store_half(x.ctypes.data, out.ctypes.data, x.size)


def _emit_read_half(builder, halves, out):  # type: ignore[no-untyped-def]
    store(builder, load_half(builder, halves), out, align=4)


_read_half = make_intrinsic(_emit_read_half)


@compiled
def _read_halves(halves, out):  # type: ignore[no-untyped-def]
    for start in range(0, halves.size, 16):
        _read_half(halves[start:].ctypes.data, out[start:].ctypes.data)


@compiled
def _dot_halves(halves, x):  # type: ignore[no-untyped-def]
    return dot_half(halves.ctypes.data, x.ctypes.data, x.size)


def check_half_conversions() -> None:
    """Every finite float16 is read exactly; float32 is rounded to float16 as IEEE says."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    read = np.zeros(halves.size, np.float32)
    _read_halves(halves.view(np.uint16), read)
    np.testing.assert_array_equal(read, halves.astype(np.float32))
    rng = np.random.default_rng(5)
    x = (rng.standard_normal(4096) * 10.0 ** rng.uniform(-9, 5, 4096)).astype(np.float32)
    ties = (halves[:4080].astype(np.float32) + halves[1:4081].astype(np.float32)) / 2
    extremes = np.array([0, -0.0, 65504, 65519, 65520, 1e9, -1e9, 6e-8, 2.9e-8, 5e-45, 1, 2, 3, 4, 5, 6], np.float32)
    x = np.concatenate([x, ties, extremes])
    stored = np.zeros(x.size, np.uint16)
    _store_halves(x, stored)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(stored, x.astype(np.float16).view(np.uint16))
    key, query = rng.standard_normal(128).astype(np.float16), rng.standard_normal(128).astype(np.float32)
    products = key.astype(np.float64) * query
    # Terms of both signs nearly cancel here, so that the error is to be judged by their magnitudes.
    tolerance = 1e-7 * float(np.abs(products).sum())
    np.testing.assert_allclose(_dot_halves(key.view(np.uint16), query), products.sum(), rtol=0, atol=tolerance)


def _emit_exponential(builder, x, out):  # type: ignore[no-untyped-def]
    store(builder, emit_exp(builder, load(builder, x, vector(F32, 16))), out)


_exponential = make_intrinsic(_emit_exponential)


@compiled
def _exponentials(x, out):  # type: ignore[no-untyped-def]
    for start in range(0, x.size, 16):
        _exponential(x[start:].ctypes.data, out[start:].ctypes.data)


@compiled
def _silu_multiply(gate, up):  # type: ignore[no-untyped-def]
    silu_multiply(gate.ctypes.data, up.ctypes.data, gate.size)


def check_exponential_and_silu() -> None:
    """The exponential is good to three units in the last place; SiLU follows."""
    x = np.linspace(-86.9, 87.9, 1 << 14, dtype=np.float32)
    out = np.zeros_like(x)
    _exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=4e-7)
    gate = np.linspace(-100, 100, 1 << 12, dtype=np.float32)
    up = np.full_like(gate, 2.0)
    expected = 2 * silu(gate)
    _silu_multiply(gate, up)
    np.testing.assert_allclose(gate, expected, rtol=2e-6, atol=1e-30)


CHECKS = (
    check_quantization,
    check_q1_0_matmul,
    check_q1_0_matmul_is_independent_of_tiling,
    check_q1_0_matmul_accumulates,
    check_dense_types,
    check_half_conversions,
    check_exponential_and_silu,
)

if __name__ == "__main__":
    for check in CHECKS:
        check()
        print("passed", check.__name__)
