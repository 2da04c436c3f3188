"""Heads, KV cache and attention, on the emulated device against NumPy."""

import itertools

import numpy as np
import pytest

from bonsai_edge.kv_cache import PAGE_TOKENS, KVType, dequantize, quantize, round_to
from cuda_attention import AttentionCase

pytestmark = pytest.mark.usefixtures("compiler")

KV_TYPES = tuple(KVType)
HEADS = ((64, 4, 2), (128, 4, 1))  # head_dim, num_heads, num_kv_heads


def rows(*positions: int, sequences: tuple[int, ...] | None = None) -> tuple[np.ndarray, np.ndarray]:
    ids = range(len(positions)) if sequences is None else sequences
    return np.array(positions, np.int32), np.array(list(ids), np.int32)


@pytest.mark.parametrize("heads", HEADS, ids=str)
@pytest.mark.parametrize("kv_type", KV_TYPES, ids=lambda kv_type: kv_type.value)
def test_heads_are_normed_rotated_and_stored_as_the_kv_type_says(kv_type, heads) -> None:
    positions, sequence_ids = rows(33, 0, 95, 34, sequences=(0, 1, 1, 0))
    case = AttentionCase(kv_type, *heads, positions, sequence_ids)
    case.prepare_heads()
    q, k, v = case.prepared()
    exponents = q * np.float32(np.log2(np.e) / np.sqrt(case.head_dim))
    np.testing.assert_allclose(case.q.astype(np.float32), exponents, rtol=1e-3, atol=1e-6)
    for row, (position, sequence) in enumerate(zip(positions, sequence_ids, strict=True)):
        keys, values = case.cached(sequence, position + 1)
        np.testing.assert_array_equal(values[position], round_to(kv_type, v[row]))
        # Keys went through operations whose last bits may differ: within one step of the type.
        step = 1e-3 * np.abs(k[row]) if kv_type is KVType.F16 else step_of(kv_type, k[row])
        assert (np.abs(keys[position] - k[row]) <= step + 1e-6).all()


def step_of(kv_type: KVType, x: np.ndarray) -> np.ndarray:
    """Return half the distance of neighbouring numbers of each group, and a bit more."""
    codes, scales = quantize(kv_type, x)
    return 0.51 * np.abs(dequantize(kv_type, codes + 1, scales) - dequantize(kv_type, codes, scales))


def test_only_the_rows_of_the_step_are_written() -> None:
    case = AttentionCase(KVType.Q8, 64, 4, 2, *rows(40, -1, sequences=(0, 0)))
    case.prepare_heads()
    written = np.flatnonzero(case.pages.reshape(len(case.pages), -1).any(axis=1))
    np.testing.assert_array_equal(written, [case.page_tables[0, 40 // PAGE_TOKENS]])
    assert not case.pages[:, 0].any()  # the other layer


@pytest.mark.parametrize("heads", [*HEADS, (64, 16, 1), (128, 6, 2)], ids=str)
@pytest.mark.parametrize("kv_type", KV_TYPES, ids=lambda kv_type: kv_type.value)
def test_decode_attends_as_numpy_does(kv_type, heads) -> None:
    case = AttentionCase(kv_type, *heads, *rows(0, 31, 130, 300))
    case.fill_cache()
    case.prepare_heads()
    np.testing.assert_allclose(case.attend(num_splits=2), case.expected(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kv_type", KV_TYPES, ids=lambda kv_type: kv_type.value)
def test_attention_does_not_depend_on_how_the_work_is_split(kv_type) -> None:
    case = AttentionCase(kv_type, 64, 4, 2, *rows(383, 128))
    case.fill_cache()
    case.prepare_heads()
    alone = case.attend(num_splits=1)
    for num_splits in (2, 3, 8):
        np.testing.assert_array_equal(case.attend(num_splits), alone)


def test_rows_of_one_sequence_see_those_before_them_only() -> None:
    case = AttentionCase(KVType.F16, 64, 4, 2, *rows(126, 127, 128, 129, sequences=(0, 0, 0, 0)))
    case.fill_cache()
    case.prepare_heads()
    np.testing.assert_allclose(case.attend(num_splits=2), case.expected(), rtol=2e-3, atol=2e-3)


def test_a_row_that_is_not_used_is_left_out() -> None:
    case = AttentionCase(KVType.F16, 64, 4, 2, *rows(5, -1, sequences=(0, 0)))
    case.prepare_heads()
    assert np.isnan(case.attend(num_splits=2)[1]).all()


def test_what_lies_behind_the_last_position_is_not_read() -> None:
    """Pages are reused: what an earlier sequence left there may be anything."""
    case = AttentionCase(KVType.F16, 64, 4, 2, *rows(40))
    case.fill_cache()
    case.prepare_heads()
    before = case.attend(num_splits=1)
    page = case.pages[case.page_tables[0, 1], case.layer]
    page.view(np.float16).reshape(2, 2, PAGE_TOKENS, 64)[:, :, 9:] = np.nan
    np.testing.assert_array_equal(case.attend(num_splits=1), before)


@pytest.mark.parametrize(
    ("kv_type", "heads"),
    [*itertools.product(KV_TYPES, HEADS), (KVType.F16, (64, 16, 1)), (KVType.F16, (128, 6, 2))],
    ids=str,
)
def test_prefill_attends_as_numpy_does_and_has_the_bits_of_decode(kv_type, heads) -> None:
    positions = [*range(120, 141), *range(3), 260]
    sequences = (0,) * 21 + (1,) * 3 + (2,)
    case = AttentionCase(kv_type, *heads, *rows(*positions, sequences=sequences))
    case.fill_cache()
    case.prepare_heads()
    found = case.attend_rows()
    np.testing.assert_allclose(found, case.expected(), rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(found, case.attend(num_splits=2))
