"""The runner of a model on the CPU: memory, threads, and one call a step that every thread of a team makes."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge.cpu_step.kv_pages import KVPages
from bonsai_edge.cpu_step.tables import Dimensions, StepInput, Weights, make_dimensions, make_weights
from bonsai_edge.cpu_step.threads import Part, ThreadTeam
from bonsai_edge.cpu_step.workspace import Workspace, make_workspace
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.paged_runner import PagedRunner
from bonsai_edge.rope import Rope

MAX_BATCH_ROWS = 64


class StepRunner(PagedRunner):
    """Runs batches with kernels whose activations are int8; weights are read where the file is mapped.

    A backend says in `part` how a thread makes the call. `table_tokens` is how many tokens its kernels multiply by
    tables at a time; `page_layout` names them for saved pages.
    """

    max_batch_rows = MAX_BATCH_ROWS
    kv_pages: KVPages

    def __init__(
        self,
        checkpoint: Checkpoint,
        num_pages: int,
        kv_type: KVType,
        num_threads: int,
        *,
        table_tokens: int,
        spare_tiles: int = 0,
        page_layout: str,
    ) -> None:
        self.spec = checkpoint.spec
        self.kv_type = kv_type
        self.num_pages = num_pages
        self.num_threads = num_threads
        self.least_prefill_rows = table_tokens
        self.page_layout = page_layout
        self.tensors = checkpoint.tensors  # which keep the file mapped while the kernels hold its addresses
        self.rope = Rope(self.spec)
        self.dimensions: Dimensions = make_dimensions(self.spec)
        self.weights: Weights = make_weights(checkpoint)
        self.kv_pages = KVPages(self.spec, num_pages, kv_type)
        self.page_bytes = self.kv_pages.page_bytes
        self.work: Workspace = make_workspace(self.spec, MAX_BATCH_ROWS, num_threads, table_tokens, spare_tiles)
        self.make_ready()
        self._team = ThreadTeam(num_threads)

    @abstractmethod
    def part(self, inputs: StepInput) -> Part:
        """Return what each thread of the team calls for a step, with its number."""

    def make_ready(self) -> None:
        """Do what must be done before the first step, such as compiling; there are no threads yet."""

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        self._team.run(self.part(self.step_input(batch)))
        return self.work.logits[: len(batch.logit_rows)]

    def step_input(self, batch: Batch) -> StepInput:
        """Return the batch with the cosines and sines of its positions."""
        cos, sin = self.rope.cos_sin(batch.positions)
        return StepInput(
            batch.token_ids, batch.positions, batch.sequence_ids, batch.page_tables, batch.logit_rows, cos, sin
        )

    def close(self) -> None:
        """End the threads and let go of the memory."""
        self._team.close()
        del self.kv_pages, self.work, self.weights, self.tensors
