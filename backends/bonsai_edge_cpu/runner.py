"""The CPU model runner: the compiled step of `step`, made ready while loading."""

from __future__ import annotations

import numpy as np

from bonsai_edge.backend import Batch
from bonsai_edge.cpu_step.kv_pages import planes_class
from bonsai_edge.cpu_step.runner import StepRunner
from bonsai_edge.cpu_step.tables import StepInput
from bonsai_edge.cpu_step.threads import Part
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType
from bonsai_edge_cpu.compiler_memory import release_compiler_code
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernel_cache import KernelCache, version_hash
from bonsai_edge_cpu.kernels.key_rotation import rotate_page_keys
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from bonsai_edge_cpu.step import run_step


class CpuRunner(StepRunner):
    """Runs batches with Numba kernels; compiling takes seconds the first time and is cached on disk."""

    def __init__(self, checkpoint: Checkpoint, num_pages: int, kv_type: KVType, num_threads: int) -> None:
        head_dim = checkpoint.spec.head_dim
        self._key_row = np.empty(head_dim, np.float32)
        self._key_scales = np.empty(head_dim // GROUP_VALUES * PAGE_TOKENS, np.float32)
        page_layout = f"{selected_isa().name}-{version_hash()}"
        super().__init__(
            checkpoint,
            num_pages,
            kv_type,
            num_threads,
            table_tokens=TABLE_TOKENS,
            spare_tiles=selected_isa().spare_tiles,
            page_layout=page_layout,
        )

    def part(self, inputs: StepInput) -> Part:
        """Return the compiled call."""
        arguments = self.dimensions, self.weights, self.kv_pages.planes, inputs, self.work
        return lambda thread: run_step(*arguments, self.num_threads, thread)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Turn the keys of a page where they lie; see `ModelRunner.rotate_keys`."""
        self._rotate_keys(page, num_positions, self.spec.num_layers)

    def make_ready(self) -> None:
        """Compile, or load from the cache, while loading, so that the first request does not wait.

        Without the team: a compiler that fails in one thread would leave the others waiting at a barrier.
        """
        empty = np.zeros(0, np.int32)
        inputs = self.step_input(Batch(empty, empty, empty, np.zeros((1, 1), np.int32), empty))
        run_step(self.dimensions, self.weights, self.kv_pages.planes, inputs, self.work, 1, 0)
        self._rotate_keys(0, 0, 0)
        release_compiler_code()

    def _rotate_keys(self, page: int, num_positions: int, num_layers: int) -> None:
        cos, sin = self.rope.distance_cos_sin(num_positions)
        planes, num_heads = self.kv_pages.planes, self.spec.num_kv_heads
        rotate_page_keys(planes, page, num_layers, num_heads, cos, sin, self._key_row, self._key_scales)


def is_compiled(kv_type: KVType) -> bool:
    """Return whether the kernels of a KV type are on disk."""
    cache = getattr(run_step, "_cache", None)
    return isinstance(cache, KernelCache) and cache.holds(planes_class(kv_type))
