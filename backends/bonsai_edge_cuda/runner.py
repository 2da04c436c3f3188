"""The CUDA model runner: everything a model needs on the device, and one graph for each number of decoded rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.paged_runner import PagedRunner
from bonsai_edge.rope import Rope
from bonsai_edge_cuda.driver import Driver, Graph
from bonsai_edge_cuda.geometry import COLUMNS, columns_for
from bonsai_edge_cuda.kv_pages import KVPages
from bonsai_edge_cuda.step import StepKernels
from bonsai_edge_cuda.step_state import StepState, state_bytes
from bonsai_edge_cuda.weights import padding_bytes, upload_weights
from bonsai_edge_cuda.workspace import LOGIT_ROWS, allocate_workspace, total_bytes, workspace_sizes

MAX_BATCH_ROWS = 512
_LEAST_PREFILL_ROWS = 64  # the rows that the matrix products of a prompt take at once


class CudaRunner(PagedRunner):
    """Runs batches on a device with the kernels loaded into it; activations are int8.

    The driver is the runner's from now on and is closed with it.
    """

    max_batch_rows = MAX_BATCH_ROWS
    least_prefill_rows = _LEAST_PREFILL_ROWS
    num_threads = 1

    def __init__(
        self, driver: Driver, checkpoint: Checkpoint, num_pages: int, kv_type: KVType, page_layout: str
    ) -> None:
        spec = checkpoint.spec
        self.spec = spec
        self.tensors = checkpoint.tensors
        self.kv_type = kv_type
        self.num_pages = num_pages
        self.page_layout = page_layout
        self._driver = driver
        self.rope = Rope(spec)
        self.kv_pages = KVPages(driver, spec, num_pages, kv_type)
        self.page_bytes = self.kv_pages.page_bytes
        max_pages = _most_pages(spec, num_pages)
        self._state = StepState(driver, MAX_BATCH_ROWS, max_pages)
        self._work = allocate_workspace(driver, workspace_sizes(spec, MAX_BATCH_ROWS, max_pages * PAGE_TOKENS))
        self._few_logits = driver.allocate_shared(COLUMNS[-1] * spec.vocab_size * 4)
        cos_sin = self.rope.cos_sin(np.arange(max_pages * PAGE_TOKENS))
        driver.upload(self._work.rope, np.ascontiguousarray(np.stack(cos_sin, axis=1)))
        self._kernels = StepKernels(
            spec=spec,
            kv_type=kv_type,
            weights=upload_weights(driver, spec, checkpoint.tensors),
            pages=self.kv_pages.address,
            state=self._state,
            work=self._work,
            max_positions=max_pages * PAGE_TOKENS,
            num_multiprocessors=driver.gpu.num_multiprocessors,
        )
        self._graphs = {columns: self._record(columns) for columns in COLUMNS}

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        if not len(batch.token_ids):
            return np.zeros((0, self.spec.vocab_size), np.float32)
        columns = columns_for(len(batch.token_ids))
        if columns is None:
            return self._prefill(batch)
        self._state.fill(batch, columns, self._kernels.tile_rows)
        self._graphs[columns].launch()
        return self._take_few_logits(len(batch.logit_rows))

    def close(self) -> None:
        """Give the memory of the device back."""
        self._graphs.clear()
        self._driver.close()

    def _record(self, columns: int) -> Graph:
        def step() -> None:
            self._state.copy(columns)
            for launch in self._kernels.decode(columns):
                self._driver.launch(launch)

        return self._driver.record(step)

    def _prefill(self, batch: Batch) -> npt.NDArray[np.float32]:
        num_rows, num_logits = len(batch.token_ids), len(batch.logit_rows)
        num_tiles = self._state.fill(batch, num_rows, self._kernels.tile_rows)
        self._state.copy(len(batch.page_tables))
        for launch in self._kernels.prefill(num_rows, num_tiles):
            self._driver.launch(launch)
        columns = columns_for(num_logits)
        if columns is None:
            return self._many_logits(num_logits)
        if num_logits:
            self._driver.launch(self._kernels.head_of_columns(columns))
        return self._take_few_logits(num_logits)

    def _take_few_logits(self, num_logits: int) -> npt.NDArray[np.float32]:
        """Wait for the step and return its logits, which the next one overwrites."""
        num_bytes = num_logits * self.spec.vocab_size * 4
        if num_bytes:
            self._driver.copy(self._work.logits, self._few_logits.address, num_bytes)
        self._driver.synchronize()
        return self._few_logits.array[:num_bytes].view(np.float32).reshape(num_logits, self.spec.vocab_size)

    def _many_logits(self, num_logits: int) -> npt.NDArray[np.float32]:
        logits = np.empty((num_logits, self.spec.vocab_size), np.float32)
        for first in range(0, num_logits, LOGIT_ROWS):
            part = logits[first : first + LOGIT_ROWS]
            for launch in self._kernels.head_of_rows(first, len(part)):
                self._driver.launch(launch)
            part[:] = self._driver.download(self._work.logits, part.nbytes).view(np.float32).reshape(part.shape)
        return logits


def scratch_bytes(spec: ModelSpec) -> int:
    """Return what a runner takes on the device beside weights and pages, for the longest context of the model."""
    max_pages = _most_pages(spec, spec.context_length)
    sizes = workspace_sizes(spec, MAX_BATCH_ROWS, max_pages * PAGE_TOKENS)
    return total_bytes(sizes) + state_bytes(MAX_BATCH_ROWS, max_pages) + padding_bytes(spec)


def _most_pages(spec: ModelSpec, num_pages: int) -> int:
    """Return the most pages that one sequence can have."""
    return min(num_pages, -(-spec.context_length // PAGE_TOKENS))
