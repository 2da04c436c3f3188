from __future__ import annotations

import struct

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from bonsai_edge.formats.ggml_types import GGMLType, dequantize


@pytest.mark.parametrize("ggml_type", GGMLType, ids=str)
def test_ids_and_sizes_are_those_of_ggml(ggml_type: GGMLType) -> None:
    theirs = GGMLQuantizationType[ggml_type.name]
    assert theirs.value == ggml_type.value
    assert GGML_QUANT_SIZES[theirs] == (ggml_type.block_elements, ggml_type.block_bytes)
    assert ggml_type.row_bytes(256) == 256 // ggml_type.block_elements * ggml_type.block_bytes


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "Q8_0"])
def test_dequantize_agrees_with_gguf_py(name: str) -> None:
    weights = np.random.default_rng(0).standard_normal((5, 256)).astype(np.float32)
    theirs = GGMLQuantizationType[name]
    packed = np.ascontiguousarray(quants.quantize(weights, theirs)).view(np.uint8)
    result = dequantize(packed, GGMLType[name])
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, quants.dequantize(packed, theirs).reshape(weights.shape))
    np.testing.assert_allclose(result, weights, atol=0.02)


def test_q1_0_block_by_hand() -> None:
    """Bit j of byte i is the sign of weight 8 i + j, least significant bit first; a set bit is +scale."""
    block = struct.pack("<e", 0.5) + bytes([0b0000_0001, 0b1000_0000, 0xFF]) + bytes(13)
    expected = np.full(128, -0.5, np.float32)
    expected[[0, 15, *range(16, 24)]] = 0.5
    np.testing.assert_array_equal(dequantize(np.frombuffer(block, np.uint8)[None], GGMLType.Q1_0), expected[None])


def test_q1_0_blocks_of_a_row_have_their_own_scales() -> None:
    row = struct.pack("<e", 2.0) + b"\xff" * 16 + struct.pack("<e", -3.0) + b"\xff" * 16
    packed = np.frombuffer(row * 2, np.uint8).reshape(2, 36)
    expected = np.repeat(np.array([[2.0, -3.0]] * 2, np.float32), 128, axis=1)
    np.testing.assert_array_equal(dequantize(packed, GGMLType.Q1_0), expected)


@pytest.mark.parametrize("ggml_type", GGMLType, ids=str)
def test_rows_may_lie_apart(ggml_type: GGMLType) -> None:
    """A slice of rows or columns of a file's view is not contiguous."""
    rng = np.random.default_rng(1)
    row_bytes = ggml_type.row_bytes(256)
    scattered = np.zeros((6, row_bytes + 6), np.uint8)
    scattered[:, :row_bytes] = rng.integers(0, 60, (6, row_bytes))
    view = scattered[::2, :row_bytes]
    np.testing.assert_array_equal(dequantize(view, ggml_type), dequantize(view.copy(), ggml_type))
