"""The CPU model runner: memory, threads, and one compiled call a step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.rope import Rope
from bonsai_edge_cpu.barrier import new_barrier
from bonsai_edge_cpu.compiler_memory import release_compiler_code
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernel_cache import KernelCache, version_hash
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from bonsai_edge_cpu.kv_pages import KVPages, KVPlanes, planes_class
from bonsai_edge_cpu.step import run_step
from bonsai_edge_cpu.tables import (
    Dimensions,
    StepInput,
    Weights,
    Workspace,
    make_dimensions,
    make_weights,
    make_workspace,
)
from bonsai_edge_cpu.threads import ThreadTeam

_MAX_BATCH_ROWS = 64


class CpuRunner(ModelRunner):
    """Runs batches with Numba kernels; activations are int8.

    Weights are read where the file is mapped; compiling takes seconds the first time and is cached on disk.
    """

    max_batch_rows = _MAX_BATCH_ROWS
    least_prefill_rows = TABLE_TOKENS

    def __init__(self, checkpoint: Checkpoint, num_pages: int, kv_type: KVType, num_threads: int) -> None:
        self.spec = checkpoint.spec
        self.kv_type = kv_type
        self.num_pages = num_pages
        self.num_threads = num_threads
        self.page_layout = f"{selected_isa().name}-{version_hash()}"
        self.tensors = checkpoint.tensors  # which keep the file mapped while the kernels hold its addresses
        self._rope = Rope(self.spec)
        self._dimensions = make_dimensions(self.spec)
        self._weights = make_weights(checkpoint)
        self._kv_pages = KVPages(self.spec, num_pages, kv_type)
        self.page_bytes = self._kv_pages.page_bytes
        self._work = make_workspace(self.spec, _MAX_BATCH_ROWS, num_threads, new_barrier())
        self._compile()
        self._team = ThreadTeam(num_threads)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        arguments = self._arguments(batch)
        self._team.run(lambda thread: run_step(*arguments, self.num_threads, thread))
        return self._work.logits[: len(batch.logit_rows)]

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page as `kv_pages` lays it out."""
        return self._kv_pages.read(page)

    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page; see `ModelRunner.write_page`."""
        self._kv_pages.write(page, content)

    def copy_page(self, source: int, destination: int) -> None:
        """Copy one page over another."""
        self._kv_pages.copy(source, destination)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Turn the keys of a page; see `ModelRunner.rotate_keys`."""
        self._kv_pages.store_keys(page, self._rope.move(self._kv_pages.load_keys(page), num_positions))

    def close(self) -> None:
        """End the threads and let go of the memory."""
        self._team.close()
        del self._kv_pages, self._work, self._weights, self.tensors

    def _arguments(self, batch: Batch) -> tuple[Dimensions, Weights, KVPlanes, StepInput, Workspace]:
        cos, sin = self._rope.cos_sin(batch.positions)
        inputs = StepInput(
            batch.token_ids, batch.positions, batch.sequence_ids, batch.page_tables, batch.logit_rows, cos, sin
        )
        return self._dimensions, self._weights, self._kv_pages.planes, inputs, self._work

    def _compile(self) -> None:
        """Compile, or load from the cache, while loading, so that the first request does not wait.

        Without the team: a compiler that fails in one thread would leave the others waiting at a barrier.
        """
        empty = np.zeros(0, np.int32)
        run_step(*self._arguments(Batch(empty, empty, empty, np.zeros((1, 1), np.int32), empty)), 1, 0)
        release_compiler_code()


def is_compiled(kv_type: KVType) -> bool:
    """Return whether the kernels of a KV type are on disk."""
    cache = getattr(run_step, "_cache", None)
    return isinstance(cache, KernelCache) and cache.holds(planes_class(kv_type))
