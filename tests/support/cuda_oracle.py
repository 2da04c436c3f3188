"""What the CUDA kernels must compute, in NumPy: layouts, rounding of activations, and products of whole numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.ggml_types import GGMLType, dequantize, pack_q1_0

Floats = npt.NDArray[np.float32]
SEGMENTS, BLOCK_COLUMNS, GROUP_COLUMNS, TILE_ROWS = 8, 128, 32, 32


def random_q1_0(rng: np.random.Generator, num_rows: int, num_columns: int) -> npt.NDArray[np.uint8]:
    """Return random rows as they lie in a GGUF file."""
    scales = (rng.uniform(0.5, 1.5, (num_rows, num_columns // BLOCK_COLUMNS)) / np.sqrt(num_columns)).astype(np.float16)
    return pack_q1_0(rng.random((num_rows, num_columns)) < 0.5, scales)


def tiled(
    packed: npt.NDArray[np.uint8], interleaved: bool = False
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float16]]:
    """Return signs (tiles, blocks, 32, 4) and scales (tiles, blocks, 32) of GGUF rows; see `tiles.cuh`.

    `interleaved`: the rows are those of gate, then as many of up, to be taken 16 of each at a time.
    """
    if interleaved:
        packed = packed.reshape(2, -1, TILE_ROWS // 2, packed.shape[1]).swapaxes(0, 1).reshape(packed.shape)
    num_tiles = -(-len(packed) // TILE_ROWS)
    padded = np.zeros((num_tiles * TILE_ROWS, packed.shape[1]), np.uint8)
    padded[: len(packed)] = packed
    blocks = padded.reshape(num_tiles, 4, 8, -1, 18)  # tile, row / 8, row % 8, block, byte
    words = np.ascontiguousarray(blocks[..., 2:]).view(np.uint32)
    scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16)[..., 0]
    signs = words.transpose(0, 3, 2, 4, 1)  # tile, block, row % 8, word, row / 8
    return (
        np.ascontiguousarray(signs).reshape(num_tiles, -1, 32, 4),
        np.ascontiguousarray(scales.transpose(0, 3, 2, 1)).reshape(num_tiles, -1, 32),
    )


class QuantizedRows:
    """Rows rounded as `quantization.cuh` says, computed in float32 with the same operations.

    codes int32 (rows, blocks, 4, 32), multipliers int32 (rows, blocks, 4), scales float32 (rows, blocks).
    """

    def __init__(self, x: Floats) -> None:
        groups = x.astype(np.float32).reshape(len(x), -1, BLOCK_COLUMNS // GROUP_COLUMNS, GROUP_COLUMNS)
        peaks = np.abs(groups).max(axis=-1)
        block_peaks = peaks.max(axis=-1)
        safe = np.where(block_peaks > 0, block_peaks, np.float32(1))
        inverse_peaks = np.float32(1) / safe[..., None]
        multipliers = np.minimum(np.ceil(peaks * inverse_peaks * np.float32(256)), np.float32(256))
        self.scales = block_peaks * np.float32(1 / (127 * 256))
        steps = self.scales[..., None] * multipliers
        inverse = np.where(steps > 0, np.float32(1) / np.where(steps > 0, steps, np.float32(1)), np.float32(0))
        self.codes = np.rint(groups * inverse[..., None]).astype(np.int32)
        self.multipliers = multipliers.astype(np.int32)

    @property
    def whole(self) -> npt.NDArray[np.int32]:
        """The rows as whole numbers, int32 (rows, blocks, 128), to be multiplied by the scales."""
        rows, blocks = self.scales.shape
        return (self.codes * self.multipliers[..., None]).reshape(rows, blocks, BLOCK_COLUMNS)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The rounded rows, float64 (rows, columns)."""
        return (self.whole * self.scales[..., None].astype(np.float64)).reshape(len(self.scales), -1)


def product(packed: npt.NDArray[np.uint8], x: Floats) -> Floats:
    """Return x @ W.T (rows of x, rows of W) with rounded activations: every bit as the kernels must compute it."""
    quantized = QuantizedRows(x)
    num_blocks = quantized.scales.shape[1]
    blocks = packed.reshape(len(packed), num_blocks, 18)
    row_scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16)[..., 0].astype(np.float32)
    signs = np.sign(dequantize(packed, GGMLType.Q1_0)).reshape(len(packed), num_blocks, BLOCK_COLUMNS)
    total = np.zeros((len(x), len(packed)), np.float32)
    for segment in range(SEGMENTS):
        part = np.zeros_like(total)
        for block in range(segment * num_blocks // SEGMENTS, (segment + 1) * num_blocks // SEGMENTS):
            whole = quantized.whole[:, block] @ signs[:, block].T.astype(np.int64)
            scales = row_scales[:, block] * quantized.scales[:, block, None]
            # A fused multiply-add: the product of 23 and 24 bits is exact in float64, where one more addition may
            # round twice, in very rare cases to the other neighbour.
            part = (whole * scales.astype(np.float64) + part).astype(np.float32)
        total += part
    return total


def rms_norm_factors(x: Floats, eps: float) -> npt.NDArray[np.float64]:
    """Return 1 / √(mean(x²) + eps) of each row, float64 (rows, 1)."""
    return 1 / np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=-1, keepdims=True) + eps)
