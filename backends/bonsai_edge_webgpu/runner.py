"""The WebGPU model runner: memory of the GPU, and a step as one submission."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.paged_runner import PagedRunner
from bonsai_edge.rope import Rope
from bonsai_edge.version import __version__
from bonsai_edge_webgpu.gpu import Gpu
from bonsai_edge_webgpu.kv_pages import KVPages
from bonsai_edge_webgpu.step import MAX_BATCH_ROWS, Inputs, Step


class WebgpuRunner(PagedRunner):
    """Runs batches on a GPU; activations are int8, keys and values float16; weights are copied to the GPU."""

    max_batch_rows = MAX_BATCH_ROWS
    num_threads = 1
    kv_type = KVType.F16

    def __init__(self, checkpoint: Checkpoint, num_pages: int, gpu: Gpu, device_name: str) -> None:
        self.spec = checkpoint.spec
        self.num_pages = num_pages
        self.tensors = checkpoint.tensors
        self.page_layout = f"{__version__}-webgpu-{version('wgpu')}-{device_name}"
        self.rope = Rope(self.spec)
        self.kv_pages = KVPages(gpu, self.spec, num_pages)
        self.page_bytes = self.kv_pages.page_bytes
        self._step = Step(gpu, self.spec, checkpoint.tensors, self.kv_pages, num_pages)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
        slots = pages * PAGE_TOKENS + batch.positions % PAGE_TOKENS
        rows = np.stack([batch.token_ids, batch.positions, batch.sequence_ids, slots], axis=1).astype(np.uint32)
        cos_sin = np.stack(self.rope.cos_sin(batch.positions), axis=-1)
        return self._step.run(Inputs(rows, cos_sin, batch.page_tables, batch.logit_rows))

    def close(self) -> None:
        """Let go of the GPU's memory."""
        del self._step, self.kv_pages, self.tensors
