"""Arrays that begin at a cache line, so that no vector load crosses one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

CACHE_LINE_BYTES = 64


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of unspecified content whose first element lies at a multiple of 64 bytes."""
    return _aligned(np.empty(_num_bytes(shape, dtype) + CACHE_LINE_BYTES, np.uint8), shape, dtype)


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of zeros whose first element lies at a multiple of 64 bytes, untouched as yet."""
    return _aligned(np.zeros(_num_bytes(shape, dtype) + CACHE_LINE_BYTES, np.uint8), shape, dtype)


def _num_bytes(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _aligned(memory: npt.NDArray[np.uint8], shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    start = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[start : start + _num_bytes(shape, dtype)].view(dtype).reshape(shape)


def spaced_rows(num_rows: int, width: int) -> npt.NDArray[np.float32]:
    """Return unspecified float32 (num_rows, width), a cache line of space between rows, for width a multiple of 16.

    Rows that lie a power of two apart compete for the same few lines of a cache when a column of them is written.
    """
    space = CACHE_LINE_BYTES // 4
    return aligned_empty((num_rows, width + space), np.float32)[:, :width]
