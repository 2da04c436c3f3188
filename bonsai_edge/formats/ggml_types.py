"""The GGML tensor types that this package reads: ids, block sizes, and their NumPy dequantization.

The layouts are those of llama.cpp's `ggml-common.h`; `dequantize` is the definition that kernels are tested against.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt


class GGMLType(IntEnum):
    """Type ids as they stand in GGUF files."""

    F32 = 0
    F16 = 1
    Q8_0 = 8
    BF16 = 30
    Q1_0 = 41

    @property
    def block_elements(self) -> int:
        """Consecutive elements of a row that are stored together."""
        return _BLOCKS[self][0]

    @property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        return _BLOCKS[self][1]

    def row_bytes(self, num_columns: int) -> int:
        """Bytes of a row; `num_columns` is a multiple of `block_elements`."""
        return num_columns // self.block_elements * self.block_bytes


_BLOCKS = {
    GGMLType.F32: (1, 4),
    GGMLType.F16: (1, 2),
    GGMLType.Q8_0: (32, 34),  # float16 scale, 32 int8
    GGMLType.BF16: (1, 2),
    GGMLType.Q1_0: (128, 18),  # float16 scale, 128 sign bits
}


def dequantize(packed: npt.NDArray[np.uint8], ggml_type: GGMLType) -> npt.NDArray[np.float32]:
    """Expand packed rows, uint8 (num_rows, row_bytes), to float32 (num_rows, num_columns)."""
    num_rows = packed.shape[0]
    if ggml_type is GGMLType.F32:
        return np.ascontiguousarray(packed).view("<f4").astype(np.float32)
    if ggml_type is GGMLType.F16:
        return np.ascontiguousarray(packed).view("<f2").astype(np.float32)
    if ggml_type is GGMLType.BF16:
        return (np.ascontiguousarray(packed).view("<u2").astype(np.uint32) << 16).view(np.float32)
    blocks = packed.reshape(num_rows, -1, ggml_type.block_bytes)
    scales = np.ascontiguousarray(blocks[:, :, :2]).view("<f2").astype(np.float32)
    if ggml_type is GGMLType.Q8_0:
        values = np.ascontiguousarray(blocks[:, :, 2:]).view(np.int8).astype(np.float32)
    else:
        # Bit j of the 128 lies in byte j // 8, least significant first; 1 is +scale, 0 is -scale.
        bits = np.unpackbits(blocks[:, :, 2:], axis=2, bitorder="little")
        values = bits.astype(np.float32) * 2 - 1
    return (values * scales).reshape(num_rows, -1)


def pack_q1_0(positive: npt.NDArray[np.bool_], scales: npt.NDArray[np.float16]) -> npt.NDArray[np.uint8]:
    """Pack signs, bool (num_rows, num_columns), and scales, (num_rows, num_columns / 128): the inverse of `dequantize`.

    Returns uint8 (num_rows, row_bytes).
    """
    num_rows, num_blocks = scales.shape
    blocks = np.empty((num_rows, num_blocks, GGMLType.Q1_0.block_bytes), np.uint8)
    blocks[:, :, :2] = scales.astype("<f2", copy=False)[:, :, None].view(np.uint8)
    blocks[:, :, 2:] = np.packbits(positive.reshape(num_rows, num_blocks, -1), axis=2, bitorder="little")
    return blocks.reshape(num_rows, -1)
