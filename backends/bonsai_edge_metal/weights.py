"""Weights as MLX multiplies with them: 1-bit matrices in its affine form, all others dense.

A Q1_0 block becomes what MLX calls 1 bit in groups of 128: value = scale * bit + bias with the scale 2s and the bias
-s. The 16 bytes of signs are the same ones, read as four words, so nothing is repacked; only scales and signs part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.tensor import QuantizedTensor

_BLOCK = GGMLType.Q1_0.block_elements


class Matrix(ABC):
    """A matrix (num_rows, num_columns) in MLX's memory, which products leave in its dtype."""

    @abstractmethod
    def multiply(self, x: mx.array) -> mx.array:
        """Return x (num_tokens, num_columns) times the transposed matrix, (num_tokens, num_rows)."""

    @abstractmethod
    def take_rows(self, row_ids: mx.array) -> mx.array:
        """Return the values of rows, (len(row_ids), num_columns)."""


@dataclass(frozen=True)
class SignMatrix(Matrix):
    """A 1-bit matrix: words uint32 (num_rows, num_columns / 32), scales and biases (num_rows, num_columns / 128)."""

    words: mx.array
    scales: mx.array
    biases: mx.array

    def multiply(self, x: mx.array) -> mx.array:
        """Multiply by signs; see `Matrix.multiply`."""
        return mx.quantized_matmul(x, self.words, self.scales, self.biases, True, _BLOCK, 1)

    def take_rows(self, row_ids: mx.array) -> mx.array:
        """Expand rows; see `Matrix.take_rows`."""
        return mx.dequantize(self.words[row_ids], self.scales[row_ids], self.biases[row_ids], _BLOCK, 1)


@dataclass(frozen=True)
class DenseMatrix(Matrix):
    """A matrix of numbers."""

    values: mx.array

    def multiply(self, x: mx.array) -> mx.array:
        """Multiply; see `Matrix.multiply`."""
        return x @ self.values.T

    def take_rows(self, row_ids: mx.array) -> mx.array:
        """Select rows; see `Matrix.take_rows`."""
        return self.values[row_ids]


def stack_matrices(tensors: Sequence[QuantizedTensor], dtype: mx.Dtype) -> Matrix:
    """Copy matrices of equal width into one, below one another, so that one product serves them all.

    It is 1-bit if all of them are. Raises UnsupportedModelError for a scale that `dtype` cannot hold doubled.
    """
    if any(tensor.ggml_type is not GGMLType.Q1_0 for tensor in tensors):
        dense = DenseMatrix(mx.array(np.concatenate([tensor.dequantize() for tensor in tensors])).astype(dtype))
        mx.eval(dense.values)
        return dense
    words = mx.concatenate([mx.array(_sign_words(tensor)) for tensor in tensors])
    scales = mx.concatenate([mx.array(_scales(tensor)).astype(dtype) for tensor in tensors])
    signs = SignMatrix(words, 2 * scales, -scales)
    mx.eval(signs.words, signs.scales, signs.biases)
    return signs


def load_vector(tensor: QuantizedTensor) -> mx.array:
    """Copy a tensor of one row, float32 (num_columns,)."""
    return mx.array(tensor.dequantize()[0])


def _sign_words(tensor: QuantizedTensor) -> npt.NDArray[np.uint32]:
    signs = _blocks(tensor)[:, :, 2:]
    return np.ascontiguousarray(signs).view("<u4").reshape(tensor.num_rows, -1)


def _scales(tensor: QuantizedTensor) -> npt.NDArray[np.float16]:
    scales = np.ascontiguousarray(_blocks(tensor)[:, :, :2]).view("<f2")[:, :, 0]
    limit = np.finfo(np.float16).max / 2
    if not np.abs(scales).max() <= limit:  # nor NaN
        raise UnsupportedModelError(
            f"Tensor {tensor.name!r} has a scale that float16 cannot hold doubled, as MLX needs it; up to {limit:g} "
            f"are supported.",
            "Use a published Bonsai model, or another backend.",
        )
    return scales


def _blocks(tensor: QuantizedTensor) -> npt.NDArray[np.uint8]:
    return tensor.packed.reshape(tensor.num_rows, -1, GGMLType.Q1_0.block_bytes)
