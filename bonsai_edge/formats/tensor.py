"""A named tensor that still lies in its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.ggml_types import GGMLType, dequantize


@dataclass(frozen=True)
class QuantizedTensor:
    """A matrix (or a vector, with one row) in its stored form.

    packed: uint8 (num_rows, row_bytes), a read-only view of the memory-mapped file, never a copy.
    """

    name: str
    ggml_type: GGMLType
    num_columns: int
    packed: npt.NDArray[np.uint8]

    @property
    def num_rows(self) -> int:
        """Number of output features (for an embedding: of tokens)."""
        return int(self.packed.shape[0])

    @property
    def num_bytes(self) -> int:
        """Bytes in the file."""
        return int(self.packed.size)

    def dequantize(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> npt.NDArray[np.float32]:
        """Return the chosen rows as a new float32 array (len(rows), num_columns)."""
        return dequantize(self.packed[rows], self.ggml_type)
