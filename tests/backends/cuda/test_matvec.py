"""Decode's matrix products: every kernel against NumPy, on the emulated device."""

import numpy as np
import pytest

import cuda_oracle as oracle
from bonsai_edge.reference import silu
from emulated_cuda import DotMethod, emulated_device

pytestmark = pytest.mark.usefixtures("compiler")

EPS = 1e-6
METHODS: tuple[DotMethod, ...] = ("bit planes", "dp4a")
SHAPES = ((32, 128, 1), (37, 384, 2), (70, 1152, 3), (64, 2304, 8))  # rows, columns, columns of activations


def columns_kernel(num_columns: int) -> int:
    return next(columns for columns in (1, 2, 4, 8) if columns >= num_columns)


def project(
    method: DotMethod, packed, x, norm, rows=None, columns: int | None = None, name: str = "project"
) -> np.ndarray:
    signs, scales = oracle.tiled(packed)
    count = len(x) if rows is None else len(rows)
    out = np.full((count, len(packed)), np.nan, np.float32)
    emulated_device(method).launch(
        f"{name}_c{columns or columns_kernel(count)}", (len(signs),), 256,
        x, rows, count, norm, EPS, signs, scales, out, len(packed), x.shape[1] // 128,
    )  # fmt: skip
    return out


def project_add(method: DotMethod, packed, x, out) -> None:
    signs, scales = oracle.tiled(packed)
    emulated_device(method).launch(
        f"project_add_c{columns_kernel(len(x))}", (len(signs),), 256,
        x, len(x), signs, scales, out, len(packed), x.shape[1] // 128,
    )  # fmt: skip


def random_input(rng: np.random.Generator, num_rows: int, num_columns: int) -> np.ndarray:
    """Heavy tails and magnitudes that differ by column, as hidden states have them."""
    x = rng.standard_t(3, (num_rows, num_columns)) * np.exp(rng.standard_normal(num_columns))
    return x.astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_is_numpys_to_the_last_bit_and_is_added(method, shape) -> None:
    num_rows, num_columns, count = shape
    rng = np.random.default_rng(num_columns)
    packed, x = oracle.random_q1_0(rng, num_rows, num_columns), random_input(rng, count, num_columns)
    out = rng.standard_normal((count, num_rows)).astype(np.float32)
    expected = out + oracle.product(packed, x)
    project_add(method, packed, x, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_normed_product_agrees_with_float64_on_rounded_activations(method) -> None:
    rng = np.random.default_rng(1)
    packed, x = oracle.random_q1_0(rng, 45, 1152), random_input(rng, 3, 1152)
    norm = rng.uniform(0.5, 1.5, 1152).astype(np.float32)
    expected = oracle.product(packed, x * norm) * oracle.rms_norm_factors(x, EPS)
    np.testing.assert_allclose(project(method, packed, x, norm), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_a_product_does_not_depend_on_the_columns_beside_it(method) -> None:
    rng = np.random.default_rng(2)
    packed, x = oracle.random_q1_0(rng, 33, 768), random_input(rng, 8, 768)
    norm = np.ones(768, np.float32)
    together = project(method, packed, x, norm)
    for column in range(8):
        np.testing.assert_array_equal(project(method, packed, x[column : column + 1], norm)[0], together[column])
    few = project(method, packed, x[:3], norm, columns=8)
    np.testing.assert_array_equal(few, together[:3])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_block_that_takes_several_tiles_computes_the_same(method, count) -> None:
    rng = np.random.default_rng(8)
    packed, x = oracle.random_q1_0(rng, 32 * 5 + 3, 640), random_input(rng, count, 640)
    norm = rng.uniform(0.5, 1.5, 640).astype(np.float32)
    together = project(method, packed, x, norm, name="project_head")
    np.testing.assert_array_equal(together, project(method, packed, x, norm))


def test_rows_are_gathered() -> None:
    rng = np.random.default_rng(3)
    packed, x = oracle.random_q1_0(rng, 32, 256), random_input(rng, 5, 256)
    norm = np.ones(256, np.float32)
    gathered = project("bit planes", packed, x, norm, rows=np.array([4, 1], np.int32))
    np.testing.assert_array_equal(gathered, project("bit planes", packed, x, norm)[[4, 1]])


@pytest.mark.parametrize("method", METHODS)
def test_gate_and_up_are_multiplied(method) -> None:
    rng = np.random.default_rng(4)
    num_rows, num_columns = 160, 384
    packed, x = oracle.random_q1_0(rng, num_rows, num_columns), random_input(rng, 2, num_columns)
    norm = rng.uniform(0.5, 1.5, num_columns).astype(np.float32)
    signs, scales = oracle.tiled(packed, interleaved=True)
    out = np.full((2, num_rows // 2), np.nan, np.float32)
    emulated_device(method).launch(
        "gate_up_c2", (len(signs),), 256, x, 2, norm, EPS, signs, scales, out, num_rows, num_columns // 128
    )
    product = (oracle.product(packed, x * norm) * oracle.rms_norm_factors(x, EPS)).astype(np.float32)
    gate, up = np.split(product, 2, axis=1)
    np.testing.assert_allclose(out, silu(gate) * up, rtol=2e-6, atol=1e-7)


def test_rounding_is_as_good_as_a_scale_for_each_32_columns() -> None:
    """llama.cpp's Q8_0 rounds to int8 in such groups; the whole multiples of a shared scale lose next to nothing."""
    x = random_input(np.random.default_rng(5), 16, 4096).astype(np.float64)
    groups = x.reshape(16, -1, 32)
    steps = np.abs(groups).max(axis=-1, keepdims=True) / 127
    q8_0 = (np.rint(groups / steps) * steps).reshape(x.shape)
    ours = oracle.QuantizedRows(x.astype(np.float32)).values
    assert np.linalg.norm(ours - x) < 1.02 * np.linalg.norm(q8_0 - x)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_a_number_reaches_the_result(broken) -> None:
    rng = np.random.default_rng(6)
    packed, x = oracle.random_q1_0(rng, 32, 256), random_input(rng, 2, 256)
    x[1, 77] = broken
    out = np.zeros((2, 32), np.float32)
    project_add("bit planes", packed, x, out)
    assert np.isfinite(out[0]).all()
    assert not np.isfinite(out[1]).any()


def test_zeros_give_zeros() -> None:
    out = np.zeros((1, 32), np.float32)
    project_add(
        "bit planes", oracle.random_q1_0(np.random.default_rng(7), 32, 256), np.zeros((1, 256), np.float32), out
    )
    assert not out.any()
