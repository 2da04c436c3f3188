"""The mobile model runner: the step of the CPU backend, called in a library."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_step.arguments import flatten, signature
from bonsai_edge.cpu_step.runner import StepRunner
from bonsai_edge.cpu_step.tables import StepInput
from bonsai_edge.cpu_step.threads import Part
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge_mobile.library import Kernels


class MobileRunner(StepRunner):
    """Runs batches with kernels that were compiled ahead of time; the arithmetic is the CPU backend's."""

    def __init__(
        self, kernels: Kernels, checkpoint: Checkpoint, num_pages: int, kv_type: KVType, num_threads: int
    ) -> None:
        self._kernels = kernels
        page_layout = f"{kernels.isa}-{kernels.version}-ahead"
        super().__init__(
            checkpoint,
            num_pages,
            kv_type,
            num_threads,
            table_tokens=kernels.table_tokens,
            spare_tiles=kernels.spare_tiles,
            page_layout=page_layout,
        )

    def make_ready(self) -> None:
        """Lay out the table of arguments, of which only the step's input changes later.

        Raises BackendUnavailableError if the library was made for arguments of other types.
        """
        empty = np.zeros(0, np.int32)
        angles = np.zeros((0, self.spec.head_dim // 2), np.float32)
        inputs = StepInput(empty, empty, empty, empty.reshape(0, 0), empty, angles, angles)
        fixed = self.dimensions, self.weights, self.kv_pages.planes
        found = signature((*fixed, inputs, self.work, 1, 0))
        if found != self._kernels.step_signature:
            raise BackendUnavailableError(
                f"{self._kernels.path} was built from other sources than this version's.",
                "Build it anew on a machine with Numba: `bonsai-edge kernels build`.",
            )
        start, length = len(list(flatten(fixed))), len(list(flatten(inputs)))
        self._inputs = slice(start, start + length)
        self._table = np.array(list(flatten((*fixed, inputs, self.work))), np.int64)

    def part(self, inputs: StepInput) -> Part:
        """Return the call of the library; the part keeps the input's arrays alive."""
        arrays = [np.ascontiguousarray(array) for array in inputs]
        self._table[self._inputs] = [number for array in arrays for number in flatten(array)]
        table_at = self._table.ctypes.data

        def run(thread: int, _alive: list[npt.NDArray[Any]] = arrays) -> None:
            self._kernels.run_step(self.kv_type, table_at, self.num_threads, thread)

        return run
