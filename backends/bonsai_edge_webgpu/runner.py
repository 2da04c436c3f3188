"""The WebGPU model runner: memory of the GPU, and a step as one submission."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.rope import Rope
from bonsai_edge.version import __version__
from bonsai_edge_webgpu.gpu import Gpu
from bonsai_edge_webgpu.kv_pages import KVPages
from bonsai_edge_webgpu.step import MAX_BATCH_ROWS, Inputs, Step


class WebgpuRunner(ModelRunner):
    """Runs batches on a GPU; activations are int8, keys and values float16; weights are copied to the GPU."""

    max_batch_rows = MAX_BATCH_ROWS
    num_threads = 1
    kv_type = KVType.F16

    def __init__(self, checkpoint: Checkpoint, num_pages: int, gpu: Gpu, device_name: str) -> None:
        self.spec = checkpoint.spec
        self.num_pages = num_pages
        self.tensors = checkpoint.tensors
        self.page_layout = f"{__version__}-webgpu-{version('wgpu')}-{device_name}"
        self._rope = Rope(self.spec)
        self._kv_pages = KVPages(gpu, self.spec, num_pages)
        self.page_bytes = self._kv_pages.page_bytes
        self._step = Step(gpu, self.spec, checkpoint.tensors, self._kv_pages, num_pages)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
        slots = pages * PAGE_TOKENS + batch.positions % PAGE_TOKENS
        rows = np.stack([batch.token_ids, batch.positions, batch.sequence_ids, slots], axis=1).astype(np.uint32)
        cos_sin = np.stack(self._rope.cos_sin(batch.positions), axis=-1)
        return self._step.run(Inputs(rows, cos_sin, batch.page_tables, batch.logit_rows))

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page; see `ModelRunner.read_page`."""
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
        """Let go of the GPU's memory."""
        del self._step, self._kv_pages, self.tensors
