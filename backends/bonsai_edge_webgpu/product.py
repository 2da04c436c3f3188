"""Products of 1-bit matrices with rows that were rounded to int8."""

from __future__ import annotations

import numpy as np

from bonsai_edge_webgpu.gpu import Buffer, Gpu, Launch
from bonsai_edge_webgpu.weights import SignMatrix

_TILE = 4  # rows of a prompt that share a read of the weights
_FEATURES_A_WORKGROUP = 8


class Product:
    """A matrix times as many rows as a step has, by a kernel for one row and one for more; the bits are the same.

    `activations` are the int8 and their scales, float32 `out` is (num_rows, num_features), `count` holds the number of
    rows. With `accumulate` the product is added to what is there.
    """

    def __init__(
        self,
        gpu: Gpu,
        matrix: SignMatrix,
        out: Buffer,
        activations: tuple[Buffer, Buffer],
        count: Buffer,
        *,
        accumulate: bool = False,
    ) -> None:
        shape = gpu.upload(np.array([matrix.num_rows, matrix.num_blocks, accumulate, 0], np.uint32))
        self._single, self._tiled = (
            gpu.kernel(["matmul"], "wrrrruu", TILE=tile).bind(
                out, matrix.signs, matrix.scales, *activations, shape, count
            )
            for tile in (1, _TILE)
        )
        self._workgroups = -(-matrix.num_rows // _FEATURES_A_WORKGROUP)

    def launch(self, num_rows: int) -> Launch:
        """Return what to run for so many rows."""
        if num_rows == 1:
            return Launch(self._single, (self._workgroups, 1))
        return Launch(self._tiled, (self._workgroups, -(-num_rows // _TILE)))
